//! The local tier: typed values in this process, bounded by what they weigh.
//!
//! Shards of `quick_cache`'s unsynchronised cache (S3-FIFO-like, scan resistant) behind locks of our own:
//! its synchronised one can only hand out clones, and cloning an `Arc` around the value costs a hit two
//! locked instructions more. Here a small value is cloned under the shard's read lock.

pub(crate) mod epochs;
mod limit;

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

pub use limit::Local;

use crate::clock::Tick;
use crate::entry::{Freshness, StoredEntry};
use crate::key::{Key, KeyView};

/// The store of the local tier.
pub(crate) struct LocalTier {
    shards: Box<[Shard]>,
    hash: foldhash::fast::RandomState,
    /// The weight of the heaviest entry that a shard admits.
    heaviest: u64,
    weigher: Weigher,
    evictions: AtomicU64,
}

/// What became of an entry that was to be stored.
pub(crate) enum Installed {
    Stored(Displaced),
    TooHeavy(Displaced),
}

impl Installed {
    /// What gave way.
    pub(crate) fn displaced(self) -> Displaced {
        match self {
            Self::Stored(displaced) | Self::TooHeavy(displaced) => displaced,
        }
    }
}

/// Entries that the tier let go of. A value's `Drop` is the user's code, which may ask the cache: it is kept until
/// no lock is held.
#[derive(Default)]
#[must_use = "drop it where no lock is held"]
pub(crate) struct Displaced(Vec<(HashedKey, Arc<StoredEntry>)>);

/// Where a key belongs.
pub(crate) struct Place<'k> {
    shard: &'k Shard,
    lookup: Lookup<'k>,
}

impl<'k> Place<'k> {
    /// Locks the shard for reading: to be held shortly.
    #[inline(always)]
    pub(crate) fn read(&self) -> Reading<'_, 'k> {
        Reading { store: self.shard.read(), lookup: &self.lookup }
    }
}

/// A shard, locked for reading.
pub(crate) struct Reading<'p, 'k> {
    store: RwLockReadGuard<'p, Store>,
    lookup: &'p Lookup<'k>,
}

impl Reading<'_, '_> {
    #[inline(always)]
    pub(crate) fn entry(&self) -> Option<&Arc<StoredEntry>> {
        self.store.get(self.lookup)
    }
}

/// A line of its own for each lock: neighbours would slow each other down. 128, since processors fetch
/// lines in pairs.
#[repr(align(128))]
struct Shard(RwLock<Store>);

type Store = Cache<HashedKey, Arc<StoredEntry>, Weigher, TakenHash, Evictions>;

impl LocalTier {
    pub(crate) fn new(limit: &Local) -> Self {
        let (capacity, expected, count) = (limit.capacity(), limit.expected_entries(), limit.shards());
        let shard_capacity = capacity.div_ceil(count as u64);
        let weigher = Weigher { by_entries: limit.is_by_entries() };
        // Of a handful of entries 3 % is less than one: then all may be hot.
        let hot = if shard_capacity < 100 { 1.0 } else { HOT };
        let shard = || {
            // Cannot fail: both capacities are set.
            #[expect(clippy::unwrap_used)]
            let options = OptionsBuilder::new()
                .shards(1)
                .estimated_items_capacity(expected.div_ceil(count))
                .weight_capacity(shard_capacity)
                .hot_allocation(hot)
                .build()
                .unwrap();
            Shard(RwLock::new(Cache::with_options(options, weigher.clone(), TakenHash, Evictions)))
        };
        let shards = (0..count).map(|_| shard()).collect();
        let heaviest = (shard_capacity as f64 * hot) as u64;
        Self { shards, hash: Default::default(), heaviest, weigher, evictions: AtomicU64::new(0) }
    }

