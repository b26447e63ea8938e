//! How to test code that is cached: a cache per test, a clock that the test moves, no cache at all.
//!
//! `cargo run --example testing --features testing`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Local, cached};

/// What a test makes for itself: here, a counter of questions.
#[derive(Debug, Default)]
struct Db {
    asked: AtomicU32,
}

#[cached(ttl = "1h", skip(db))]
async fn dishes(db: &Db, menu: u64) -> u64 {
    db.asked.fetch_add(1, Ordering::Relaxed);
    menu + 10
}

fn a_cache() -> Result<Cache, larder::Error> {
    Cache::builder().local(Local::entries(1_000)).build()
}

/// Calls inside a scope use its cache: tests of one process share nothing, whatever order they run in.
async fn each_test_has_its_own_cache() -> Result<(), larder::Error> {
    for _ in 0..2 {
        let db = Db::default();
        a_cache()?
            .scope(async {
                dishes(&db, 1).await;
                dishes(&db, 1).await;
            })
            .await;
        assert_eq!(db.asked.load(Ordering::Relaxed), 1);
    }
    Ok(())
}

/// No test waits for an hour to pass.
async fn a_value_expires_after_its_ttl() -> Result<(), larder::Error> {
    let (db, clock) = (Db::default(), ManualClock::new());
    let cache = Cache::builder().local(Local::entries(1_000)).clock(clock.clock()).build()?;
    cache
        .scope(async {
            dishes(&db, 1).await;
            clock.advance(Duration::from_secs(3600) - Duration::from_millis(1));
            dishes(&db, 1).await;
            assert_eq!(db.asked.load(Ordering::Relaxed), 1, "a moment before: a hit");
            clock.advance(Duration::from_millis(1));
            dishes(&db, 1).await;
            assert_eq!(db.asked.load(Ordering::Relaxed), 2, "at the hour: expired");
        })
        .await;
    Ok(())
}

/// A test of the function itself: every call runs the body.
async fn nothing_is_stored_without_a_cache() {
    let db = Db::default();
    Cache::disabled()
        .scope(async {
            dishes(&db, 1).await;
            dishes(&db, 1).await;
        })
        .await;
    assert_eq!(db.asked.load(Ordering::Relaxed), 2);
}

#[tokio::main]
async fn main() -> Result<(), larder::Error> {
    each_test_has_its_own_cache().await?;
    a_value_expires_after_its_ttl().await?;
    nothing_is_stored_without_a_cache().await;
    println!("a cache per test, a clock that the test moves, and no cache: all as expected");
    Ok(())
}
