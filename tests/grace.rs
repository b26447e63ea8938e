//! `grace`: a stale value stands in when a new one cannot be had, and an invalidated one never does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;

use std::time::Duration;

use larder::{Cache, Options, cached};
use support::source::{Down, Scene, Source, waits};
use support::{MINUTE, MOMENT};

/// As in the attribute below.
const GRACE: Duration = Duration::from_secs(600);
/// The longest rest after a first failure.
const REST: Duration = Duration::from_millis(500);

#[cached(ttl = 60, tags = ["row"], skip(source), grace = "10m")]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[tokio::test]
async fn a_stale_value_stands_in_for_a_failure_up_to_the_end_of_its_grace() {
    for (after, stands_in) in [
        (MINUTE, true),
        (MINUTE + GRACE - MOMENT, true),
        (MINUTE + GRACE, false),
        (MINUTE + GRACE + MOMENT, false),
    ] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.source.set_down(true);
            scene.pass(after).await;
            row(&scene.source, 1).await
        };
        let answer = scene.cache.scope(test).await;

        assert_eq!(answer.is_ok(), stands_in, "{after:?}");
        assert_eq!(scene.source.asked(), 2, "it is tried, at {after:?}");
        let stats = scene.stats("row");
        assert_eq!(stats.stale, u64::from(stands_in));
        assert_eq!(stats.calls(), 2);
    }
}

#[tokio::test]
async fn a_new_value_is_preferred_where_it_can_be_had() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.write();
        scene.pass(MINUTE).await;
        row(&scene.source, 1).await
    };

    assert_eq!(scene.cache.scope(test).await, Ok(1));
    assert_eq!(scene.stats("row").stale, 0);
}

#[tokio::test]
async fn after_a_failure_the_next_attempt_waits_for_all_callers() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.pass(MINUTE).await;

        for _ in 0..10 {
            assert_eq!(row(&scene.source, 1).await, Ok(0));
        }
        assert_eq!(scene.source.asked(), 2);
        scene.pass(REST).await;
        row(&scene.source, 1).await.unwrap();
        assert_eq!(scene.source.asked(), 3);
        // Twice as long now.
        scene.pass(REST / 2 - MOMENT).await;
        row(&scene.source, 1).await.unwrap();
        assert_eq!(scene.source.asked(), 3);
        scene.pass(2 * REST).await;

        scene.source.set_down(false);
        scene.source.write();
        assert_eq!(row(&scene.source, 1).await, Ok(1));
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("row").stale, 12);
}

#[tokio::test]
async fn who_expires_a_value_is_not_kept_waiting_by_an_earlier_failure() {
    for way in ["the entry", "a tag", "the function", "the entry, put anew"] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.pass(MINUTE).await;
            scene.source.set_down(true);
            assert_eq!(row(&scene.source, 1).await, Ok(0));
            scene.source.set_down(false);
            let written = scene.source.write();
            assert_eq!(row(&scene.source, 1).await, Ok(0), "it rests");

            match way {
                "the entry" => row_entry(1).expire().await.unwrap(),
                "a tag" => scene.cache.expire_tags(["row"]).await.unwrap(),
                "the function" => row_entry(1).expire_function().await.unwrap(),
                _ => {
                    row_entry(1).put(Ok(7)).await.unwrap();
                    row_entry(1).expire().await.unwrap();
                }
            }

            assert_eq!(row(&scene.source, 1).await, Ok(written), "{way}");
        };
        scene.cache.scope(test).await;
    }
}

#[tokio::test]
async fn after_an_expiry_each_failure_rests_again() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);

        for asked in 2..5 {
            scene.cache.expire_tags(["row"]).await.unwrap();
            for _ in 0..3 {
                assert_eq!(row(&scene.source, 1).await, Ok(0));
            }
            assert_eq!(scene.source.asked(), asked, "one attempt for each");
        }
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn followers_get_the_value_that_stands_in() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut calls: Vec<_> = (0..5).map(|_| Box::pin(row(&scene.source, 1))).collect();
        for call in &mut calls {
            assert!(waits(call).await);
        }

        scene.source.release();

        for call in calls {
            assert_eq!(call.await, Ok(0));
        }
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.source.asked(), 2);
    let stats = scene.stats("row");
    assert_eq!((stats.stale, stats.calls()), (5, 6));
}

