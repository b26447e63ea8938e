//! The way of a hit: one look into the local tier.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use super::shared::Borne;
use super::{Cache, Inner};
use crate::answer::Answer;
use crate::clock::Tick;
use crate::entry::{Freshness, MissReason};
use crate::event::stats::TIMED;
use crate::event::watch::is_watched;
use crate::key::{Identity, Key, KeyView, ShortKey};
use crate::local::{Attention, StoredEntry};

/// What a closer look found: an entry with a value of the type that was asked for, or why there is none.
pub(super) enum Closer {
    /// One with a fresh value, and what is to be done about it.
    Fresh(Arc<StoredEntry>, Attention),
    /// One with a stale value that stands in, since the last computation failed a moment ago. Not counted yet.
    Resting(Arc<StoredEntry>),
    Miss(MissReason),
}

impl Cache {
    /// Looks once more at what is not quiet: why it is no hit, or, for who `attends` to that, what is to be done about one. Counts a hit.
    #[cold]
    #[inline(never)]
    pub(super) fn look_closer(&self, key: &KeyView<'_>, of: TypeId, attends: bool) -> Closer {
        let cache = &*self.0;
        let Some(entry) = cache.tier.find(key, Arc::clone) else {
            return Closer::Miss(MissReason::Absent);
        };
        let now = cache.clock.now();
        let reason = match cache.freshness(&entry, now) {
            (Freshness::Fresh, false) => MissReason::Unreachable,
            (Freshness::Fresh | Freshness::Stale, true) if !entry.is_a(of) => MissReason::Undecodable,
            (Freshness::Fresh, true) => {
                entry.function.counters.hits.increment();
                if entry.upkeep().is_some_and(|upkeep| upkeep.refresh().idle.is_some()) {
                    self.see_to_keeper();
                }
                let attention = match attends {
                    true => entry.consider(now, cache.chance.unit()),
                    false => {
                        entry.note_use(now);
                        Attention::Nothing
                    }
                };
                return Closer::Fresh(entry, attention);
            }
            (Freshness::Stale, true) if cache.setbacks.is_resting(key, now, Some(&entry)) => {
                entry.note_use(now);
                return Closer::Resting(entry);
            }
            (Freshness::Stale | Freshness::Expired, _) => MissReason::Expired,
            (Freshness::Invalidated, _) => MissReason::Invalidated,
        };
        Closer::Miss(reason)
    }

    /// Whether what bears `borne` may be used now, by what the bus has told; to be asked before its epochs.
    pub(super) fn covers(&self, borne: &Borne) -> bool {
        self.0.trust.covers(self.0.clock.now(), borne.begun)
    }

    /// Looks once more for a fresh value of the type `of`, without counting. For who holds the lock of a flight: it drops no entry.
    pub(super) fn peek_entry(&self, key: &Key, of: TypeId) -> Option<Arc<StoredEntry>> {
        let cache = &*self.0;
        // Decided where it lies: to take along one that is of no use would be to drop it under the lock of whoever asks.
        let is_it = |entry: &Arc<StoredEntry>| {
            let is_fresh = cache.freshness(entry, cache.clock.now()) == (Freshness::Fresh, true);
            is_fresh && entry.is_a(of)
        };
        cache.tier.find(&key.view(), |entry| is_it(entry).then(|| entry.clone())).flatten()
    }
}

