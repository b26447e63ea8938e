//! What calls and invalidations do when the shared tier fails: it is down, its messages or answers are lost, it does
//! late what it was asked for.
//!
//! Time stands still unless a test moves it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage, Operation};
use larder::backend::Memory;
use larder::{Cache, ErrorKind};
use support::processes::{Source, hears, hour, key, process, until};
use tokio::sync::Notify;

/// A process whose shared tier fails on demand, and another one whose does not.
struct Stage {
    cache: Cache,
    other: Cache,
    faults: Faults,
    clock: ManualClock,
    store: Memory,
}

const STALENESS: Duration = Duration::from_secs(2);

impl Stage {
    fn new() -> Self {
        let store = MemoryStage::new().memory().clone();
        let clock = ManualClock::new();
        let (backend, faults) = Faulty::new(store.clone());
        let cache = Cache::builder().prefix("app").shared(backend).clock(clock.clock()).build().unwrap();
        Self { cache, other: process(&store), faults, clock, store }
    }

    /// Moves the clock on, so that whatever waits for time goes on.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn comes_about(&self, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                self.pass(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(support::processes::SOON, waiting).await.expect("it does not come about");
    }

    fn is_away(&self) -> bool {
        self.cache.stats().shared.unwrap().is_away
    }
}

#[tokio::test]
async fn calls_go_on_without_a_shared_tier_that_is_down() {
    let (stage, source) = (Stage::new(), Source::default());
    stage.faults.set_down(true);

    for id in 0..100 {
        stage.cache.get_or_compute(&key(id), &hour(), || source.next()).await;
        assert_eq!(stage.cache.get_or_compute(&key(id), &hour(), || source.next()).await, id + 1);
    }

    let stats = stage.cache.stats();
    assert_eq!((stats.hits(), stats.function("dishes").unwrap().misses.unreachable), (100, 100));
    assert!(stage.is_away());
    assert!(stage.faults.calls(Operation::Read) <= 3, "a dead server is asked again and again");
    assert_eq!(stage.faults.calls(Operation::Lease), 0, "who was not answered asks nothing else");
}

#[tokio::test]
async fn what_failed_last_is_told() {
    let (stage, source) = (Stage::new(), Source::default());
    let last_error = || stage.cache.stats().shared.unwrap().last_error;
    stage.cache.get_or_compute(&key(1), &hour(), || source.next()).await;
    assert_eq!(last_error(), None);

    stage.faults.set_down(true);
    stage.cache.invalidate_tags(["menu"]).await.unwrap_err();

    let told = last_error().unwrap();
    assert!(told.ends_with("as the test planned"), "{told}");
    assert!(stage.cache.stats().to_string().contains(&format!("last failure of the shared tier: {told}")));
}

/// However far away it is: else a process that goes on invalidating would never catch up.
#[tokio::test]
async fn what_waits_is_repeated_in_few_round_trips() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.faults.set_down(true);
    for id in 0..1_000 {
        stage.cache.invalidate(&key(id)).await.unwrap_err();
    }
    let before = stage.faults.calls(Operation::Invalidate);

    stage.faults.set_down(false);
    stage.comes_about(|stage| !stage.is_away()).await;

    assert_eq!(stage.cache.stats().shared.unwrap().repeated_invalidations, 1_000);
    let calls = stage.faults.calls(Operation::Invalidate) - before;
    assert!(calls <= 5, "{calls} round trips");
}

#[tokio::test]
async fn a_shared_tier_that_is_back_is_used_again() {
    let (stage, source) = (Stage::new(), Source::default());
    stage.faults.set_down(true);
    for id in 0..10 {
        stage.cache.get_or_compute(&key(id), &hour(), || source.next()).await;
    }

    stage.faults.set_down(false);
    stage.comes_about(|stage| !stage.is_away()).await;

    stage.cache.get_or_compute(&key(99), &hour(), || source.next()).await;
    assert_eq!(stage.other.get::<u64>(&key(99), &hour()).await.unwrap(), Some(11));
}

