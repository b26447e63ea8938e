//! The local tier: typed values in this process, bounded by what they weigh.
//!
//! Shards of `quick_cache`'s unsynchronised cache (S3-FIFO-like, scan resistant) behind locks of our own:
//! its synchronised one can only hand out clones, and cloning an `Arc` around the value costs a hit two
//! locked instructions more. Here a small value is cloned under the shard's read lock.
//!
//! What the shards keep apart is the 64-bit hash of a key; the key itself lies in the entry, beside what else a hit reads.
//! Of two keys with one hash (by chance: of a million entries, one pair in 30 million processes) the later one displaces
//! the earlier one.

mod care;
mod limit;
mod stored;
mod weight;

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

pub(crate) use care::{Attention, Care, Upkeep};
pub use limit::Local;
pub(crate) use stored::{Header, StoredEntry};
pub(crate) use weight::Weight;

use crate::clock::Tick;
use crate::entry::Freshness;
use crate::hashed::Taken;
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
pub(crate) struct Displaced(Vec<Arc<StoredEntry>>);

/// Where a key belongs.
pub(crate) struct Place<'t, 'k> {
    shard: &'t Shard,
    hash: u64,
    key: &'k KeyView<'k>,
}

impl Place<'_, '_> {
    /// Locks the shard for reading: to be held shortly.
    #[inline(always)]
    pub(crate) fn read(&self) -> Reading<'_> {
        Reading { store: self.shard.read(), place: self }
    }

    /// Puts an entry here; tells what gave way.
    fn insert(&self, entry: Arc<StoredEntry>) -> Vec<Arc<StoredEntry>> {
        let mut displaced = Vec::new();
        self.shard.write().insert_with_lifecycle(self.hash, entry, &mut displaced);
        displaced
    }

    /// Takes out what is here under the key.
    fn remove(&self) -> Option<Arc<StoredEntry>> {
        let removed = self.shard.write().remove_if(&self.hash, |entry| entry.is_of(self.key));
        removed.map(|(_, entry)| entry)
    }
}

/// A shard, locked for reading.
pub(crate) struct Reading<'p> {
    store: RwLockReadGuard<'p, Store>,
    place: &'p Place<'p, 'p>,
}

impl Reading<'_> {
    #[inline(always)]
    pub(crate) fn entry(&self) -> Option<&Arc<StoredEntry>> {
        self.store.get(&self.place.hash).filter(|entry| entry.is_of(self.place.key))
    }
}

/// A line of its own for each lock: neighbours would slow each other down. 128, since processors fetch
/// lines in pairs.
#[repr(align(128))]
struct Shard(RwLock<Store>);

type Store = Cache<u64, Arc<StoredEntry>, Weigher, BuildHasherDefault<Taken>, Evictions>;

