//! The backend that lives in this process.

mod expiring;
mod store;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::store::{Moment, Store};
use super::{
    Backend, Change, EntryKey, Epoch, Feed, Fill, FillRequest, Grant, Heard, InvalidateRequest, Lease,
    LeaseRequest, LeaseToken, Listening, Message, Origin, Prefix, Read, ReadMany, Refill, RefillRequest,
    Renewal, ServerTime, Subscription, TagKey, Tags, subscription,
};
use crate::clock::Clock;
use crate::{Error, ErrorKind};

/// How many bytes a store holds by default: 256 MiB.
const DEFAULT_MAX_BYTES: usize = 256 << 20;
/// How many messages a subscriber may lag behind before it is told of a gap.
const QUEUE: usize = 4096;

/// Keeps everything in this process: for tests, and for several caches of one process that share entries.
///
/// Bounded, by default to 256 MiB: what ends first is evicted first. Lives are real, by the clock handed in.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use cache_core::backend::Memory;
///
/// let time = Arc::new(AtomicU64::new(0));
/// let clock = Arc::clone(&time);
/// let backend = Memory::with_clock(move || clock.load(Ordering::Relaxed)).with_max_bytes(16 << 20);
/// time.fetch_add(1_000_000, Ordering::Relaxed); // a second passes
/// ```
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
    prefix: Prefix,
    origin: Origin,
}

struct Shared {
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    // One lock for all: a step is short (frames are behind an `Arc`), and every step is atomic by it.
    store: Mutex<Store>,
    listeners: Mutex<Vec<Listener>>,
}

struct Listener {
    prefix: Prefix,
    origin: Origin,
    feed: Feed,
}

impl Memory {
    /// Makes an empty store on the system's clock.
    ///
    /// ```
    /// use cache_core::Cache;
    /// use cache_core::backend::Memory;
    ///
    /// let store = Memory::new();
    /// let one = Cache::builder().shared(store.clone()).build()?;
    /// let two = Cache::builder().shared(store).build()?;
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    #[expect(clippy::new_without_default, reason = "a store is something to be made on purpose")]
    pub fn new() -> Self {
        let clock = Clock::system();
        Self::with_clock(move || clock.micros())
    }

    /// Makes an empty store. `clock` tells the time in µs; it should not go back.
    pub fn with_clock(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let shared = Shared {
            clock: Box::new(clock),
            store: Mutex::new(Store::new(DEFAULT_MAX_BYTES)),
            listeners: Mutex::default(),
        };
        #[expect(clippy::expect_used, reason = "the text is ours, and allowed")]
        let prefix = Prefix::new("larder").expect("a prefix of letters");
        Self { shared: Arc::new(shared), prefix, origin: Origin::random() }
    }

    /// Bounds the store, for all its views, to about `max_bytes` of keys, frames and bookkeeping.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        self.shared.store().set_max_bytes(max_bytes);
        self
    }

    /// Forgets the epochs of tags, as an eviction would.
    pub fn lose_tags(&self, tags: &[TagKey]) {
        let mut store = self.shared.store();
        for tag in tags {
            store.lose_epoch(&self.prefix, tag);
        }
    }

    /// Lets every subscription of the store miss something, as a broken connection would.
    pub fn cut_bus(&self) {
        self.shared.listeners().retain(|listener| listener.feed.send(Heard::Gap) == Listening::Yes);
    }

    /// Runs one atomic step at the store's time.
    fn step<T>(&self, step: impl FnOnce(&mut Store, Moment) -> T) -> T {
        let mut store = self.shared.store();
        // Asked under the lock, so that times are in the order of the steps.
        let moment = store.begin((self.shared.clock)());
        step(&mut store, moment)
    }

    /// Tells the listeners of this prefix. No await lies between a step and this, so one does not happen
    /// without the other; and it comes after unlocking.
    fn announce(&self, change: Change) {
        let own_only = matches!(change, Change::Heartbeat { .. });
        let message = Message { origin: self.origin, change };
        self.shared.listeners().retain(|listener| {
            let is_meant = listener.prefix == self.prefix && (!own_only || listener.origin == self.origin);
            !is_meant || listener.feed.send(Heard::Message(message.clone())) == Listening::Yes
        });
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn view(&self, prefix: &Prefix) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix: prefix.clone(), origin: Origin::random() }
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        Ok(self.step(|store, at| store.read(&self.prefix, key, tags, at)))
    }

    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        Ok(self.step(|store, at| store.read_many(&self.prefix, keys, tags, at)))
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        Ok(self.step(|store, at| store.lease(&self.prefix, request, at)))
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        Ok(self.step(|store, at| store.renew(&self.prefix, key, grant, life, at)))
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        if let Some(change) = self.step(|store, at| store.release(&self.prefix, key, token, at)) {
            self.announce(change);
        }
        Ok(())
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        let max_bytes = self.shared.store().max_bytes();
        if request.frame.len() > max_bytes {
            let what = format!(
                "storing {} bytes in a memory backend of {max_bytes}: raise with_max_bytes(..)",
                request.frame.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        let (fill, change) = self.step(|store, at| store.fill(&self.prefix, request, at));
        if let Some(change) = change {
            self.announce(change);
        }
        Ok(fill)
    }

    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        let (refill, change) = self.step(|store, at| store.refill(&self.prefix, request, at));
        if let Some(change) = change {
            self.announce(change);
        }
        Ok(refill)
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        Ok(self.step(|store, at| store.need_epochs(&self.prefix, tags, at)))
    }

    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        let (changes, epochs) = self.step(|store, at| {
            let expired = request.expired.iter();
            let expired = expired.map(|(key, keep)| store.expire(&self.prefix, key, *keep, at));
            let mut changes: Vec<_> = expired.collect();
            changes.extend(request.keys.iter().map(|key| store.invalidate(&self.prefix, key)));
            (changes, store.invalidate_tags(&self.prefix, request.tags, at))
        });
        for change in changes {
            self.announce(change);
        }
        if !epochs.is_empty() {
            let epochs = request.tags.keys.iter().cloned().zip(epochs.iter().copied()).collect();
            self.announce(Change::TagsInvalidated { epochs });
        }
        Ok(epochs)
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.announce(Change::Heartbeat { nonce });
        Ok(())
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let (feed, subscription) = subscription(QUEUE);
        let listener = Listener { prefix: self.prefix.clone(), origin: self.origin, feed };
        let mut listeners = self.shared.listeners();
        listeners.retain(|listener| listener.feed.listening() == Listening::Yes);
        listeners.push(listener);
        Ok(subscription)
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        Ok(self.step(|_, at| at.server_time()))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("prefix", &self.prefix)
            .field("origin", &self.origin)
            .field("holdings", &self.shared.store().holdings())
            .finish_non_exhaustive()
    }
}
