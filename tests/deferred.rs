//! What is deferred is applied when its transaction has committed, or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Cache, ErrorKind, Invalidate, Key, cached};
use support::pair::Pair;
use support::processes::{hears, hour, key, until};
use support::{Db, Stage, Task};

const LAG: Duration = Duration::from_millis(500);

#[cached(ttl = "1h", tags = ["menu", "menu:{id}"], skip(db))]
async fn menu(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

/// A cache on a clock that the test moves, in a runtime.
fn staged() -> (Stage, Db) {
    (Stage::new(), Db::open())
}

#[tokio::test]
async fn all_that_was_added_is_applied_at_once() {
    let ways: [fn(&larder::Deferred); 7] = [
        |changes| _ = changes.tag("other").tag("menu:1"),
        |changes| _ = changes.tags(["other", "menu:1"]),
        |changes| _ = changes.entry(&menu_entry(1)),
        |changes| _ = changes.key(menu_entry(1).key().unwrap()),
        |changes| _ = changes.function("menu"),
        |changes| _ = changes.invalidate(menu_clear()),
        |changes| _ = changes.invalidate(Invalidate::everything().softly()),
    ];
    for way in ways {
        let (stage, db) = staged();
        let cache = &stage.cache;
        cache
            .scope(async {
                assert_eq!(menu(&db, 1).await, 0);
                let changes = cache.deferred();
                assert!(changes.is_empty());
                db.write();
                way(&changes);
                assert!(!changes.is_empty());
                assert_eq!(menu(&db, 1).await, 0, "it is not applied yet");

                changes.apply().await.unwrap();

                assert_eq!(menu(&db, 1).await, 1);
            })
            .await;
    }
}

#[tokio::test]
async fn what_is_deferred_is_one_call_of_the_shared_tier() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let changes = pair.cache.deferred();
    for id in 0..100 {
        changes.tag(format!("menu:{id}")).key(&key(id));
    }

    changes.apply().await.unwrap();

    assert_eq!(pair.faults.calls(Operation::InvalidateMany), 1);
}

#[tokio::test]
async fn a_second_pass_removes_what_a_lagging_replica_put_back() {
    let (stage, db) = staged();
    let cache = &stage.cache;
    cache
        .scope(async {
            let changes = cache.deferred().again_after(LAG);
            changes.tag("menu");
            changes.apply().await.unwrap();
            // The replica has not heard of the write yet: the old row comes back.
            assert_eq!(menu(&db, 1).await, 0);
            db.write();
            tokio::task::yield_now().await;

            stage.clock.advance(LAG - Duration::from_nanos(1));
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(menu(&db, 1).await, 0, "one tick before");
            stage.clock.advance(Duration::from_nanos(1));

            let again = async {
                while menu(&db, 1).await == 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), again).await.expect("there is a second pass");
        })
        .await;
}

#[tokio::test]
async fn a_second_pass_takes_place_though_the_first_was_not_waited_for() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let gate = pair.faults.hold(Operation::InvalidateTags);
    let changes = pair.cache.deferred().again_after(LAG);
    changes.tag("menu");
    let applying = Task::begun(changes.apply());
    gate.arrived().await;

    drop(applying);
    gate.open();

    pair.comes_about(|pair| pair.faults.calls(Operation::InvalidateTags) == 2).await;
}

#[tokio::test]
async fn a_second_pass_that_fails_is_counted_and_repeated() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let changes = pair.cache.deferred().again_after(LAG);
    changes.tag("menu");
    changes.apply().await.unwrap();
    pair.faults.fail(Operation::InvalidateTags);

    pair.comes_about(|pair| pair.cache.stats().failed_invalidations == 1).await;
    pair.comes_about(|pair| pair.shared().repeated_invalidations == 1).await;
}

#[tokio::test]
async fn a_second_pass_ends_with_the_shutdown() {
    let (stage, db) = staged();
    let cache = &stage.cache;
    cache
        .scope(async {
            let changes = cache.deferred().again_after(LAG);
            changes.tag("menu");
            changes.apply().await.unwrap();
            assert_eq!(menu(&db, 1).await, 0);
            db.write();

            // Waits until it is gone.
            cache.shutdown().await;
            stage.clock.advance(LAG * 2);

            assert_eq!(menu(&db, 1).await, 0);

            // The first pass is made all the same, and the second one is not promised.
            let changes = cache.deferred().again_after(LAG);
            changes.tag("menu");
            assert_eq!(changes.apply().await.unwrap_err().kind(), ErrorKind::Configuration);
            assert_eq!(menu(&db, 1).await, 1);
        })
        .await;
}

#[tokio::test]
async fn a_second_pass_keeps_no_cache_alive() {
    struct Counted(std::sync::Arc<()>);
    let alive = std::sync::Arc::new(());
    let (one, other) = (Cache::default(), Cache::default());
    let counted = Counted(alive.clone());
    // What a handler holds is dropped with its cache.
    other.on(move |_: &u8| {
        let _ = &counted.0;
        Invalidate::nothing()
    });
    let entry = other.scope(async { menu_entry(1) }).await;
    let changes = one.deferred().again_after(Duration::from_secs(3600));
    changes.entry(&entry);
    changes.apply().await.unwrap();

    drop((entry, other));

    until(|| std::sync::Arc::strong_count(&alive) == 1).await;
}

#[test]
fn without_a_runtime_the_first_pass_is_made_and_the_second_refused() {
    let (stage, db) = staged();
    stage.run(async {
        assert_eq!(menu(&db, 1).await, 0);
        db.write();
        let changes = stage.cache.deferred().again_after(LAG);
        changes.tag("menu");

        let error = changes.apply().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("leave `again_after` out"), "{error}");
        assert_eq!(menu(&db, 1).await, 1);
    });
}

struct Renamed(u64);

#[tokio::test]
async fn the_innermost_scope_records() {
    let cache = Cache::default();
    cache.on(|event: &Renamed| Invalidate::tag(format!("menu:{}", event.0)));
    let (outer, inner) = (cache.deferred(), cache.deferred());

    outer
        .scope(async {
            inner.scope(async { cache.emit(Renamed(1)).await.unwrap() }).await;
            assert!(outer.is_empty() && !inner.is_empty());
            // The verbs are what they are everywhere.
            cache.put(&key(1), 1_u64, &hour()).await.unwrap();
            cache.invalidate(&key(1)).await.unwrap();
            assert_eq!(cache.get::<u64>(&key(1), &hour()).await.unwrap(), None);
        })
        .await;

    assert!(outer.is_empty());
    outer
        .scope(async {
            let cache = cache.clone();
            tokio::spawn(async move { cache.emit(Renamed(2)).await }).await.unwrap().unwrap();
        })
        .await;
    assert!(outer.is_empty(), "a task of its own records nothing");
}

#[test]
fn a_scope_that_is_dropped_keeps_what_it_recorded() {
    let (stage, db) = staged();
    stage.cache.on(|_: &Renamed| Invalidate::tag("menu"));
    stage.run(async {
        let _: &Key = menu_entry(1).key().unwrap();
        menu(&db, 1).await;
        db.write();
        let changes = stage.cache.deferred();

        drop(Task::begun(changes.scope(async {
            stage.cache.emit(Renamed(1)).await.unwrap();
            std::future::pending::<()>().await;
        })));

        changes.apply().await.unwrap();
        assert_eq!(menu(&db, 1).await, 1);
    });
}