#[tokio::test]
async fn an_invalidation_that_cannot_reach_the_shared_tier_says_so_and_is_repeated() {
    for by_tag in [false, true] {
        let stage = Stage::new();
        let menu = hour().tags(["menu"]);
        stage.cache.put(&key(1), 1_u64, &menu).await.unwrap();
        stage.faults.set_down(true);

        let refused = match by_tag {
            true => stage.cache.invalidate_tags(["menu"]).await.unwrap_err(),
            false => stage.cache.invalidate(&key(1)).await.unwrap_err(),
        };

        assert_eq!(refused.kind(), ErrorKind::Unreachable);
        assert_eq!(stage.cache.stats().shared.unwrap().queued_invalidations, 1);
        assert_eq!(stage.other.get::<u64>(&key(1), &menu).await.unwrap(), Some(1), "it is still there");
        // Applied here, and not undone by what the shared tier still has.
        assert_eq!(stage.cache.get_or_compute(&key(1), &menu, async || 2_u64).await, 2);
        stage.faults.set_down(false);
        assert_ne!(stage.cache.get::<u64>(&key(1), &menu).await.ok().flatten(), Some(1));
        stage.comes_about(|stage| stage.cache.stats().shared.unwrap().queued_invalidations == 0).await;
        let fresh = process(&stage.store);
        assert_eq!(fresh.get::<u64>(&key(1), &menu).await.unwrap(), None);
        assert_eq!(stage.cache.stats().shared.unwrap().repeated_invalidations, 1);
    }
}

#[tokio::test]
async fn an_invalidation_that_could_not_reach_the_shared_tier_goes_with_the_cache_as_its_error_says() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.other.put(&key(1), 1_u64, &hour()).await.unwrap();
    stage.faults.set_down(true);
    let refused = stage.cache.invalidate(&key(1)).await.unwrap_err();
    let Stage { cache, faults, clock, store, .. } = stage;

    drop(cache);
    faults.set_down(false);
    for _ in 0..100 {
        clock.advance(Duration::from_millis(200));
        tokio::task::yield_now().await;
    }

    assert_eq!(process(&store).get::<u64>(&key(1), &hour()).await.unwrap(), Some(1));
    let told = refused.to_string();
    assert!(told.contains("as long as this process has a handle to the cache"), "{told}");
}

#[tokio::test]
async fn without_messages_the_local_tier_is_trusted_for_no_longer_than_its_staleness() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    stage.faults.set_deaf(true);
    stage.other.invalidate(&key(1)).await.unwrap();

    assert_eq!(stage.cache.get::<u64>(&key(1), &hour()).await.unwrap(), Some(1), "nobody told it");
    stage.pass(STALENESS).await;

    assert_eq!(stage.cache.get::<u64>(&key(1), &hour()).await.unwrap(), None);
}

#[tokio::test]
async fn cut_off_from_everything_a_value_is_used_for_no_longer_than_the_staleness() {
    let (stage, source) = (Stage::new(), Source::default());
    hears(&stage.cache).await;
    let (key, options) = (key(1), hour());
    let ask = || stage.cache.get_or_compute(&key, &options, || source.next());
    assert_eq!(ask().await, 1);
    stage.faults.set_down(true);
    stage.faults.set_deaf(true);

    assert_eq!(ask().await, 1);
    stage.pass(STALENESS).await;
    assert_eq!(ask().await, 2);
    stage.pass(STALENESS - Duration::from_millis(1)).await;
    assert_eq!(ask().await, 2, "what was computed here is not older than its computation");
    stage.pass(Duration::from_millis(1)).await;
    assert_eq!(ask().await, 3);
}

#[tokio::test]
async fn a_bus_that_is_silent_is_subscribed_to_anew() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    let before = stage.faults.calls(Operation::Subscribe);

    stage.faults.set_deaf(true);
    stage.comes_about(|stage| stage.faults.calls(Operation::Subscribe) > before).await;
    stage.faults.set_deaf(false);

    stage.comes_about(|stage| stage.cache.stats().shared.unwrap().is_confirmed).await;
}

