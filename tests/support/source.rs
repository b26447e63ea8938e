//! A source that can be held up and that can fail, and the time that goes by while others work on it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use cache_core::testing::ManualClock;
use larder::{Cache, CacheBuilder, FunctionStats};
use tokio::sync::Semaphore;

const MANY: usize = 1 << 20;

/// A row that is read. Clones are one source.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

struct Inner {
    row: AtomicU64,
    asked: AtomicU64,
    is_down: AtomicBool,
    gate: Semaphore,
}

/// Why a source does not answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Down(pub String);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<larder::Error> for Down {
    fn from(error: larder::Error) -> Self {
        Self(error.to_string())
    }
}

impl Source {
    /// One that answers at once: 0.
    pub fn new() -> Self {
        let gate = Semaphore::new(MANY);
        Self(Arc::new(Inner {
            row: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
            gate,
        }))
    }

    /// Reads first and dawdles then.
    pub async fn read(&self) -> Result<u64, Down> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let row = self.0.row.load(Ordering::SeqCst);
        let is_down = self.0.is_down.load(Ordering::SeqCst);
        drop(self.0.gate.acquire().await);
        if is_down { Err(Down("the source is down".into())) } else { Ok(row) }
    }

    /// Changes the row; answers the new one.
    pub fn write(&self) -> u64 {
        self.0.row.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// How many hold this source.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Fails from now on, or no more.
    pub fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Holds back what is asked from now on.
    pub fn hold(&self) {
        self.0.gate.forget_permits(usize::MAX);
    }

    /// Lets all answers go.
    pub fn release(&self) {
        self.0.gate.add_permits(MANY);
    }
}

/// Polls once; tells whether it has to wait.
pub async fn waits<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// A cache on a clock that the test moves, on a runtime whose tasks the test lets go on.
pub struct Scene {
    pub cache: Cache,
    pub clock: ManualClock,
    pub source: Source,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(Cache::builder())
    }

    pub fn with(builder: CacheBuilder) -> Self {
        let clock = ManualClock::new();
        // Chance says the middle of everything, unless a test says otherwise.
        let cache = builder.seed(1).clock(clock.clock()).build().unwrap();
        Self { cache, clock, source: Source::new() }
    }

    /// Lets the tasks in the background go on until they wait for time, or for the source.
    pub async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock, and lets the tasks go on.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.settle().await;
    }

    /// The statistics of the function `name`.
    pub fn stats(&self, name: &str) -> FunctionStats {
        self.cache.stats().function(name).unwrap_or_else(|| panic!("{name} was not called")).clone()
    }
}
