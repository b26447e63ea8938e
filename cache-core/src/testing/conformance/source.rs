//! A source of values that changes under its readers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinHandle;

/// What is cached: a version that grows. And the newest version whose invalidation was answered: who begins
/// to read afterwards must not see an older one.
pub(super) struct Source {
    version: AtomicU64,
    floor: AtomicU64,
    pauses: AtomicU64,
    is_changing: AtomicBool,
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            pauses: AtomicU64::new(0),
            is_changing: AtomicBool::new(true),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    pub(super) fn change(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn has_invalidated(&self, version: u64) {
        self.floor.fetch_max(version, Ordering::SeqCst);
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::SeqCst)
    }

    /// Asks for the value, and takes a while to come back with it.
    pub(super) async fn compute(&self) -> u64 {
        let value = self.version();
        self.pause().await;
        value
    }

    /// Lets others go on for one to eight turns, in no regular pattern, so that all kinds of interleavings
    /// come about, also on one thread.
    pub(super) async fn pause(&self) {
        let count = self.pauses.fetch_add(1, Ordering::Relaxed);
        let turns = count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61;
        for _ in 0..=turns {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn end(&self) {
        self.is_changing.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_changing(&self) -> bool {
        self.is_changing.load(Ordering::SeqCst)
    }
}

/// Waits for tasks, and fails if one did.
pub(super) async fn join(tasks: Vec<JoinHandle<()>>, who: &str) {
    for task in tasks {
        if let Err(error) = task.await {
            panic!("a {who} failed: {error}");
        }
    }
}
