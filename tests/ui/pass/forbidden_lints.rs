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

fn main() {}

#[larder::cached(ttl = 60, tags = ["{a}"], when = *a > 1)]
async fn private((a, b): (u64, u64), _: u8) -> u64 {
    a + b
}

/// Uses it.
pub async fn caller() -> u64 {
    private((1, 2), 3).await
}
