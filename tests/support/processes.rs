//! Caches that stand for processes, over a shared tier in memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::backend::Backend;
use larder::{Cache, Key, Options};

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(10);

/// A process of the application over `store`.
pub fn process<B: Backend + Clone>(store: &B) -> Cache {
    Cache::builder().prefix("app").shared(store.clone()).build().unwrap()
}

/// Waits until `holds`.
pub async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("it does not come about");
}

/// Waits until `cache` hears the bus.
pub async fn hears(cache: &Cache) {
    let confirmed = || cache.stats().shared.is_some_and(|shared| shared.is_confirmed);
    let _ = cache.get::<u64>(&Key::of("wakes_the_listener", ()).unwrap(), &hour()).await;
    until(confirmed).await;
}

/// The options of all.
pub fn hour() -> Options {
    Options::ttl(Duration::from_secs(3600))
}

/// The key of all.
pub fn key(id: u64) -> Key {
    Key::of("dishes", id).unwrap()
}

/// Counts its computations.
#[derive(Debug, Default)]
pub struct Source {
    pub computed: AtomicU64,
}

impl Source {
    /// The number of this computation.
    pub async fn next(&self) -> u64 {
        self.computed.fetch_add(1, Ordering::SeqCst) + 1
    }
}
