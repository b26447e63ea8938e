//! `stagger`: what was filled together does not expire together.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use larder::{Cache, Key, Options, cached};
use support::source::Scene;

const HOUR: Duration = Duration::from_secs(3600);
const ENTRIES: u64 = 10_000;

#[cached(ttl = "1h", stagger = 0.2)]
async fn dishes(id: u64) -> u64 {
    id
}

/// How many of the entries are there yet in each hundredth of the hour's last fifth.
async fn alive(scene: &Scene, is_alive: impl AsyncFn(u64) -> bool) -> Vec<u64> {
    let mut told = Vec::new();
    scene.clock.advance(HOUR.mul_f64(0.8));
    for _ in 0..=20 {
        let mut count = 0;
        for id in 0..ENTRIES {
            count += u64::from(is_alive(id).await);
        }
        told.push(count);
        scene.clock.advance(HOUR / 100);
    }
    told
}

/// Uniform over the last fifth: the number alive falls by a twentieth of all in each step.
fn assert_spread(alive: &[u64]) {
    assert_eq!(alive[0], ENTRIES, "a fifth is the most");
    assert_eq!(alive[20], 0, "the ttl is never lengthened");
    for (step, alive) in alive.iter().enumerate() {
        let share = 1.0 - step as f64 / 20.0;
        let expected = ENTRIES as f64 * share;
        let deviation = (ENTRIES as f64 * share * (1.0 - share)).sqrt();
        assert!(
            (*alive as f64 - expected).abs() <= 5.0 * deviation + 1.0,
            "step {step}: {alive}, not {expected}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_entries_of_one_second_expire_spread_over_the_window() {
    let scene = Scene::with(Cache::builder().seed(11));
    let test = async {
        for id in 0..ENTRIES {
            dishes(id).await;
        }
        let is_fresh = async |id| dishes_entry(id).peek().await.unwrap().is_some_and(|peek| peek.is_fresh);
        assert_spread(&alive(&scene, is_fresh).await);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn values_that_are_put_are_staggered_too() {
    for by_handle in [true, false] {
        let scene = Scene::with(Cache::builder().seed(12));
        let options = Options::ttl(HOUR).stagger(0.2);
        let key = |id: u64| Key::of("direct", id).unwrap();
        let test = async {
            for id in 0..ENTRIES {
                match by_handle {
                    true => dishes_entry(id).put(id).await.unwrap(),
                    false => scene.cache.put(&key(id), id, &options).await.unwrap(),
                }
            }
            let is_fresh = async |id| match by_handle {
                true => dishes_entry(id).peek().await.unwrap().is_some_and(|peek| peek.is_fresh),
                false => scene.cache.get::<u64>(&key(id), &options).await.unwrap().is_some(),
            };
            assert_spread(&alive(&scene, is_fresh).await);
        };
        scene.cache.scope(test).await;
    }
}
