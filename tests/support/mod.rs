//! What the tests stand on: a cache whose clock stands still, a database that can be held up, and tasks that
//! are polled by hand, so that a hang is a failure and not a wait.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

pub mod chance;
pub mod distant;
pub mod log;
pub mod pair;
pub mod processes;
pub mod source;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cache_core::testing::ManualClock;
use larder::{Cache, CacheBuilder, FunctionStats};
use tokio::sync::Semaphore;

/// How long a leader that is not polled can delay its followers.
pub const LEASE: Duration = Duration::from_secs(10);

/// The smallest step of the manual clock that a test can take: a tick is a quarter of it.
pub const MOMENT: Duration = Duration::from_nanos(1);

/// A cache of its own for one test, on a clock that the test moves.
#[derive(Debug)]
pub struct Stage {
    pub cache: Cache,
    pub clock: ManualClock,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(Cache::builder())
    }

    pub fn with(builder: CacheBuilder) -> Self {
        let clock = ManualClock::new();
        let cache = builder.clock(clock.clock()).build().unwrap();
        Self { cache, clock }
    }

    /// Runs `future` to its end with this cache.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        Task::new(self.cache.scope(future)).end()
    }

    /// Begins `future` with this cache; it does not come to its end yet.
    pub fn begin<'t, T: 't>(&'t self, future: impl Future<Output = T> + 't) -> Task<'t, T> {
        Task::begun(self.cache.scope(future))
    }

    /// The statistics of the function `name`.
    pub fn stats(&self, name: &str) -> FunctionStats {
        self.cache.stats().function(name).unwrap_or_else(|| panic!("{name} was not called")).clone()
    }

    /// Moves the clock by a lease, in steps as small as those of whoever watches a leader.
    pub fn let_a_lease_pass(&self) {
        for _ in 0..4 {
            self.clock.advance(LEASE / 4);
        }
    }
}

/// More than ever wait: one permit would stay with a waiter that is never polled again.
const MANY: usize = 1 << 20;

/// A source of rows. It reads first and dawdles then, which is the worst it can do to a cache.
#[derive(Debug)]
pub struct Db {
    row: AtomicU64,
    asked: AtomicU64,
    gate: Semaphore,
}

impl Db {
    /// One that answers at once.
    pub fn open() -> Self {
        Self { row: AtomicU64::new(0), asked: AtomicU64::new(0), gate: Semaphore::new(MANY) }
    }

    /// One that holds its answers back until [`release`](Self::release).
    pub fn held() -> Self {
        Self { gate: Semaphore::new(0), ..Self::open() }
    }

    /// Lets all answers go, those to come too.
    pub fn release(&self) {
        self.gate.add_permits(MANY);
    }

    /// Holds back what is asked from now on.
    pub fn hold(&self) {
        self.gate.forget_permits(usize::MAX);
    }

    pub async fn read(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let row = self.row.load(Ordering::SeqCst);
        drop(self.gate.acquire().await);
        row
    }

    /// The same, for a body that names what it asks for: all rows are one.
    pub async fn row(&self, _: u64) -> u64 {
        self.read().await
    }

    /// Changes the row; answers the new one.
    pub fn write(&self) -> u64 {
        self.row.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often it was read.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A future that is polled when the test says so.
pub struct Task<'t, T> {
    future: Pin<Box<dyn Future<Output = T> + 't>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<'t, T> Task<'t, T> {
    pub fn new(future: impl Future<Output = T> + 't) -> Self {
        Self { future: Box::pin(future), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// Polls once, and finds that it has to wait.
    pub fn begun(future: impl Future<Output = T> + 't) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending(), "it ended at once");
        task
    }

    pub fn poll(&mut self) -> Poll<T> {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Whether it was woken since it was polled last: an executor would poll it now.
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Polls it as an executor would; answers whether it still waits.
    pub fn waits(&mut self) -> bool {
        while self.is_woken() {
            if self.poll().is_ready() {
                return false;
            }
        }
        true
    }

    /// Polls it as an executor would until it ends; fails when it waits for what never comes.
    pub fn end(mut self) -> T {
        while self.is_woken() {
            if let Poll::Ready(output) = self.poll() {
                return output;
            }
        }
        panic!("it hangs: it waits, and nothing has woken it");
    }
}

pub const MINUTE: Duration = Duration::from_secs(60);
