//! `timeout(soft = .., hard = ..)`: what answers when a computation takes too long.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use larder::cached;
use support::MINUTE;
use support::source::{Down, Scene, Source, waits};

const SOFT: Duration = Duration::from_millis(50);
const HARD: Duration = Duration::from_secs(2);
const MILLISECOND: Duration = Duration::from_millis(1);

#[cached(ttl = 60, tags = ["row"], skip(source), grace = "10m", timeout(soft = "50ms", hard = "2s"))]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[tokio::test]
async fn after_the_soft_timeout_the_stale_value_answers_and_the_computation_goes_on() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.write();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut calls: Vec<_> = (0..3).map(|_| Box::pin(row(&scene.source, 1))).collect();
        for call in &mut calls {
            assert!(waits(call).await);
        }
        scene.pass(SOFT - MILLISECOND).await;
        for call in &mut calls {
            assert!(waits(call).await, "not yet");
        }

        scene.pass(MILLISECOND).await;

        for call in calls {
            assert_eq!(call.await, Ok(0));
        }
        assert_eq!(scene.source.asked(), 2, "one computation for all");
        scene.source.release();
        scene.settle().await;
        assert_eq!(row(&scene.source, 1).await, Ok(1), "it was stored when it was done");
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;

    let stats = scene.stats("row");
    assert_eq!((stats.stale, stats.soft_timeouts, stats.hard_timeouts), (3, 3, 0));
    assert_eq!(stats.calls(), 5);
}

#[tokio::test]
async fn a_value_that_is_there_in_time_answers() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.write();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.pass(SOFT - MILLISECOND).await;
        scene.source.release();
        call.await
    };

    assert_eq!(scene.cache.scope(test).await, Ok(1));
    let stats = scene.stats("row");
    assert_eq!((stats.stale, stats.soft_timeouts, stats.misses.total()), (0, 0, 2));
}

#[tokio::test]
async fn without_a_stale_value_a_call_waits_up_to_the_hard_timeout_and_gives_up_with_an_error() {
    let scene = Scene::new();
    let test = async {
        scene.source.hold();
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.pass(HARD - MILLISECOND).await;
        assert!(waits(&mut call).await, "not yet");
        scene.pass(MILLISECOND).await;
        call.await
    };

    let error = scene.cache.scope(test).await.unwrap_err();
    assert!(error.0.contains("row: it took longer than 2s"), "{error}");
    assert_eq!(scene.cache.computations_in_flight(), 0);
    assert_eq!(scene.stats("row").hard_timeouts, 1);
}

#[tokio::test]
async fn followers_have_hard_timeouts_of_their_own() {
    let scene = Scene::new();
    let test = async {
        scene.source.hold();
        let mut first = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut first).await);
        scene.pass(HARD / 2).await;
        let mut second = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut second).await);

        scene.pass(HARD / 2).await;
        assert!(first.await.is_err());
        assert!(waits(&mut second).await, "it takes over");
        scene.source.release();

        second.await
    };
    assert_eq!(scene.cache.scope(test).await, Ok(0));
}

#[tokio::test]
async fn who_follows_a_leader_that_goes_away_computes_within_what_is_left_of_the_soft_timeout() {
    for is_quick in [true, false] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.pass(MINUTE).await;
            let written = scene.source.write();
            scene.source.hold();
            let mut leader = Box::pin(row_refresh(&scene.source, 1));
            assert!(waits(&mut leader).await);
            let mut call = Box::pin(row(&scene.source, 1));
            assert!(waits(&mut call).await, "it follows");
            scene.pass(SOFT / 2).await;

            drop(leader);

            assert!(waits(&mut call).await, "it computes");
            scene.settle().await;
            assert_eq!(scene.source.asked(), 3);
            if is_quick {
                scene.source.release();
                assert_eq!(call.await, Ok(written));
            } else {
                scene.pass(SOFT / 2 - MILLISECOND).await;
                assert!(waits(&mut call).await, "not yet");
                scene.pass(MILLISECOND).await;
                assert_eq!(call.await, Ok(0));
            }
        };
        scene.cache.scope(test).await;
    }
}

#[tokio::test]
async fn a_computation_in_the_background_ends_at_the_hard_timeout() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.pass(SOFT).await;
        assert_eq!(call.await, Ok(0));
        assert_eq!(scene.cache.computations_in_flight(), 1);

        scene.pass(HARD).await;

        assert_eq!(scene.cache.computations_in_flight(), 0);
        // And it counts as a failure: the next attempt rests.
        assert_eq!(row(&scene.source, 1).await, Ok(0));
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("row").hard_timeouts, 1);
}

/// Whoever follows it when it ends so begins no other: the next attempt waits.
#[tokio::test]
async fn nor_is_another_begun_by_who_waits_for_one_that_takes_too_long() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut first = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut first).await);
        scene.pass(SOFT).await;
        assert_eq!(first.await, Ok(0));
        scene.pass(HARD - MILLISECOND).await;
        let mut later = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut later).await, "it follows");

        scene.pass(MILLISECOND).await;

        assert!(!waits(&mut later).await, "it waits for nothing any more");
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("row").stale, 2);
}