#[tokio::test]
async fn an_invalidated_value_never_stands_in_and_an_expired_one_may() {
    for (invalidate, stands_in) in [(0, false), (1, false), (2, false), (3, true), (4, true), (5, true)] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.source.set_down(true);
            match invalidate {
                0 => row_entry(1).invalidate().await,
                1 => scene.cache.invalidate_tags(["row"]).await,
                2 => row_entry(1).invalidate_function().await,
                3 => row_entry(1).expire().await,
                4 => scene.cache.expire_tags(["row"]).await,
                _ => row_entry(1).expire_function().await,
            }
            .unwrap();
            row(&scene.source, 1).await
        };

        assert_eq!(scene.cache.scope(test).await.is_ok(), stands_in, "case {invalidate}");
    }
}

#[cached(ttl = 60, tags = ["row"], skip(source), refresh)]
async fn without(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn without_grace_nothing_stands_in_also_not_within_the_ttl() {
    for by_tag in [true, false] {
        let scene = Scene::new();
        let test = async {
            without(&scene.source).await.unwrap();
            scene.source.set_down(true);
            match by_tag {
                true => scene.cache.expire_tags(["row"]).await.unwrap(),
                false => without_entry().expire().await.unwrap(),
            }
            assert!(without(&scene.source).await.is_err());
            assert!(without(&scene.source).await.is_err());
        };
        scene.cache.scope(test).await;
        assert_eq!(scene.source.asked(), 3, "and no attempt waits");
    }
}

#[tokio::test]
async fn what_is_invalidated_while_a_computation_fails_does_not_stand_in() {
    for by_tag in [true, false] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.source.set_down(true);
            scene.source.hold();
            scene.pass(MINUTE).await;
            let mut call = Box::pin(row(&scene.source, 1));
            assert!(waits(&mut call).await);
            match by_tag {
                true => scene.cache.invalidate_tags(["row"]).await.unwrap(),
                false => row_entry(1).invalidate().await.unwrap(),
            }
            scene.source.release();
            call.await
        };

        assert!(scene.cache.scope(test).await.is_err());
    }
}

#[tokio::test]
async fn the_grace_of_an_expired_value_begins_when_it_is_expired() {
    for (after, stands_in) in [(GRACE - MOMENT, true), (GRACE, false)] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.source.set_down(true);
            row_entry(1).expire().await.unwrap();
            scene.pass(after).await;
            row(&scene.source, 1).await
        };

        assert_eq!(scene.cache.scope(test).await.is_ok(), stands_in, "{after:?}");
    }
}

