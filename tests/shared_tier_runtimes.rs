//! A cache with a shared tier outlives runtimes, and leaves nothing behind when it is dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage, Operation};
use larder::{Cache, cached};
use support::Task;
use support::processes::{SOON, hears, hour, key, process, until};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[cached(ttl = 3600, name = "runtimes/row", skip(cache, row), cache = cache)]
async fn row_of(cache: &Cache, row: u64) -> u64 {
    let _ = cache;
    row
}

/// A process whose shared tier fails on demand, and another one whose does not.
struct Stage {
    cache: Cache,
    other: Cache,
    faults: Faults,
    clock: ManualClock,
}

impl Stage {
    fn new() -> Self {
        let store = MemoryStage::new().memory().clone();
        let (backend, faults) = Faulty::new(store.clone());
        let clock = ManualClock::new();
        let cache = Cache::builder().prefix("app").shared(backend).clock(clock.clock()).build().unwrap();
        Self { cache, other: process(&store), faults, clock }
    }

    /// Lets time pass, with a call now and then, until `holds`.
    async fn comes_about(&self, holds: impl Fn(&Cache) -> bool) {
        let waiting = async {
            while !holds(&self.cache) {
                self.clock.advance(Duration::from_millis(100));
                let _ = self.cache.get::<u64>(&key(99), &hour()).await;
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("it does not come about");
    }

    /// What has to work on whatever runtime: messages are heard, and a shared tier that was away is used again.
    async fn works(&self) {
        let shared = |cache: &Cache| cache.stats().shared.unwrap();
        let heard = shared(&self.cache).messages;
        self.other.invalidate(&key(1)).await.unwrap();
        self.comes_about(|cache| shared(cache).messages > heard && shared(cache).is_confirmed).await;
        self.faults.set_down(true);
        self.cache.invalidate(&key(1)).await.unwrap_err();
        assert!(shared(&self.cache).is_away);
        self.faults.set_down(false);
        self.comes_about(|cache| !shared(cache).is_away).await;
    }
}

#[test]
fn a_cache_goes_on_in_another_runtime_when_the_first_has_ended() {
    let stage = Stage::new();
    for _ in 0..3 {
        runtime().block_on(stage.works());
        assert!(!stage.cache.stats().shared.unwrap().is_confirmed, "nobody listens");
    }
}

#[test]
fn a_cache_goes_on_in_another_runtime_while_the_first_stands_still() {
    let stage = Stage::new();
    let runtimes: Vec<_> = (0..3).map(|_| runtime()).collect();
    for runtime in &runtimes {
        runtime.block_on(stage.works());
    }
    // One that stood still goes on, and finds that another has taken over.
    runtimes[1].block_on(async {
        let metrics = tokio::runtime::Handle::current().metrics();
        until(|| metrics.num_alive_tasks() == 0).await;
    });
    runtimes[1].block_on(stage.works());
}

#[test]
fn who_takes_over_from_a_runtime_that_stands_still_is_woken_at_once() {
    let stage = Stage::new();
    let (first, second) = (runtime(), runtime());
    first.block_on(stage.works());
    second.block_on(async {
        stage.works().await;
        stage.faults.fail(Operation::Invalidate);
        stage.cache.invalidate(&key(1)).await.unwrap_err();
        // Time stands still: only who is woken asks whether the shared tier is back.
        until(|| !stage.cache.stats().shared.unwrap().is_away).await;
    });
}

#[test]
fn an_invalidation_whose_runtime_ends_half_way_is_not_lost() {
    let stage = Stage::new();
    let menu = hour().tags(["menu"]);
    let stores = async |id: u64| stage.cache.put(&key(id), 1_u64, &menu).await.unwrap();
    let second = runtime();
    second.block_on(async {
        hears(&stage.cache).await;
        stores(1).await;
        stores(2).await;
    });
    let held = [Operation::Invalidate, Operation::InvalidateTags].map(|what| stage.faults.hold(what));

    // when the runtime of who invalidates ends, and the cache goes on in another one
    let first = runtime();
    first.block_on(async {
        let invalidating = async {
            let by_tag = stage.cache.invalidate_tags(["menu"]);
            let entry = key(2);
            tokio::join!(by_tag, stage.cache.invalidate(&entry))
        };
        let arrived = async {
            for gate in &held {
                gate.arrived().await;
            }
        };
        tokio::select! {
            _ = invalidating => panic!("it was held"),
            () = arrived => {}
        }
    });
    drop(first);
    held.into_iter().for_each(|gate| gate.open());

    // then it takes effect here at once, and there as soon as the cache goes on
    second.block_on(async {
        for id in [1, 2] {
            assert_eq!(stage.cache.get_or_compute(&key(id), &menu, async || 2_u64).await, 2);
        }
        until(|| !stage.cache.stats().shared.unwrap().is_away).await;
        for id in [1, 2] {
            assert_ne!(stage.other.get::<u64>(&key(id), &menu).await.unwrap(), Some(1));
        }
    });
}

#[test]
fn an_invalidation_whose_runtime_ends_before_its_task_began_is_not_lost() {
    let stage = Stage::new();
    let second = runtime();
    second.block_on(async {
        hears(&stage.cache).await;
        stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    });

    let first = runtime();
    first.block_on(async {
        let entry = key(1);
        let mut invalidating = std::pin::pin!(stage.cache.invalidate(&entry));
        let once =
            std::future::poll_fn(|context| std::task::Poll::Ready(invalidating.as_mut().poll(context)));
        assert!(once.await.is_pending());
    });
    drop(first);

    second.block_on(async {
        assert_eq!(stage.cache.get_or_compute(&key(1), &hour(), async || 2_u64).await, 2);
        until(|| !stage.cache.stats().shared.unwrap().is_away).await;
        assert_ne!(stage.other.get::<u64>(&key(1), &hour()).await.unwrap(), Some(1));
    });
}

#[test]
fn a_cache_that_is_dropped_ends_its_tasks() {
    for is_away in [false, true] {
        let runtime = runtime();
        runtime.block_on(async {
            let store = MemoryStage::new().memory().clone();
            let (backend, faults) = Faulty::new(store);
            let clock = ManualClock::new();
            let cache = Cache::builder().prefix("app").shared(backend).clock(clock.clock()).build().unwrap();
            let value = Arc::new(1_u64);
            hears(&cache).await;
            cache.get_or_compute(&key(1), &hour(), async || value.clone()).await;
            faults.set_down(is_away);
            for id in 10..15 {
                cache.get_or_compute(&key(id), &hour(), async || value.clone()).await;
            }
            let before = faults.calls(Operation::Heartbeat) + faults.calls(Operation::Health);
            assert!(Arc::strong_count(&value) > 1);

            drop(cache);
            let metrics = tokio::runtime::Handle::current().metrics();
            until(|| metrics.num_alive_tasks() == 0).await;

            assert_eq!(Arc::strong_count(&value), 1, "its entries are kept");
            assert!(faults.calls(Operation::Heartbeat) + faults.calls(Operation::Health) <= before + 1);
        });
    }
}

/// Without a runtime a client of a server cannot wait for its answer.
#[test]
fn a_put_outside_of_a_runtime_is_not_ok_while_the_older_value_stays_in_the_shared_tier() {
    let stage = Stage::new();
    let runtime = runtime();
    runtime.block_on(async {
        hears(&stage.cache).await;
        stage.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    });

    let put = Task::new(stage.cache.put(&key(1), 2_u64, &hour())).end();

    let there = runtime.block_on(async { stage.other.get::<u64>(&key(1), &hour()).await.unwrap() });
    assert!(put.is_err() || there != Some(1), "{put:?}, and others find {there:?}");
}

#[test]
fn neither_does_a_forced_computation_leave_it_there() {
    let stage = Stage::new();
    let runtime = runtime();
    runtime.block_on(async {
        hears(&stage.cache).await;
        assert_eq!(row_of(&stage.cache, 1).await, 1);
    });

    assert_eq!(Task::new(row_of_refresh(&stage.cache, 2)).end(), 2);

    let there = runtime.block_on(async {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        row_of(&stage.other, 3).await
    });
    assert_ne!(there, 1, "older than what was computed by force");
}
