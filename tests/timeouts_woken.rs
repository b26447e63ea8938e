//! `timeout(hard = ..)` ends a wait of any kind at its time: nothing else need happen for the call to be woken and to answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Cache, cached};
use support::pair::Pair;
use support::processes::{hears, until};
use support::source::{Down, Source};
use support::{Stage, Task};

const HARD: Duration = Duration::from_secs(2);

#[cached(ttl = 60, skip(source), name = "woken/row", timeout(hard = "2s"))]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[cached(ttl = 60, skip(source), name = "woken/row", each = ids)]
async fn rows(source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let row = source.read().await?;
    Ok(ids.iter().map(|id| (*id, row)).collect())
}

#[test]
fn who_follows_a_computation_that_others_took_over_gives_up_in_time() {
    let (stage, source) = (Stage::new(), Source::new());
    source.hold();
    let mut first = stage.begin(row(&source, 1));
    stage.clock.advance(HARD / 2);
    let mut second = stage.begin(row(&source, 1));
    stage.clock.advance(HARD / 4);
    let mut third = stage.begin(row(&source, 1));
    stage.clock.advance(HARD / 4);
    assert!(!first.waits(), "its time is over");
    assert!(third.waits() && second.waits(), "one of them leads, the other one follows");

    stage.clock.advance(HARD / 2);

    assert!(!second.waits(), "so is its own");
    stage.clock.advance(HARD / 4);
    assert!(!third.waits());
    assert_eq!(stage.stats("woken/row").hard_timeouts, 3);
}

#[test]
fn who_follows_a_call_that_is_not_polled_gives_up_in_time() {
    let (stage, source) = (Stage::new(), Source::new());
    source.hold();
    let _leader = stage.begin(row(&source, 1));
    stage.clock.advance(HARD / 4);
    let mut follower = stage.begin(row(&source, 1));

    for _ in 0..3 {
        stage.clock.advance(HARD / 4);
        assert!(follower.waits());
    }
    stage.clock.advance(HARD / 4);

    assert!(!follower.waits());
}

#[test]
fn who_follows_a_batch_gives_up_in_time() {
    let (stage, source, other) = (Stage::new(), Source::new(), Source::new());
    source.hold();
    let mut batch = stage.begin(rows(&source, &[1, 2]));
    let mut call = stage.begin(row(&other, 1));

    for _ in 0..4 {
        assert!(call.waits() && batch.waits());
        stage.clock.advance(HARD / 4);
    }

    assert!(!call.waits());
}

#[cached(ttl = 60, skip(source, cache), cache = cache, name = "woken/short", timeout(hard = "50ms"))]
async fn short(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

#[cached(ttl = 60, skip(source, cache), cache = cache, name = "woken/short")]
async fn unbounded(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

#[tokio::test]
async fn who_waits_for_another_process_gives_up_in_time() {
    let (pair, held, source) = (Pair::new(), Source::new(), Source::new());
    hears(&pair.cache).await;
    hears(&pair.other).await;
    held.hold();
    let _other = Task::begun(unbounded(&pair.other, &held, 1));
    until(|| held.asked() == 1).await;
    let mut call = Task::new(short(&pair.cache, &source, 1));
    for _ in 0..100 {
        assert!(call.waits());
        tokio::task::yield_now().await;
    }

    pair.pass(Duration::from_millis(50)).await;

    assert!(!call.waits());
    assert_eq!(source.asked(), 0);
}

#[tokio::test]
async fn whose_value_is_on_its_way_to_the_shared_tier_gives_up_in_time() {
    for forced in [false, true] {
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        let gate = pair.faults.hold(Operation::Fill);
        let mut call = Task::new(async {
            match forced {
                false => short(&pair.cache, &source, 1).await,
                true => short_refresh(&pair.cache, &source, 1).await,
            }
        });
        let mut arrived = Task::new(gate.arrived());
        while arrived.waits() {
            assert!(call.waits());
            tokio::task::yield_now().await;
        }

        pair.pass(Duration::from_millis(50)).await;

        assert!(!call.waits(), "forced: {forced}");
    }
}