#[tokio::test]
async fn an_invalidation_during_a_read_keeps_what_was_read_out_of_the_local_tier() {
    for by_tag in [false, true] {
        let stage = Stage::new();
        let menu = hour().tags(["menu"]);
        hears(&stage.cache).await;
        stage.other.put(&key(1), 1_u64, &menu).await.unwrap();
        let gate = stage.faults.hold_answer(Operation::Read);
        let key_one = key(1);
        let reading = stage.cache.get_or_compute(&key_one, &menu, async || 2_u64);
        let invalidating = async {
            gate.arrived().await;
            let heard = stage.cache.stats().shared.unwrap().messages;
            match by_tag {
                true => stage.other.invalidate_tags(["menu"]).await.unwrap(),
                false => stage.other.invalidate(&key(1)).await.unwrap(),
            }
            until(|| stage.cache.stats().shared.unwrap().messages > heard).await;
            gate.open();
        };

        let (read, ()) = tokio::join!(reading, invalidating);

        assert_eq!(read, 1, "it began before the invalidation");
        assert_eq!(stage.cache.get_or_compute(&key(1), &menu, async || 2_u64).await, 2, "by tag: {by_tag}");
    }
}

#[tokio::test]
async fn a_fill_that_runs_after_an_invalidation_is_refused() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    let late = stage.faults.run_late(Operation::Fill);
    assert_eq!(stage.cache.get_or_compute(&key(1), &hour(), async || 1_u64).await, 1);

    stage.other.invalidate(&key(1)).await.unwrap();
    late.run().await;

    assert_eq!(stage.other.get::<u64>(&key(1), &hour()).await.unwrap(), None);
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_given_up() {
    let (stage, source) = (Stage::new(), Source::default());
    stage.faults.lose_answer(Operation::Lease);

    assert_eq!(stage.cache.get_or_compute(&key(1), &hour(), || source.next()).await, 1);
    until(|| stage.faults.calls(Operation::Release) > 0).await;

    // The clock of the store stands still: a lease that was left would be in the way for ever.
    assert_eq!(stage.other.get_or_compute(&key(1), &hour(), || source.next()).await, 2);
}

#[tokio::test]
async fn a_lease_that_is_granted_after_its_asker_gave_up_delays_nobody_for_long() {
    let (stage, source) = (Stage::new(), Source::default());
    let late = stage.faults.run_late(Operation::Lease);
    assert_eq!(stage.cache.get_or_compute(&key(1), &hour(), || source.next()).await, 1);
    until(|| stage.faults.calls(Operation::Release) > 0).await;

    late.run().await;
    // Two steps: the first may come before the task sleeps.
    stage.pass(Duration::from_millis(100)).await;
    stage.pass(Duration::from_millis(200)).await;

    // The clock of the store stands still: a lease that was left would be in the way for ever.
    assert_eq!(stage.other.get_or_compute(&key(1), &hour(), || source.next()).await, 2);
}

#[tokio::test]
async fn a_holder_that_failed_and_whose_giving_up_was_lost_delays_nobody_for_its_lease() {
    let (stage, source) = (Stage::new(), Source::default());
    hears(&stage.cache).await;
    stage.faults.fail(Operation::Release);

    let failed = stage.cache.try_get_or_compute(&key(1), &hour(), || async { Err::<u64, ()>(()) }).await;
    stage.comes_about(|stage| stage.faults.calls(Operation::Release) == 2).await;

    // The clock of the store stands still: a lease that was left would be in the way for ever.
    assert_eq!(failed, Err(()));
    assert_eq!(stage.other.get_or_compute(&key(1), &hour(), || source.next()).await, 1);
    stage.pass(Duration::from_secs(20)).await;
    assert_eq!(stage.faults.calls(Operation::Release), 2, "what was given up is given up again");
}

#[tokio::test]
async fn a_lease_that_is_left_by_an_outage_is_given_up_when_it_is_over() {
    let (stage, source) = (Stage::new(), Source::default());
    hears(&stage.cache).await;
    let compute = || async {
        stage.faults.set_down(true);
        1_u64
    };

    assert_eq!(stage.cache.get_or_compute(&key(1), &hour(), compute).await, 1);
    stage.comes_about(Stage::is_away).await;
    stage.pass(Duration::from_secs(5)).await;
    let given_up = stage.faults.calls(Operation::Release);
    stage.faults.set_down(false);
    stage.comes_about(|stage| stage.faults.calls(Operation::Release) > given_up).await;

    assert_eq!(stage.other.get_or_compute(&key(1), &hour(), || source.next()).await, 1);
}

