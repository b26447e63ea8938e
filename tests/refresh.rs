//! `refresh`: a value is recomputed in the background before it is stale.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::{Cache, cached};
use support::source::{Down, Scene, Source, waits};
use support::{MINUTE, MOMENT};

/// The share of a minute after which a value is due.
const DUE: Duration = Duration::from_secs(48);

#[cached(ttl = 60, tags = ["row"], skip(source), refresh)]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[tokio::test]
async fn a_due_value_is_answered_at_once_and_recomputed_once_in_the_background() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.write();

        scene.pass(DUE - MOMENT).await;
        assert_eq!(row(&scene.source, 1).await, Ok(0));
        scene.settle().await;
        assert_eq!(scene.source.asked(), 1, "not due yet");

        scene.pass(MOMENT).await;
        scene.source.hold();
        for _ in 0..10 {
            assert_eq!(row(&scene.source, 1).await, Ok(0), "nobody waits");
        }
        scene.settle().await;
        assert_eq!(scene.source.asked(), 2);

        scene.source.release();
        scene.settle().await;
        assert_eq!(row(&scene.source, 1).await, Ok(1));
        // The new value has a whole ttl.
        scene.pass(DUE - MOMENT).await;
        assert_eq!(row(&scene.source, 1).await, Ok(1));
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;

    let stats = scene.stats("row");
    assert_eq!((stats.refreshes, stats.failed_refreshes, stats.computations), (1, 0, 2));
    assert_eq!((stats.misses.total(), stats.calls()), (1, 14));
}

#[cached(ttl = 60, skip(source), refresh(after = 0.25))]
async fn early(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn a_value_is_due_after_the_share_that_is_given() {
    let scene = Scene::new();
    let test = async {
        early(&scene.source).await.unwrap();
        for (wait, asked) in [(Duration::from_secs(15) - MOMENT, 1), (MOMENT, 2)] {
            scene.pass(wait).await;
            early(&scene.source).await.unwrap();
            scene.settle().await;
            assert_eq!(scene.source.asked(), asked);
        }
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = 60, local_ttl = 10, skip(source), refresh)]
async fn short(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn without_a_shared_tier_a_value_is_due_by_its_local_ttl() {
    let scene = Scene::new();
    let test = async {
        for _ in 0..100 {
            short(&scene.source).await.unwrap();
            scene.settle().await;
            scene.pass(Duration::from_secs(1)).await;
        }
    };

    scene.cache.scope(test).await;

    let stats = scene.stats("short");
    assert_eq!((stats.misses.total(), stats.refreshes), (1, 12), "every 8 s, and no later call waits");
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_value_and_is_tried_again_after_a_rest_and_before_the_end() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.pass(DUE).await;

        let mut attempts = Vec::new();
        for millis in 0..11_990_u64 {
            let before = scene.source.asked();
            assert_eq!(row(&scene.source, 1).await, Ok(0));
            if millis % 10 == 0 {
                scene.settle().await;
            }
            if scene.source.asked() > before {
                attempts.push(millis);
            }
            scene.clock.advance(Duration::from_millis(1));
        }

        // 12 s are left: rests of half a second, doubled each time, but never more than half of what is left.
        assert!((4..=20).contains(&attempts.len()), "{attempts:?}");
        let rests: Vec<u64> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(rests[0] >= 240 && rests[0] <= 510, "{rests:?}");
        assert!(rests[1] > rests[0] && rests[2] > rests[1], "{rests:?}");
        assert!(*attempts.last().unwrap() > 11_000, "tried again shortly before the end: {attempts:?}");
    };
    scene.cache.scope(test).await;

    let stats = scene.stats("row");
    assert_eq!(stats.misses.total(), 1);
    assert_eq!(stats.failed_refreshes, stats.refreshes);
    assert_eq!(stats.errors, stats.refreshes);
}

#[tokio::test]
async fn a_miss_waits_for_the_refresh_that_runs() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.write();
        scene.source.hold();
        scene.pass(DUE).await;
        row(&scene.source, 1).await.unwrap();
        scene.settle().await;
        scene.clock.advance(MINUTE);

        let (cache, source) = (scene.cache.clone(), scene.source.clone());
        let missed = tokio::spawn(async move { cache.scope(row(&source, 1)).await });
        scene.settle().await;
        assert_eq!(scene.source.asked(), 2, "no second computation");
        scene.source.release();

        assert_eq!(missed.await.unwrap(), Ok(1));
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.source.asked(), 2);
    assert_eq!(scene.stats("row").joined, 1);
}

