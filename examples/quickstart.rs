//! One attribute turns an async function into a cached one.
//!
//! `cargo run --example quickstart`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::cached;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Menu {
    restaurant_id: u64,
    dishes: Vec<String>,
}

/// Stands in for a database; counts how often it is asked.
#[derive(Debug, Default)]
struct Db {
    asked: AtomicU32,
}

/// The call site does not change, neither does the signature. `db` is no part of the key.
#[cached(ttl = "1h", tags = ["restaurant:{restaurant_id}"], skip(db))]
async fn menu_of(db: &Db, restaurant_id: u64) -> Result<Menu, std::io::Error> {
    db.asked.fetch_add(1, Ordering::Relaxed);
    Ok(Menu { restaurant_id, dishes: vec!["Clam chowder".to_owned(), "Saddle of mutton".to_owned()] })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Db::default();

    let first = menu_of(&db, 42).await?;
    let second = menu_of(&db, 42).await?;

    assert_eq!(first, second);
    assert_eq!(db.asked.load(Ordering::Relaxed), 1, "the second call is a hit");

    menu_of_entry(42).invalidate().await?;
    menu_of(&db, 42).await?;
    assert_eq!(db.asked.load(Ordering::Relaxed), 2, "an invalidated menu is computed again");

    println!("{first:?}\nthree calls asked the database {} times", db.asked.load(Ordering::Relaxed));
    Ok(())
}
