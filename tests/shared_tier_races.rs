//! What happens while something else is on its way: a value read, computed or put, an invalidation repeated, a
//! heartbeat lost.
//!
//! Time stands still unless a test moves it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage, Operation};
use larder::{Cache, ErrorKind};
use support::processes::{SOON, hears, hour, key, process, until};
use tokio::sync::Notify;

/// A process whose shared tier fails on demand, and another one whose does not.
struct Stage {
    cache: Cache,
    other: Cache,
    faults: Faults,
    clock: ManualClock,
    store: MemoryStage,
}

impl Stage {
    fn new() -> Self {
        let store = MemoryStage::new();
        let clock = ManualClock::new();
        let (backend, faults) = Faulty::new(store.memory().clone());
        let cache = Cache::builder().prefix("app").shared(backend).clock(clock.clock()).build().unwrap();
        Self { cache, other: process(store.memory()), faults, clock, store }
    }

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
        tokio::time::timeout(SOON, waiting).await.expect("it does not come about");
    }

    fn messages(&self) -> u64 {
        self.cache.stats().shared.unwrap().messages
    }

    async fn get(&self, id: u64) -> Option<u64> {
        self.cache.get::<u64>(&key(id), &hour()).await.unwrap()
    }
}

#[tokio::test]
async fn an_invalidation_while_an_earlier_one_is_repeated_is_repeated_too() {
    for by_tag in [false, true] {
        // given an invalidation that could not reach the shared tier, and its repetition that was made and not answered
        let stage = Stage::new();
        let menu = hour().tags(["menu"]);
        let invalidate = async || match by_tag {
            true => stage.cache.invalidate_tags(["menu"]).await,
            false => stage.cache.invalidate(&key(1)).await,
        };
        let operation = if by_tag { Operation::InvalidateTags } else { Operation::Invalidate };
        hears(&stage.cache).await;
        stage.faults.set_down(true);
        assert_eq!(invalidate().await.unwrap_err().kind(), ErrorKind::Unreachable);
        let gate = stage.faults.hold_answer(operation);
        stage.faults.set_down(false);
        tokio::select! {
            () = gate.arrived() => {}
            () = stage.comes_about(|_| false) => {}
        }

        // when another process fills the key with what is old by the next invalidation
        stage.other.put(&key(1), 1_u64, &menu).await.unwrap();
        stage.faults.fail(operation);
        assert_eq!(invalidate().await.unwrap_err().kind(), ErrorKind::Unreachable);
        gate.open();

        // then that is made there too
        stage.comes_about(|stage| !stage.cache.stats().shared.unwrap().is_away).await;
        let found = process(stage.store.memory()).get::<u64>(&key(1), &menu).await.unwrap();
        assert_eq!(found, None, "by tag: {by_tag}");
        assert_eq!(stage.cache.get::<u64>(&key(1), &menu).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_value_put_elsewhere_while_an_older_one_is_read_keeps_that_out_of_the_local_tier() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.other.put(&key(1), 1_u64, &hour()).await.unwrap();
    let gate = stage.faults.hold_answer(Operation::Read);
    let (key_one, options) = (key(1), hour());
    let reading = stage.cache.get_or_compute(&key_one, &options, async || 9_u64);
    let putting = async {
        gate.arrived().await;
        let heard = stage.messages();
        stage.other.put(&key(1), 2_u64, &hour()).await.unwrap();
        until(|| stage.messages() > heard).await;
        gate.open();
    };

    let (read, ()) = tokio::join!(reading, putting);

    assert_eq!(read, 1, "it began before the put");
    assert_eq!(stage.get(1).await, Some(2));
}

#[tokio::test]
async fn a_value_put_elsewhere_while_one_is_computed_without_a_lease_is_not_stored_over() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    let (begun, go) = (Notify::new(), Notify::new());
    stage.faults.fail(Operation::Read);
    let (key_one, options) = (key(1), hour());
    let computing = stage.cache.get_or_compute(&key_one, &options, async || {
        begun.notify_one();
        go.notified().await;
        1_u64
    });
    let putting = async {
        begun.notified().await;
        let heard = stage.messages();
        stage.other.put(&key(1), 2_u64, &hour()).await.unwrap();
        until(|| stage.messages() > heard).await;
        go.notify_one();
    };

    let (computed, ()) = tokio::join!(computing, putting);

    assert_eq!(computed, 1);
    assert_eq!(stage.get(1).await, Some(2));
}

#[tokio::test]
async fn what_another_process_filled_is_kept_here_by_who_waited_for_it() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let computing = tokio::spawn({
        let (other, begun, go) = (stage.other.clone(), begun.clone(), go.clone());
        async move {
            let slow = || async {
                begun.notify_one();
                go.notified().await;
                1_u64
            };
            other.get_or_compute(&key(1), &hour(), slow).await
        }
    });
    begun.notified().await;
    let waiting = tokio::spawn({
        let cache = stage.cache.clone();
        async move { cache.get_or_compute(&key(1), &hour(), async || 9_u64).await }
    });
    until(|| stage.faults.calls(Operation::Lease) > 0).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }

    go.notify_one();

    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(computing.await.unwrap(), 1);
    assert_eq!(stage.cache.stats().local_entries, 1);
}