impl LocalTier {
    pub(crate) fn new(limit: &Local) -> Self {
        let (capacity, expected, count) = (limit.capacity(), limit.expected_entries(), limit.shards());
        // Together no more than was asked for.
        let shard_capacity = capacity / count as u64;
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
            Shard(RwLock::new(Cache::with_options(options, weigher.clone(), Default::default(), Evictions)))
        };
        let shards = (0..count).map(|_| shard()).collect();
        let heaviest = (shard_capacity as f64 * hot) as u64;
        Self { shards, hash: Default::default(), heaviest, weigher, evictions: AtomicU64::new(0) }
    }

    /// The place of `key`, for [`Place::read`].
    #[inline(always)]
    #[expect(clippy::manual_hash_one, reason = "the compiler leaves `hash_one` out of line")]
    pub(crate) fn at<'t, 'k>(&'t self, key: &'k KeyView<'k>) -> Place<'t, 'k> {
        let mut hasher = self.hash.build_hasher();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        // Bits that the map inside does not use.
        let index = hash.rotate_right(32) as usize & (self.shards.len() - 1);
        Place { shard: &self.shards[index], hash, key }
    }

    /// Shows the entry of `key` to `read`, under the shard's lock: keep it short.
    pub(crate) fn find<R>(&self, key: &KeyView<'_>, read: impl FnOnce(&Arc<StoredEntry>) -> R) -> Option<R> {
        self.at(key).read().entry().map(read)
    }

    /// Stores what is not heavier than a shard takes; otherwise nothing is there under its key afterwards.
    pub(crate) fn install(&self, entry: Arc<StoredEntry>) -> Installed {
        let key = entry.key.clone();
        if self.weigher.weigh(&entry) > self.heaviest {
            let mut displaced = self.remove(&key);
            displaced.0.push(entry);
            return Installed::TooHeavy(displaced);
        }
        let view = key.view();
        let place = self.at(&view);
        let displaced = place.insert(entry);
        // What the entry replaces is among them; that made no room for others.
        let made_room = displaced.iter().filter(|other| !other.is_of(&view)).count();
        self.evictions.fetch_add(made_room as u64, Ordering::Relaxed);
        Installed::Stored(Displaced(displaced))
    }

    /// Whether any entry finds room: a tier can be as small as nothing.
    #[inline]
    pub(crate) fn admits_any(&self) -> bool {
        self.heaviest > 0
    }

    /// Removes.
    pub(crate) fn remove(&self, key: &Key) -> Displaced {
        Displaced(self.at(&key.view()).remove().into_iter().collect())
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        self.retain(|_| false);
    }

    /// Removes what can no longer be used, and is not awaited by the schedule.
    pub(crate) fn sweep(&self, now: Tick) {
        self.retain(|entry| {
            matches!(entry.freshness(now), Freshness::Fresh | Freshness::Stale) || entry.is_awaited(now)
        });
    }

    fn retain(&self, keep: impl Fn(&StoredEntry) -> bool) {
        for shard in &self.shards {
            // Two steps, so that nobody's `Drop` runs under the lock.
            let dead: Vec<_> = {
                let store = shard.read();
                let dead = store.iter().filter(|(_, entry)| !keep(entry));
                dead.map(|(hash, entry)| (*hash, entry.clone())).collect()
            };
            for (hash, entry) in dead {
                let removed = shard.write().remove_if(&hash, |found| Arc::ptr_eq(found, &entry));
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

#[derive(Clone)]
struct Weigher {
    by_entries: bool,
}

impl Weigher {
    fn weigh(&self, entry: &StoredEntry) -> u64 {
        // Zero would exempt an entry from eviction.
        if self.by_entries { 1 } else { entry.weight.bytes().max(1) }
    }
}

impl Weighter<u64, Arc<StoredEntry>> for Weigher {
    fn weight(&self, _: &u64, entry: &Arc<StoredEntry>) -> u64 {
        self.weigh(entry)
    }
}

/// Collects what is evicted, to be dropped after the lock.
#[derive(Clone)]
struct Evictions;

impl Lifecycle<u64, Arc<StoredEntry>> for Evictions {
    type RequestState = Vec<Arc<StoredEntry>>;

    /// Called under the lock; for what an insertion replaces, too.
    fn on_evict(&self, evicted: &mut Self::RequestState, _: u64, entry: Arc<StoredEntry>) {
        evicted.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::epochs::EpochTable;
    use crate::function::Functions;

    fn entry(key: &Key) -> Arc<StoredEntry> {
        let function = Functions::default().of(key.identity());
        let stamps = EpochTable::default().stamps(function.epoch.clone(), &[]);
        let fresh_until = Tick::from_raw(0).later(Duration::from_secs(60));
        let header = Header {
            key: key.clone(),
            created: Tick::from_raw(0),
            begun: Tick::from_raw(0),
            fresh_until,
            care: None,
            stamps,
            function,
            weight: Weight::new(100, Some(0)),
        };
        Arc::new(StoredEntry::new(header, key.to_string()))
    }

    #[test]
    fn of_two_keys_with_one_hash_each_finds_its_own_value_or_none() {
        let tier = LocalTier::new(&Local::entries(1_000));
        let (one, other) = (Key::of("f", 1).unwrap(), Key::of("f", 2).unwrap());
        let (one_view, other_view) = (one.view(), other.view());
        let place_of_one = Place { shard: &tier.shards[0], hash: 7, key: &one_view };
        let place_of_other = Place { shard: &tier.shards[0], hash: 7, key: &other_view };
        let value = |place: &Place<'_, '_>| place.read().entry().and_then(|entry| entry.value().cloned());

        assert_eq!(place_of_one.insert(entry(&one)).len(), 0);
        assert_eq!((value(&place_of_one), value(&place_of_other)), (Some(one.to_string()), None));
        assert!(place_of_other.remove().is_none(), "it is not the one to be removed");

        let displaced = place_of_other.insert(entry(&other));
        assert!(displaced.iter().all(|entry| entry.is_of(&one_view)) && displaced.len() == 1);
        assert_eq!((value(&place_of_one), value(&place_of_other)), (None, Some(other.to_string())));
        assert!(place_of_other.remove().is_some_and(|entry| entry.is_of(&other_view)));
    }
}