impl Inner {
    /// Looks in the local tier for the entry of a short key, as nearly all are. `None` also where somebody watches.
    // Out of line: the shorter the code of a future, the likelier it is inlined where it is awaited. Takes the parts of the key
    // in registers.
    #[inline(never)]
    pub(super) fn look_up_short<A: Answer>(
        &self,
        identity: Identity,
        first: u64,
        rest: &[u64; 3],
        last: u64,
        answer: A,
    ) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        let key = ShortKey { identity, first, rest, last };
        // An empty tier is one shard, and not worth its lock.
        if is_watched() || !self.tier.admits_any() { None } else { self.look_up(&key.view(), answer) }
    }

    /// Looks in the local tier for an entry about which nothing is to be considered; counts a hit, and makes the answer of
    /// the value's clone. `None` says no more than that a [closer look](Cache::look_closer) is needed.
    // The clone moves to where the answer is returned after the lock: a move takes the words that were just stored in wider
    // pieces, and would wait for all of them, as the lock does anyway.
    #[inline(always)]
    pub(super) fn look_up<A: Answer>(&self, key: &KeyView<'_>, answer: A) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        // Dropped after the lock.
        let mut sample = Sample::<A::Value> { cache: self, key, is_due: false, of: PhantomData };
        let place = self.tier.at(key);
        let shard = place.read();
        let entry = shard.entry()?;
        let found: &A::Value = self.quiet(entry)?;
        let hits = entry.function.counters.hits.increment();
        sample.is_due = hits.is_multiple_of(TIMED);
        if !entry.weight.is_light() {
            let entry = entry.clone();
            drop(shard);
            return entry.value().cloned().map(|value| answer.restore(value));
        }
        let value = found.clone();
        drop(shard);
        Some(answer.restore(value))
    }

    /// Looks up again, by the clock, without cloning the value: a hit allocates nothing but its own clone. Of the
    /// hits that are timed one stands for all, also where uses are counted.
    #[cold]
    fn time_lookup<V: 'static>(&self, key: &KeyView<'_>) {
        let stopwatch = self.clock.stopwatch();
        let found = self.tier.find(key, |entry| {
            if let Some(upkeep) = entry.upkeep() {
                upkeep.add_uses(TIMED);
            }
            self.quiet::<V>(entry).map(|_| entry.function.clone())
        });
        if let Some(Some(function)) = found {
            function.counters.time_lookup(stopwatch.elapsed());
        }
    }

    /// The value of an entry, if it may be used now and nothing is to be considered.
    #[inline(always)]
    fn quiet<'e, V: 'static>(&self, entry: &'e StoredEntry) -> Option<&'e V> {
        let now = self.clock.now();
        if self.trust.vouches(now, entry.begun(), || entry.is_quiet(now)) { entry.value() } else { None }
    }

    /// Notes a use of what is here under `key`, in whatever state.
    pub(super) fn note_use(&self, key: &Key) {
        let now = self.clock.now();
        self.tier.find(&key.view(), |entry| entry.note_use(now));
    }

    /// The entry of `key`, if its value is of the type `of`, in whatever state.
    pub(super) fn entry_of(&self, key: &Key, of: TypeId) -> Option<Arc<StoredEntry>> {
        self.tier.find(&key.view(), Arc::clone).filter(|entry| entry.is_a(of))
    }

    /// The value that may stand in for a computation of `key`: fresh or stale, and not invalidated.
    pub(super) fn stand_in(&self, key: &Key, of: TypeId) -> Option<Arc<StoredEntry>> {
        self.entry_of(key, of).filter(|entry| self.may_stand_in(entry))
    }

    /// Whether an entry is fresh or stale, and not invalidated as far as can be known.
    pub(super) fn may_stand_in(&self, entry: &StoredEntry) -> bool {
        matches!(self.freshness(entry, self.clock.now()), (Freshness::Fresh | Freshness::Stale, true))
    }

    /// How fresh an entry is at `now`, and whether the bus vouches for that.
    pub(super) fn freshness(&self, entry: &StoredEntry, now: Tick) -> (Freshness, bool) {
        let (for_fresh, for_stale, freshness) =
            self.trust.before(now, entry.begun(), || entry.freshness(now));
        let is_vouched_for = match freshness {
            Freshness::Fresh => for_fresh,
            Freshness::Stale | Freshness::Expired => for_stale,
            Freshness::Invalidated => false,
        };
        (freshness, is_vouched_for)
    }
}

/// Looks up once more by the clock, when it is its turn, after everything that was made later is gone.
struct Sample<'c, V: 'static> {
    cache: &'c Inner,
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
