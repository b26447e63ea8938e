//! What happens while something else is on its way: a value read, computed or put, an invalidation repeated, a
//! heartbeat lost.
//!
//! Time stands still unless a test moves it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage, Operation};
use larder::backend::Memory;
use larder::{Cache, ErrorKind};
use support::processes::{SOON, hears, hour, key, process, until};
use tokio::sync::Notify;

/// A process whose shared tier fails on demand, and another one whose does not.
struct Stage {
    cache: Cache,
    other: Cache,
    faults: Faults,
    clock: ManualClock,
    store: Memory,
}

impl Stage {
    fn new() -> Self {
        let store = MemoryStage::new().memory().clone();
        let clock = ManualClock::new();
        let (backend, faults) = Faulty::new(store.clone());
        let cache = Cache::builder().prefix("app").shared(backend).clock(clock.clock()).build().unwrap();
        Self { cache, other: process(&store), faults, clock, store }
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
        let found = process(&stage.store).get::<u64>(&key(1), &menu).await.unwrap();
        assert_eq!(found, None, "by tag: {by_tag}");
        assert_eq!(stage.cache.get::<u64>(&key(1), &menu).await.unwrap(), None);
    }
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
