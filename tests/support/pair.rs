//! Two caches over one shared tier, of which one fails on demand. Time stands still unless a test moves it.

use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage};
use larder::{Cache, CacheBuilder, SharedStats};

use super::processes::{SOON, hour, key, process};

/// A process whose shared tier fails on demand, and another one whose does not.
pub struct Pair {
    pub cache: Cache,
    pub other: Cache,
    pub faults: Faults,
    pub clock: ManualClock,
    pub store: MemoryStage,
}

impl Pair {
    pub fn new() -> Self {
        Self::with(Cache::builder())
    }

    /// The first process is built so.
    pub fn with(builder: CacheBuilder) -> Self {
        let store = MemoryStage::new();
        let clock = ManualClock::new();
        let (backend, faults) = Faulty::new(store.memory().clone());
        let cache = builder.prefix("app").shared(backend).clock(clock.clock()).build().unwrap();
        Self { cache, other: process(store.memory()), faults, clock, store }
    }

    /// Another process, that begins now.
    pub fn third(&self) -> Cache {
        process(self.store.memory())
    }

    /// Moves the clock on, so that whatever waits for time goes on.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock on until `holds`.
    pub async fn comes_about(&self, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                self.pass(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("it does not come about");
    }

    pub fn shared(&self) -> SharedStats {
        self.cache.stats().shared.unwrap()
    }

    /// What the first process finds under a key without tags.
    pub async fn get(&self, id: u64) -> Option<u64> {
        self.cache.get::<u64>(&key(id), &hour()).await.unwrap()
    }
}
