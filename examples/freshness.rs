//! Keeps answering while the source fails, and tells what answered.
//!
//! `cargo run --example freshness`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::{Answered, Policy, cached, trace};

/// What the functions of this program have in common.
const MENUS: Policy =
    Policy::new().ttl(Duration::from_secs(3600)).grace(Duration::from_secs(600)).stagger(0.1);

/// Stands in for a database that can be down. The background has a clone of its own.
#[derive(Debug, Clone, Default)]
struct Db {
    is_down: Arc<AtomicBool>,
}

/// Why there is no menu.
#[derive(Debug)]
struct NoMenu(String);

/// What `timeout(hard = ..)` gives up with.
impl From<larder::Error> for NoMenu {
    fn from(error: larder::Error) -> Self {
        Self(error.to_string())
    }
}

/// Recomputed in the background after 80 % of its ttl. Stale, it stands in while the database fails, or dawdles for more than
/// 50 ms; without a stale value a call gives up after two seconds.
#[cached(policy = MENUS, skip(db), refresh, timeout(soft = "50ms", hard = "2s"))]
async fn menu_of(db: &Db, restaurant_id: u64) -> Result<String, NoMenu> {
    if db.is_down.load(Ordering::Relaxed) {
        return Err(NoMenu("the database is down".to_owned()));
    }
    Ok(format!("the soup of {restaurant_id}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Db::default();
    menu_of(&db, 42).await.map_err(|NoMenu(why)| why)?;

    // Soft: the old value may stand in. (An `invalidate` would remove it.)
    menu_of_entry(42).expire().await?;
    db.is_down.store(true, Ordering::Relaxed);

    let (menu, told) = trace(menu_of(&db, 42)).await;
    println!(
        "{} ({:?}, {:?} old)",
        menu.map_err(|NoMenu(why)| why)?,
        told.calls[0].answered,
        told.calls[0].age
    );
    assert_eq!(told.calls[0].answered, Answered::Stale);

    menu_of_entry(42).invalidate().await?;
    let gone = menu_of(&db, 42).await;
    println!("{gone:?}");
    assert!(gone.is_err(), "what was invalidated never stands in");
    Ok(())
}
