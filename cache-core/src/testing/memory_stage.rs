//! The stage on which `Memory` is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::conformance::Stage;
use crate::backend::{Backend, Memory, Prefix, TagKey};

/// A [`Memory`] under a clock that stands still until it is told to advance.
#[derive(Debug, Clone)]
pub struct MemoryStage {
    memory: Memory,
    prefix: Prefix,
    micros: Arc<AtomicU64>,
}

impl MemoryStage {
    /// An empty store.
    pub fn new() -> Self {
        let micros = Arc::new(AtomicU64::new(1_000_000));
        let clock = Arc::clone(&micros);
        #[expect(clippy::expect_used, reason = "the text is ours, and allowed")]
        let prefix = Prefix::new("conformance").expect("a prefix of letters");
        let memory = Memory::with_clock(move || clock.load(Ordering::SeqCst)).view(&prefix);
        Self { memory, prefix, micros }
    }

    /// Lets time pass at once.
    pub fn pass(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// The store, as the stage itself sees it.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Default for MemoryStage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for MemoryStage {
    type Backend = Memory;

    async fn process(&self) -> Memory {
        self.memory.view(&self.prefix)
    }

    fn prefix(&self) -> Prefix {
        self.prefix.clone()
    }

    fn tick(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn advance(&self, time: Duration) {
        self.pass(time);
    }

    async fn lose_tags(&self, tags: &[TagKey]) {
        self.memory.lose_tags(tags);
    }

    async fn cut_bus(&self) {
        self.memory.cut_bus();
    }
}