#[tokio::test]
async fn an_invalidation_voids_a_refresh_that_runs() {
    for by_tag in [true, false] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.source.hold();
            scene.pass(DUE).await;
            row(&scene.source, 1).await.unwrap();
            // It has read the old row.
            scene.settle().await;
            assert_eq!(scene.source.asked(), 2);

            scene.source.write();
            match by_tag {
                true => scene.cache.invalidate_tags(["row"]).await.unwrap(),
                false => row_entry(1).invalidate().await.unwrap(),
            }
            scene.source.release();
            scene.settle().await;

            assert_eq!(row(&scene.source, 1).await, Ok(1));
            assert_eq!(scene.source.asked(), 3);
        };
        scene.cache.scope(test).await;
        assert_eq!(scene.stats("row").refused_fills, 1);
    }
}

/// The chance of a read to recompute early, seen through the cache: nothing is due by time, and a computation took 10 s.
#[cached(ttl = 60, skip(source, hangs), refresh)]
async fn hanging(source: &Source, hangs: &Arc<AtomicBool>) -> Result<u64, Down> {
    if hangs.swap(false, Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    source.read().await
}

#[tokio::test]
async fn a_refresh_that_hangs_keeps_no_later_value_from_being_refreshed() {
    let (scene, hangs) = (Scene::new(), Arc::new(AtomicBool::new(false)));
    let test = async {
        hanging(&scene.source, &hangs).await.unwrap();
        hangs.store(true, Ordering::SeqCst);
        scene.pass(DUE).await;
        hanging(&scene.source, &hangs).await.unwrap();
        scene.settle().await;
        assert!(!hangs.load(Ordering::SeqCst), "it hangs");
        scene.cache.invalidate_function("hanging").await.unwrap();
        hanging(&scene.source, &hangs).await.unwrap();

        scene.pass(DUE).await;
        hanging(&scene.source, &hangs).await.unwrap();
        scene.settle().await;

        assert_eq!(scene.source.asked(), 3, "the first, the one after the invalidation, and its refresh");
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn costly_values_are_recomputed_early_by_chance() {
    const READS: u32 = 4_000;
    let mut early = 0;
    for seed in 0..u64::from(READS / 100) {
        let scene = Scene::with(Cache::builder().seed(seed));
        let test = async {
            for id in 0..100 {
                scene.source.hold();
                let mut computing = Box::pin(row(&scene.source, id));
                assert!(waits(&mut computing).await);
                scene.clock.advance(Duration::from_secs(10));
                scene.source.release();
                computing.await.unwrap();
                // 20 s before the end.
                scene.pass(Duration::from_secs(40)).await;
                let before = scene.stats("row").refreshes;
                row(&scene.source, id).await.unwrap();
                scene.settle().await;
                early += u32::from(scene.stats("row").refreshes > before);
            }
        };
        scene.cache.scope(test).await;
    }

    let expected = (-2.0_f64).exp();
    let rate = f64::from(early) / f64::from(READS);
    let deviation = (expected * (1.0 - expected) / f64::from(READS)).sqrt();
    assert!((rate - expected).abs() < 5.0 * deviation, "{rate}, not {expected}");
}

#[cached(ttl = 60, skip(source), refresh, none_ttl = 60)]
async fn perhaps(source: &Source, id: u64) -> Option<u64> {
    let row = source.read().await.unwrap_or(0);
    (row >= id).then_some(row)
}

#[tokio::test]
async fn a_remembered_none_is_refreshed_too() {
    let scene = Scene::new();
    let test = async {
        assert_eq!(perhaps(&scene.source, 1).await, None);
        scene.source.write();
        scene.pass(DUE).await;
        assert_eq!(perhaps(&scene.source, 1).await, None);
        scene.settle().await;
        assert_eq!(perhaps(&scene.source, 1).await, Some(1));
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("perhaps").misses.total(), 1);
}

#[cached(ttl = 60, skip(source), refresh, err_ttl = 60, tier = local)]
async fn failing(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn a_remembered_error_is_refreshed_and_takes_no_value_away() {
    let scene = Scene::new();
    let test = async {
        scene.source.set_down(true);
        assert!(failing(&scene.source).await.is_err());
        scene.source.set_down(false);
        scene.pass(DUE).await;
        assert!(failing(&scene.source).await.is_err(), "remembered");
        scene.settle().await;
        assert_eq!(failing(&scene.source).await, Ok(0), "and recomputed meanwhile");

        scene.source.set_down(true);
        scene.pass(DUE).await;
        assert_eq!(failing(&scene.source).await, Ok(0));
        scene.settle().await;
        assert_eq!(failing(&scene.source).await, Ok(0), "a failure in the background takes nothing away");
    };
    scene.cache.scope(test).await;
}

#[test]
fn without_a_runtime_a_value_is_served_to_its_end_and_computed_then() {
    let (stage, source) = (support::Stage::new(), Source::new());
    stage.run(row(&source, 1)).unwrap();
    stage.clock.advance(DUE);
    stage.run(row(&source, 1)).unwrap();
    assert_eq!(source.asked(), 1);

    stage.clock.advance(MINUTE);
    stage.run(row(&source, 1)).unwrap();

    assert_eq!(source.asked(), 2);
}

#[cached(ttl = 60, skip(source), refresh)]
async fn panicking(source: &Source) -> u64 {
    source.read().await.expect("the source answers")
}

#[tokio::test]
async fn a_refresh_that_panics_counts_as_failed_and_rests() {
    let scene = Scene::new();
    let test = async {
        panicking(&scene.source).await;
        scene.source.set_down(true);
        scene.pass(DUE).await;
        for _ in 0..5 {
            assert_eq!(panicking(&scene.source).await, 0);
            scene.settle().await;
        }
        assert_eq!(scene.source.asked(), 2, "it rests");
        scene.source.set_down(false);
        scene.pass(Duration::from_secs(2)).await;
        panicking(&scene.source).await;
        scene.settle().await;
        assert_eq!(scene.source.asked(), 3);
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.cache.computations_in_flight(), 0);
}

#[cached(ttl = 60, skip(source), grace = "10m")]
async fn inner(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[cached(ttl = 60, skip(source), refresh)]
async fn outer(source: &Source) -> Result<u64, Down> {
    inner(source).await
}

#[tokio::test]
async fn what_is_refreshed_runs_in_the_scope_of_who_asked() {
    let (one, two) = (Scene::new(), Scene::new());
    for scene in [&one, &two] {
        let test = async {
            assert_eq!(outer(&scene.source).await, Ok(0));
            scene.source.write();
            scene.cache.invalidate_function("inner").await.unwrap();
            scene.pass(DUE).await;
            outer(&scene.source).await.unwrap();
            scene.settle().await;
            assert_eq!(outer(&scene.source).await, Ok(1));
        };
        scene.cache.scope(test).await;
        assert_eq!(scene.stats("inner").computations, 2, "in this cache, and no other");
    }
}

#[tokio::test]
async fn a_refresh_that_found_another_computation_is_asked_for_again_when_that_fails() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.pass(DUE).await;
        scene.source.hold();
        scene.source.set_down(true);
        let mut forced = Box::pin(row_refresh(&scene.source, 1));
        assert!(waits(&mut forced).await);
        row(&scene.source, 1).await.unwrap();
        scene.settle().await;
        scene.source.release();
        assert!(forced.await.is_err());
        assert_eq!(scene.source.asked(), 2);

        scene.source.set_down(false);
        scene.pass(Duration::from_secs(1)).await;
        row(&scene.source, 1).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.source.asked(), 3);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn looking_without_the_function_takes_no_refresh_away() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.pass(DUE).await;
        let key = row_entry(1).key().unwrap().clone();
        let options = larder::Options::ttl(MINUTE).tags(["row"]);
        assert_eq!(scene.cache.get::<u64>(&key, &options).await.unwrap(), Some(0));
        row(&scene.source, 1).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = 60, refresh, skip(source))]
async fn panics_later(source: &Source) -> u64 {
    assert_eq!(source.read().await, Ok(0), "on purpose");
    0
}

#[tokio::test]
async fn a_refresh_that_panics_has_failed() {
    let scene = Scene::new();
    let mut events = scene.cache.subscribe();
    let test = async {
        panics_later(&scene.source).await;
        scene.source.write();
        scene.pass(DUE).await;
        assert_eq!(panics_later(&scene.source).await, 0);
        scene.settle().await;
    };
    scene.cache.scope(test).await;

    let stats = scene.stats("panics_later");
    assert_eq!((stats.refreshes, stats.failed_refreshes), (1, 1));
    let mut told = std::iter::from_fn(|| events.try_next());
    assert!(told.any(|event| matches!(event, larder::Event::FailedRefresh { .. })));
}