#[tokio::test]
async fn a_computation_that_ends_after_an_invalidation_is_not_stored() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.pass(SOFT).await;
        assert_eq!(call.await, Ok(0));

        scene.source.write();
        scene.cache.invalidate_tags(["row"]).await.unwrap();
        scene.source.release();
        scene.settle().await;

        assert_eq!(row(&scene.source, 1).await, Ok(1));
        assert_eq!(scene.source.asked(), 3);
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("row").refused_fills, 1);
}

#[tokio::test]
async fn a_value_that_is_invalidated_while_a_call_waits_does_not_answer_it() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.source.write();
        row_entry(1).invalidate().await.unwrap();

        scene.pass(SOFT).await;
        assert!(waits(&mut call).await, "it waits for a value");
        scene.source.release();

        call.await
    };
    assert_eq!(scene.cache.scope(test).await, Ok(1));
}

#[tokio::test]
async fn a_failure_within_the_soft_timeout_has_the_stale_value_answer() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.pass(MINUTE).await;
        row(&scene.source, 1).await
    };

    assert_eq!(scene.cache.scope(test).await, Ok(0));
    let stats = scene.stats("row");
    assert_eq!((stats.stale, stats.soft_timeouts, stats.misses.total(), stats.errors), (1, 0, 1, 1));
}

#[cached(ttl = 60, skip(source), grace = "10m", timeout(soft = "50ms"))]
async fn found(source: &Source) -> Result<Option<u64>, Down> {
    source.read().await.map(|row| (row == 0).then_some(row))
}

#[tokio::test]
async fn that_there_is_nothing_answers_in_time_though_it_is_not_stored() {
    let scene = Scene::new();
    let test = async {
        assert_eq!(found(&scene.source).await, Ok(Some(0)));
        scene.source.write();
        scene.pass(MINUTE).await;
        found(&scene.source).await
    };

    assert_eq!(scene.cache.scope(test).await, Ok(None));
    assert_eq!((scene.stats("found").stale, scene.stats("found").misses.total()), (0, 2));
}

#[cached(ttl = 60, err_ttl = 60, skip(source), grace = 1, tier = local, timeout(soft = "5s"))]
async fn erring(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn an_error_that_was_computed_after_the_end_of_the_grace_is_no_stale_answer() {
    let scene = Scene::new();
    let test = async {
        erring(&scene.source).await.unwrap();
        scene.pass(MINUTE).await;
        scene.source.set_down(true);
        scene.source.hold();
        let mut call = Box::pin(erring(&scene.source));
        assert!(waits(&mut call).await);
        scene.pass(Duration::from_secs(2)).await;

        scene.source.release();

        call.await.unwrap_err();
    };
    scene.cache.scope(test).await;
    let stats = scene.stats("erring");
    assert_eq!((stats.stale, stats.misses.total(), stats.computations), (0, 2, 2));
}

#[cached(ttl = 60, skip(source), timeout(hard = "2s"))]
async fn bounded(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn a_hard_timeout_needs_no_grace() {
    let scene = Scene::new();
    let test = async {
        scene.source.hold();
        let mut call = Box::pin(bounded(&scene.source));
        assert!(waits(&mut call).await);
        scene.pass(HARD).await;
        assert!(call.await.is_err());
        let mut forced = Box::pin(bounded_refresh(&scene.source));
        assert!(waits(&mut forced).await);
        scene.pass(HARD).await;
        assert!(forced.await.is_err());
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("bounded").hard_timeouts, 2);
}

#[cached(ttl = 60, skip(source), grace = "10m", timeout(hard = "2s"))]
async fn graced(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn after_the_hard_timeout_a_stale_value_stands_in_where_there_is_one() {
    let scene = Scene::new();
    let test = async {
        graced(&scene.source).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut call = Box::pin(graced(&scene.source));
        assert!(waits(&mut call).await);
        scene.pass(HARD).await;
        assert_eq!(call.await, Ok(0));
        assert_eq!(graced(&scene.source).await, Ok(0), "the next attempt rests");
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
    let stats = scene.stats("graced");
    assert_eq!((stats.stale, stats.hard_timeouts, stats.calls()), (2, 1, 3));
}

#[tokio::test]
async fn many_who_waited_for_one_computation_are_one_failure() {
    let scene = Scene::new();
    let test = async {
        graced(&scene.source).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut calls: Vec<_> = (0..10).map(|_| Box::pin(graced(&scene.source))).collect();
        for call in &mut calls {
            assert!(waits(call).await);
        }
        scene.pass(HARD).await;
        for call in calls {
            assert_eq!(call.await, Ok(0));
        }
        // The first rest is half a second at most.
        scene.source.release();
        scene.source.write();
        scene.pass(Duration::from_millis(500)).await;
        assert_eq!(graced(&scene.source).await, Ok(1));
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn shutting_down_ends_what_a_stale_value_has_answered_for() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.pass(SOFT).await;
        assert_eq!(call.await, Ok(0));
        assert_eq!(scene.cache.computations_in_flight(), 1);

        scene.cache.shutdown().await;

        assert_eq!(scene.cache.computations_in_flight(), 0);
    };
    scene.cache.scope(test).await;
}