#[tokio::test]
async fn peek_tells_that_a_value_is_stale_and_how_old_it_is() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        for (wait, is_fresh) in [(MINUTE - MOMENT, true), (MOMENT, false)] {
            scene.pass(wait).await;
            let peek = row_entry(1).peek().await.unwrap().expect("it is stored");
            assert_eq!((peek.value, peek.is_fresh), (Ok(0), is_fresh));
        }
        let age = row_entry(1).peek().await.unwrap().expect("it is stored").age;
        assert!(age.abs_diff(MINUTE) < Duration::from_millis(1), "{age:?}");
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn f_refresh_tells_how_it_went() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);

        assert!(row_refresh(&scene.source, 1).await.is_err());
        assert_eq!(row(&scene.source, 1).await, Ok(0), "what was stored stays");
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = 60, skip(source), grace = "10m", err_ttl = 30, tier = local)]
async fn remembering(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn an_error_is_not_remembered_in_place_of_a_value_that_stands_in() {
    let scene = Scene::new();
    let test = async {
        remembering(&scene.source).await.unwrap();
        scene.source.set_down(true);
        scene.pass(MINUTE).await;
        assert_eq!(remembering(&scene.source).await, Ok(0));
        scene.pass(MINUTE + GRACE).await;
        assert!(remembering(&scene.source).await.is_err(), "nothing stands in any more");
        scene.source.set_down(false);
        assert!(remembering(&scene.source).await.is_err(), "so it is remembered");
        scene.pass(Duration::from_secs(30)).await;
        assert_eq!(remembering(&scene.source).await, Ok(0));
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn stale_values_stand_in_without_the_macro_too() {
    let scene = Scene::new();
    let key = larder::Key::of("direct", 1).unwrap();
    let options = Options::ttl(MINUTE).grace(GRACE);
    let ask = || scene.cache.try_get_or_compute(&key, &options, || scene.source.read());
    assert_eq!(ask().await, Ok(0));
    scene.source.set_down(true);
    scene.clock.advance(MINUTE);

    assert_eq!(ask().await, Ok(0));
    assert_eq!(ask().await, Ok(0));
    assert_eq!(scene.source.asked(), 2);
    assert_eq!(scene.cache.get::<u64>(&key, &options).await.unwrap(), None, "it is not fresh");
    scene.clock.advance(GRACE);

    assert!(ask().await.is_err());
}

#[tokio::test]
async fn a_stale_value_is_kept_by_the_sweep_and_goes_with_its_grace() {
    let scene = Scene::with(Cache::builder());
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.pass(MINUTE + GRACE - MOMENT).await;
        assert_eq!(scene.cache.stats().local_entries, 1);
        scene.pass(MOMENT).await;
        assert_eq!(scene.cache.stats().local_entries, 0);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn who_joins_a_failing_f_refresh_gets_the_value_that_stands_in() {
    let scene = Scene::new();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.source.hold();
        scene.pass(MINUTE).await;
        let mut forced = Box::pin(row_refresh(&scene.source, 1));
        assert!(waits(&mut forced).await);
        let mut call = Box::pin(row(&scene.source, 1));
        assert!(waits(&mut call).await);
        scene.source.release();

        assert!(forced.await.is_err());
        assert_eq!(call.await, Ok(0));
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.source.asked(), 2);
}

#[tokio::test]
async fn a_batch_that_answers_an_error_has_answered_nothing_stale() {
    #[cached(ttl = 60, each = ids, skip(source), grace = "1h")]
    async fn rows(source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
        let row = source.read().await?;
        Ok(ids.iter().map(|id| (*id, row)).collect())
    }
    let scene = Scene::new();
    let test = async {
        rows(&scene.source, &[1]).await.unwrap();
        scene.pass(MINUTE).await;
        scene.source.set_down(true);
        let mut events = scene.cache.subscribe();

        assert!(rows(&scene.source, &[1, 2]).await.is_err(), "nothing stands in for 2");

        let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(!told.iter().any(|event| matches!(event, larder::Event::Stale { .. })), "{told:?}");
        assert_eq!(scene.stats("rows").stale, 0);

        assert_eq!(rows(&scene.source, &[1]).await, Ok(HashMap::from([(1, 0)])));
        assert_eq!(scene.stats("rows").stale, 1);
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = "1h", local_ttl = "5s", grace = "10m", skip(source))]
async fn for_a_moment(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn what_is_expired_stands_in_for_its_grace_and_not_for_what_the_local_ttl_cuts_off() {
    for (after, stands_in) in [(GRACE - MOMENT, true), (GRACE, false)] {
        let scene = Scene::new();
        let test = async {
            for_a_moment(&scene.source).await.unwrap();
            for_a_moment_entry().expire().await.unwrap();
            scene.source.set_down(true);
            scene.pass(after).await;
            for_a_moment(&scene.source).await
        };
        assert_eq!(scene.cache.scope(test).await.is_ok(), stands_in, "{after:?} after its expiry");
    }
}
