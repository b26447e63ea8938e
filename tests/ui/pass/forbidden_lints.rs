//! Strict lints of the user are met by the emitted functions.
#![forbid(unsafe_code, missing_docs, dead_code, unused_imports, unused_variables, unused_mut)]
#![deny(warnings, clippy::all, clippy::pedantic)]

/// Answers.
#[larder::cached(ttl = 60, tags = ["menu", "menu:{id}"], stagger, skip(db))]
pub async fn menu(db: &mut Vec<u64>, mut id: u64) -> Option<u64> {
    id += 1;
    if db.is_empty() {
        return None;
    }
    Some(id)
}

/// How long a dead holder can delay others.
const LEASE: std::time::Duration = std::time::Duration::from_secs(2);

/// Reads through.
#[larder::cached(ttl = 60, tier = shared, lease = LEASE)]
pub async fn balance(account: u64) -> u64 {
    account
}

/// Diverges.
#[larder::cached(ttl = 60)]
pub async fn diverges(id: u64) -> u64 {
    panic!("{id}")
}

/// Is refreshed.
#[larder::cached(ttl = |_| LEASE, skip(db), grace = 60, timeout(soft = 1), refresh(idle = LEASE, with(db = Vec::new())))]
pub async fn refreshed(db: &mut Vec<u64>, text: &str, mut id: u64) -> Option<u64> {
    id += text.len() as u64;
    db.push(id);
    db.first().copied()
}

/// A dish.
#[derive(Clone, serde::Serialize)]
pub struct Dish(u64);

impl Dish {
    /// Is refreshed, too.
    ///
    /// # Errors
    ///
    /// Never.
    #[larder::cached(ttl = 60, refresh(after = 0.5), store_if = |price| *price > self.0, timeout(hard = 1))]
    pub async fn price(&self, name: Option<&str>) -> Result<u64, larder::Error> {
        Ok(self.0 + name.map_or(0, str::len) as u64)
    }
}

trait Kitchen {
    async fn cook(&self, text: &str) -> u64;
}

impl Kitchen for Dish {
    #[larder::cached(ttl = 60, in_trait, refresh, tags_from = |value| [format!("dish:{value}")])]
    async fn cook(&self, text: &str) -> u64 {
        let Self(id) = self;
        id + text.len() as u64
    }
}

/// Uses it.
pub async fn cook() -> u64 {
    Dish(1).cook("soup").await
}

/// Writes.
///
/// # Errors
///
/// Never.
#[larder::invalidates(
    tags = ["menu:{id}", "menu:{id}:{result.0}"], entries = [menu_entry(id), menu_entry(result.0 + id)], function = menu,
    when = |result| result.0 > id, expire, strict
)]
#[larder::updates(entry = menu_entry(result.0), value = |_| None)]
pub async fn write(db: &mut Vec<u64>, mut id: u64) -> Result<Dish, larder::Error> {
    id += 1;
    db.push(id);
    Ok(Dish(id))
}

/// Writes, too.
#[larder::invalidates(tags = ["menu:{a}"], entries = [menu_entry(a + result)])]
pub async fn take_apart((a, b): (u64, u64), _: u8) -> u64 {
    a + b
}

/// Returns early, or never.
#[larder::invalidates(tags = ["menu"])]
pub async fn diverging(id: u64) -> u64 {
    if id > 1 {
        return id;
    }
    panic!("{id}")
}

fn main() {}

#[larder::cached(ttl = 60, tags = ["{a}"], when = *a > 1)]
async fn private((a, b): (u64, u64), _: u8) -> u64 {
    a + b
}

/// Uses it.
pub async fn caller() -> u64 {
    private((1, 2), 3).await
}