    #[inline(always)]
    #[expect(clippy::manual_hash_one, reason = "the compiler leaves `hash_one` out of line")]
    fn place<'k>(&self, key: &'k KeyView<'k>) -> (&Shard, Lookup<'k>) {
        let mut hasher = self.hash.build_hasher();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        // Bits that the map inside does not use.
        let index = hash.rotate_right(32) as usize & (self.shards.len() - 1);
        (&self.shards[index], Lookup { hash, key })
    }

    /// The place of `key`, for [`Place::read`].
    #[inline(always)]
    pub(crate) fn at<'k>(&'k self, key: &'k KeyView<'k>) -> Place<'k> {
        let (shard, lookup) = self.place(key);
        Place { shard, lookup }
    }

    /// Shows the entry of `key` to `read`, under the shard's lock: keep it short.
    pub(crate) fn find<R>(&self, key: &KeyView<'_>, read: impl FnOnce(&Arc<StoredEntry>) -> R) -> Option<R> {
        self.at(key).read().entry().map(read)
    }

    /// Stores what is not heavier than a shard takes; otherwise nothing is there under `key` afterwards.
    pub(crate) fn install(&self, key: &Key, entry: Arc<StoredEntry>) -> Installed {
        let (shard, Lookup { hash, .. }) = self.place(&key.view());
        let own = HashedKey { hash, key: key.clone() };
        if self.weigher.weigh(&entry) > self.heaviest {
            let mut displaced = self.remove(key);
            displaced.0.push((own, entry));
            return Installed::TooHeavy(displaced);
        }
        let mut evicted = Vec::new();
        shard.write().insert_with_lifecycle(own, entry, &mut evicted);
        // What the entry replaces is among them; that made no room for others.
        let made_room = evicted.iter().filter(|(other, _)| other.key != *key).count();
        self.evictions.fetch_add(made_room as u64, Ordering::Relaxed);
        Installed::Stored(Displaced(evicted))
    }

    /// Whether any entry finds room: a tier can be as small as nothing.
    #[inline]
    pub(crate) fn admits_any(&self) -> bool {
        self.heaviest > 0
    }

    /// Removes.
    pub(crate) fn remove(&self, key: &Key) -> Displaced {
        let key = key.view();
        let (shard, lookup) = self.place(&key);
        let removed = shard.write().remove(&lookup);
        Displaced(removed.into_iter().collect())
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        self.retain(|_| false);
    }

    /// Removes what can no longer be used.
    pub(crate) fn sweep(&self, now: Tick) {
        self.retain(|entry| matches!(entry.freshness(now), Freshness::Fresh | Freshness::Stale));
    }

    fn retain(&self, keep: impl Fn(&StoredEntry) -> bool) {
        for shard in &self.shards {
            // Two steps, so that nobody's `Drop` runs under the lock.
            let dead: Vec<_> = {
                let store = shard.read();
                let dead = store.iter().filter(|(_, entry)| !keep(entry));
                dead.map(|(key, entry)| (key.clone(), entry.clone())).collect()
            };
            for (key, entry) in dead {
                let removed = shard.write().remove_if(&key, |found| Arc::ptr_eq(found, &entry));
                drop(removed);
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().len() as u64).sum()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().weight()).sum()
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().capacity()).sum()
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for LocalTier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalTier").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

/// The share of the capacity for entries that were asked for more than once; what is heavier than that is
/// not admitted. quick_cache's own default.
const HOT: f64 = 0.97;

impl Shard {
    // A panic under the lock can only come from a value's `Clone`, which leaves the store whole.
    #[inline]
    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key with its hash, which is taken once a lookup.
#[derive(Clone)]
struct HashedKey {
    hash: u64,
    key: Key,
}

struct Lookup<'k> {
    hash: u64,
    /// By reference: a copy would be loaded in wider pieces than it was just stored in, and wait.
    key: &'k KeyView<'k>,
}

impl Hash for HashedKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for HashedKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for HashedKey {}

impl Hash for Lookup<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<HashedKey> for Lookup<'_> {
    #[inline]
    fn equivalent(&self, other: &HashedKey) -> bool {
        *self.key == other.key.view()
    }
}

/// Passes the hash on that [`HashedKey`] and [`Lookup`] carry.
#[derive(Clone, Copy, Default)]
struct TakenHash;

struct Taken(u64);

impl BuildHasher for TakenHash {
    type Hasher = Taken;
    #[inline]
    fn build_hasher(&self) -> Taken {
        Taken(0)
    }
}

impl Hasher for Taken {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    fn write(&mut self, bytes: &[u8]) {
        // Not reached: both kinds of key write one u64. Still a hash, should that change.
        for byte in bytes {
            self.0 = self.0.rotate_left(5) ^ u64::from(*byte);
        }
    }
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Clone)]
struct Weigher {
    by_entries: bool,
}

impl Weigher {
    fn weigh(&self, entry: &StoredEntry) -> u64 {
        // Zero would exempt an entry from eviction.
        if self.by_entries { 1 } else { entry.weight.max(1) }
    }
}

impl Weighter<HashedKey, Arc<StoredEntry>> for Weigher {
    fn weight(&self, _: &HashedKey, entry: &Arc<StoredEntry>) -> u64 {
        self.weigh(entry)
    }
}

/// Collects what is evicted, to be dropped after the lock.
#[derive(Clone)]
struct Evictions;

impl Lifecycle<HashedKey, Arc<StoredEntry>> for Evictions {
    type RequestState = Vec<(HashedKey, Arc<StoredEntry>)>;

    /// Called under the lock; for what an insertion replaces, too.
    fn on_evict(&self, evicted: &mut Self::RequestState, key: HashedKey, entry: Arc<StoredEntry>) {
        evicted.push((key, entry));
    }
}
