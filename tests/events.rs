//! What an event means is said once; whoever writes tells that it has happened.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::testing::Operation;
use larder::{Cache, ErrorKind, Invalidate, cached};
use support::pair::Pair;
use support::processes::hears;
use support::{Db, Stage};

#[cached(ttl = "1h", tags = ["menu:{id}"], skip(db))]
async fn menu(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

#[cached(ttl = "1h", tags = ["guests"], skip(db))]
async fn guests(db: &Db) -> u64 {
    db.read().await
}

struct MenuUpdated {
    id: u64,
}

struct Closed;

/// The rows that are read after `told`, when both were read before a write.
fn read_after(told: impl AsyncFnOnce(&Cache)) -> (u64, u64) {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async {
        menu(&db, 1).await;
        guests(&db).await;
        db.write();
        told(&stage.cache).await;
        (menu(&db, 1).await, guests(&db).await)
    })
}

#[test]
fn each_handler_of_an_event_adds_to_what_it_means() {
    let read = read_after(async |cache| {
        cache.on(|event: &MenuUpdated| Invalidate::tag(format!("menu:{}", event.id)));
        cache.on(|_: &MenuUpdated| Invalidate::from(guests_clear()));
        cache.emit(MenuUpdated { id: 1 }).await.unwrap();
    });

    assert_eq!(read, (1, 1));
}

#[test]
fn an_event_means_what_was_said_of_its_own_type() {
    let read = read_after(async |cache| {
        cache.on(|event: &MenuUpdated| Invalidate::tag(format!("menu:{}", event.id)));
        cache.on(|_: &Closed| Invalidate::tag("guests"));
        cache.emit(MenuUpdated { id: 2 }).await.unwrap();
        cache.emit(Closed).await.unwrap();
        cache.emit("nobody listens to texts").await.unwrap();
    });

    assert_eq!(read, (0, 1));
}

#[test]
fn a_handler_that_was_removed_hears_no_more() {
    let read = read_after(async |cache| {
        let first = cache.on(|_: &Closed| Invalidate::tag("menu:1"));
        let kept = cache.on(|_: &Closed| Invalidate::tag("guests"));
        drop(kept);
        first.clone().remove();
        first.remove();
        cache.emit(Closed).await.unwrap();
    });

    assert_eq!(read, (0, 1));
}

#[test]
fn what_a_handler_holds_goes_with_it() {
    let (cache, held) = (Cache::default(), Arc::new(()));
    let registration = cache.on({
        let held = held.clone();
        move |_: &Closed| {
            let _ = &held;
            Invalidate::nothing()
        }
    });
    assert_eq!(Arc::strong_count(&held), 2);

    registration.remove();

    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_handler_may_register_another_one() {
    let cache = Cache::default();
    let calls = Arc::new(AtomicU64::new(0));
    cache.on({
        let (cache, calls) = (cache.clone(), calls.clone());
        move |_: &Closed| {
            calls.fetch_add(1, Ordering::Relaxed);
            let calls = calls.clone();
            cache.on(move |_: &MenuUpdated| {
                calls.fetch_add(10, Ordering::Relaxed);
                Invalidate::nothing()
            });
            Invalidate::nothing()
        }
    });

    let stage = Stage::new();
    stage.run(cache.emit(Closed)).unwrap();
    stage.run(cache.emit(MenuUpdated { id: 1 })).unwrap();

    assert_eq!(calls.load(Ordering::Relaxed), 11);
}

#[test]
fn a_handler_that_panics_invalidates_nothing_and_the_next_event_is_heard() {
    let read = read_after(async |cache| {
        cache.on(|_: &Closed| Invalidate::tag("menu:1"));
        let broken = cache.on(|_: &Closed| -> Invalidate { panic!("as planned") });
        let emitted = std::panic::catch_unwind(AssertUnwindSafe(|| drop(cache.emit(Closed))));
        assert!(emitted.is_err());
        broken.remove();
        cache.on(|_: &MenuUpdated| Invalidate::tag("guests"));
        cache.emit(MenuUpdated { id: 0 }).await.unwrap();
    });

    assert_eq!(read, (0, 1));
}

#[tokio::test]
async fn an_event_is_one_call_of_the_shared_tier_and_its_error_is_answered() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    for n in 0..5 {
        pair.cache.on(move |_: &Closed| Invalidate::tag(format!("t{n}")));
    }

    pair.cache.emit(Closed).await.unwrap();
    assert_eq!(pair.faults.calls(Operation::InvalidateTags), 1);

    pair.faults.fail(Operation::InvalidateTags);
    assert_eq!(pair.cache.emit(Closed).await.unwrap_err().kind(), ErrorKind::Unreachable);
    pair.comes_about(|pair| pair.shared().repeated_invalidations == 5).await;
}