#[tokio::test]
async fn a_lease_that_is_granted_at_the_end_of_an_outage_delays_nobody_for_long() {
    let (stage, source) = (Stage::new(), Source::default());
    hears(&stage.cache).await;
    let late = stage.faults.run_late(Operation::Lease);

    assert_eq!(stage.cache.get_or_compute(&key(1), &hour(), || source.next()).await, 1);
    stage.faults.set_down(true);
    stage.comes_about(Stage::is_away).await;
    // For longer than the lease lives, which has not begun to; in steps, so that all that is tried meanwhile fails.
    for _ in 0..10 {
        stage.pass(Duration::from_secs(3)).await;
    }
    let given_up = stage.faults.calls(Operation::Release);
    stage.faults.set_down(false);
    stage.comes_about(|stage| stage.faults.calls(Operation::Release) > given_up).await;
    late.run().await;
    stage.comes_about(|stage| stage.faults.calls(Operation::Release) > given_up + 1).await;

    assert_eq!(stage.other.get_or_compute(&key(1), &hour(), || source.next()).await, 2);
}

#[tokio::test]
async fn an_invalidation_takes_effect_though_its_caller_goes_away() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    let gate = stage.faults.hold(Operation::Invalidate);
    let caller = tokio::spawn({
        let cache = stage.cache.clone();
        async move { cache.invalidate(&key(1)).await }
    });
    gate.arrived().await;

    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.open();

    until(|| stage.cache.stats().local_entries == 0).await;
    assert_eq!(stage.other.get::<u64>(&key(1), &hour()).await.unwrap(), None);
}

#[tokio::test]
async fn the_message_of_ones_own_invalidation_does_not_remove_what_was_filled_since() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    let heard = || stage.cache.stats().shared.unwrap().messages;
    let before = heard();
    // Nothing on the way waits, so that no message is heard before the last line of this block.
    let changes = async {
        stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
        stage.cache.invalidate(&key(1)).await.unwrap();
        stage.cache.put(&key(1), 2_u64, &hour()).await.unwrap();
    };

    changes.await;
    until(|| heard() >= before + 3).await;

    assert_eq!(stage.cache.stats().local_entries, 1);
}

#[tokio::test]
async fn an_invalidation_that_an_answer_tells_of_takes_effect_before_its_message() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    let (one, other, third) = (hour().tags(["one"]), hour().tags(["other"]), hour().tags(["third"]));
    for clears in [true, false] {
        stage.cache.put(&key(1), 1_u64, &one).await.unwrap();
        stage.cache.get::<u64>(&key(2), &other).await.unwrap();
        stage.faults.set_deaf(true);
        match clears {
            true => stage.other.clear().await.unwrap(),
            false => stage.other.invalidate_tags(["one"]).await.unwrap(),
        }
        assert_eq!(stage.cache.get::<u64>(&key(1), &one).await.unwrap(), Some(1), "nobody told it");

        // Another tag is new here, and read together with the epochs that all entries of that kind bear.
        let asked = if clears { third.clone() } else { one.clone().tags(["fourth"]) };
        stage.cache.get::<u64>(&key(3), &asked).await.unwrap();

        assert_eq!(stage.cache.get::<u64>(&key(1), &one).await.unwrap(), None, "clears: {clears}");
        stage.faults.set_deaf(false);
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_its_holder_computes() {
    let stage = Stage::new();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let computing = tokio::spawn({
        let (cache, begun, go) = (stage.cache.clone(), begun.clone(), go.clone());
        async move {
            let slow = || async {
                begun.notify_one();
                go.notified().await;
                1_u64
            };
            cache.get_or_compute(&key(1), &hour(), slow).await
        }
    });
    begun.notified().await;

    for n in 1..=3 {
        stage.pass(Duration::from_secs(10) / 3).await;
        until(|| stage.faults.calls(Operation::Renew) == n).await;
    }
    go.notify_one();

    assert_eq!(computing.await.unwrap(), 1);
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.faults.calls(Operation::Renew), 3, "it is renewed after its end");
}
