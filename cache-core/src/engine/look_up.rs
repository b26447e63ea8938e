//! The way of a hit: one look into the local tier.

use std::marker::PhantomData;
use std::sync::Arc;

use super::shared::Borne;
use super::{Cache, Inner};
use crate::entry::{Freshness, MissReason, StoredEntry};
use crate::event::stats::TIMED;
use crate::key::{Key, KeyView};

/// Above this weight in bytes a value is cloned outside the shard's lock, through its `Arc`.
const CLONED_UNDER_LOCK: u64 = 4 << 10;

impl Cache {
    /// Looks in the local tier; counts a hit, and makes the answer of the value's clone.
    // A clone is made where the answer is returned, and not moved from there: a move takes the words that were just
    // stored in wider pieces, and waits for all of them.
    #[inline(always)]
    pub(super) fn look_up<V, T>(
        &self,
        key: &KeyView<'_>,
        reason: &mut MissReason,
        restore: impl FnOnce(V) -> T,
    ) -> Option<T>
    where
        V: Clone + Send + Sync + 'static,
    {
        let cache = &*self.0;
        // Dropped after the lock.
        let mut sample = Sample::<V> { cache: self, key, is_due: false, of: PhantomData };
        let place = cache.tier.at(key);
        let shard = place.read();
        let Some(entry) = shard.entry() else {
            *reason = MissReason::Absent;
            return None;
        };
        let found: &V = match cache.judge(entry) {
            Ok(found) => found,
            Err(why) => {
                *reason = why;
                return None;
            }
        };
        let hits = entry.function.counters.hits.increment();
        if entry.weight > CLONED_UNDER_LOCK {
            let entry = entry.clone();
            drop(shard);
            return entry.value().cloned().map(restore);
        }
        sample.is_due = hits.is_multiple_of(TIMED);
        Some(restore(found.clone()))
    }

    /// Looks up again, by the clock, without cloning the value: a hit allocates nothing but its own clone.
    #[cold]
    fn time_lookup<V: 'static>(&self, key: &KeyView<'_>) {
        let cache = &*self.0;
        let stopwatch = cache.clock.stopwatch();
        let found = cache.tier.find(key, |entry| cache.judge::<V>(entry).map(|_| entry.function.clone()));
        if let Some(Ok(function)) = found {
            function.counters.time_lookup(stopwatch.elapsed());
        }
    }

    /// Whether what bears `borne` may be used now, by what the bus has told.
    pub(super) fn covers(&self, borne: &Borne) -> bool {
        self.0.trust.covers(self.0.clock.now(), borne.begun)
    }

    /// Looks once more for a `V`, without counting.
    pub(super) fn peek_entry<V: 'static>(&self, key: &Key) -> Option<Arc<StoredEntry>> {
        let is_usable = |entry: &Arc<StoredEntry>| self.0.judge::<V>(entry).is_ok().then(|| entry.clone());
        self.0.tier.find(&key.view(), is_usable).flatten()
    }
}

/// Looks up once more by the clock, when it is its turn, after everything that was made later is gone.
struct Sample<'c, V: 'static> {
    cache: &'c Cache,
    key: &'c KeyView<'c>,
    is_due: bool,
    of: PhantomData<fn() -> V>,
}

impl<V: 'static> Drop for Sample<'_, V> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_due {
            self.cache.time_lookup::<V>(self.key);
        }
    }
}

impl Inner {
    /// The value of an entry, if it may be used now.
    #[inline(always)]
    fn judge<'e, V: 'static>(&self, entry: &'e StoredEntry) -> Result<&'e V, MissReason> {
        let now = self.clock.now();
        match entry.freshness(now) {
            Freshness::Fresh if !self.trust.covers(now, entry.begun()) => Err(MissReason::Unreachable),
            Freshness::Fresh => entry.value().ok_or(MissReason::Undecodable),
            Freshness::Expired => Err(MissReason::Expired),
            Freshness::Invalidated => Err(MissReason::Invalidated),
        }
    }
}