#[tokio::test]
async fn of_two_puts_at_once_none_leaves_an_older_value_behind() {
    // given an older value in both tiers
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();

    // when the put that began last takes the key first
    let gate = stage.faults.hold(Operation::Lease);
    let fill = stage.faults.hold(Operation::Fill);
    let first = async { stage.cache.put(&key(1), 2_u64, &hour()).await };
    let second = async { stage.cache.put(&key(1), 3_u64, &hour()).await };
    let order = async {
        gate.arrived().await;
        fill.arrived().await;
        gate.open();
        until(|| stage.faults.calls(Operation::Fill) == 3).await;
        fill.open();
    };
    let (first, second, ()) = tokio::join!(first, second, order);
    first.unwrap();
    second.unwrap();

    // then nobody sees the older value
    let (here, there) =
        (stage.get(1).await, process(stage.store.memory()).get::<u64>(&key(1), &hour()).await.unwrap());
    assert_ne!(here, Some(1));
    assert_ne!(there, Some(1));
    assert_eq!(stage.get(1).await, there);
}

#[tokio::test]
async fn a_put_whose_lease_ended_leaves_no_older_value_behind() {
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    let gate = stage.faults.hold(Operation::Fill);
    let putting = async { stage.cache.put(&key(1), 2_u64, &hour()).await };
    let losing = async {
        gate.arrived().await;
        stage.store.pass(Duration::from_secs(10));
        gate.open();
    };

    let (put, ()) = tokio::join!(putting, losing);

    put.unwrap();
    assert_ne!(stage.get(1).await, Some(1));
    assert_ne!(process(stage.store.memory()).get::<u64>(&key(1), &hour()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_put_of_what_is_too_large_says_when_the_older_value_stays_behind() {
    let store = MemoryStage::new().memory().clone();
    let (backend, faults) = Faulty::new(store.clone());
    let cache = Cache::builder().prefix("app").shared(backend).max_value_bytes(100).build().unwrap();
    cache.put(&key(1), "small".to_owned(), &hour()).await.unwrap();
    faults.fail(Operation::Invalidate);

    let refused = cache.put(&key(1), "x".repeat(1_000), &hour()).await;

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unreachable);
    cache.put(&key(1), "x".repeat(1_000), &hour()).await.unwrap();
    assert_eq!(process(&store).get::<String>(&key(1), &hour()).await.unwrap(), None);
    assert_eq!(cache.get::<String>(&key(1), &hour()).await.unwrap(), Some("x".repeat(1_000)));
}

#[tokio::test]
async fn an_invalidation_that_failed_during_a_look_is_not_undone_by_what_another_process_fills() {
    // given a call that looked, found nothing, and has not been told yet
    let stage = Stage::new();
    let menu = hour().tags(["menu"]);
    hears(&stage.cache).await;
    let read = stage.faults.hold_answer(Operation::Read);
    let calling = async { stage.cache.get_or_compute(&key(1), &menu, async || 2_u64).await };
    let meanwhile = async {
        read.arrived().await;
        // when an invalidation cannot be made there nor repeated, and another process fills what is older
        let repetition = stage.faults.hold(Operation::Health);
        stage.faults.fail(Operation::InvalidateTags);
        stage.cache.invalidate_tags(["menu"]).await.unwrap_err();
        stage.other.put(&key(1), 1_u64, &menu).await.unwrap();
        read.open();
        repetition
    };
    let (_, repetition) = tokio::join!(calling, meanwhile);

    // then later calls do not get it
    assert_eq!(stage.cache.get_or_compute(&key(1), &menu, async || 2_u64).await, 2);
    repetition.open();
}

#[tokio::test]
async fn a_heartbeat_that_was_lost_tells_of_messages_that_may_be() {
    // given a value in the local tier, and a bus that loses messages for a while
    let stage = Stage::new();
    hears(&stage.cache).await;
    stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    stage.faults.set_deaf(true);
    stage.other.invalidate(&key(1)).await.unwrap();
    let beats = stage.faults.calls(Operation::Heartbeat);
    stage.comes_about(|stage| stage.faults.calls(Operation::Heartbeat) > beats).await;

    // when messages arrive again, on the same subscription
    stage.faults.set_deaf(false);
    let subscriptions = stage.faults.calls(Operation::Subscribe);
    for _ in 0..200 {
        stage.pass(Duration::from_millis(20)).await;
    }

    // then what was missed is asked for again
    assert_eq!(stage.faults.calls(Operation::Subscribe), subscriptions);
    assert_eq!(stage.get(1).await, None);
    assert!(stage.cache.stats().shared.unwrap().is_confirmed);
}
