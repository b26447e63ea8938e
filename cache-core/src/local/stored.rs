//! An entry of the local tier.

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::care::{Attention, Care, Upkeep};
use super::weight::Weight;
use crate::clock::Tick;
use crate::entry::{Currency, Freshness, freshness};
use crate::epochs::{Checked, Stamps};
use crate::function::Function;
use crate::key::{Key, KeyView};

/// A value in the local tier, with all that decides whether it may be used.
///
/// Unsized at its end, so that entries of all types live in one map and the header is read without a virtual
/// call: `Arc<StoredEntry<V>>` becomes `Arc<StoredEntry>`.
///
/// In this order: what a hit reads lies together, beside the value. A hit costs as many lines of memory as it touches.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct StoredEntry<V: ?Sized = dyn Any + Send + Sync> {
    created: Tick,
    /// For functions with `grace` or `refresh` alone.
    care: Option<Box<Care>>,
    /// Raw ticks; moved to the past by `expire`.
    fresh_until: AtomicU64,
    /// What the epochs were before the computation began.
    stamps: Stamps,
    /// When the stamps were taken: what the value is not older than.
    begun: Tick,
    /// From here on a hit reads.
    pub(crate) key: Key,
    /// Raw ticks: up to here a hit has nothing to consider but epochs. No later than `fresh_until`.
    quiet_until: AtomicU64,
    /// When the stamps were last found to be current.
    checked: Checked,
    /// For counting, without a lookup by name.
    pub(crate) function: Arc<Function>,
    pub(crate) weight: Weight,
    pub(crate) value: V,
}

/// The header of an entry about to be stored.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) key: Key,
    pub(crate) created: Tick,
    pub(crate) begun: Tick,
    pub(crate) fresh_until: Tick,
    pub(crate) care: Option<Care>,
    pub(crate) stamps: Stamps,
    pub(crate) function: Arc<Function>,
    pub(crate) weight: Weight,
}

impl<V> StoredEntry<V> {
    pub(crate) fn new(header: Header, value: V) -> Self {
        let Header { key, created, begun, fresh_until, care, stamps, function, weight } = header;
        let upkeep = care.as_ref().and_then(|care| care.upkeep.as_ref());
        let quiet_until = upkeep.map_or(fresh_until, |upkeep| upkeep.first_consideration(fresh_until));
        Self {
            created,
            fresh_until: AtomicU64::new(fresh_until.raw()),
            stamps,
            begun,
            key,
            quiet_until: AtomicU64::new(quiet_until.min(fresh_until).raw()),
            checked: Checked::never(),
            function,
            weight,
            care: care.map(Box::new),
            value,
        }
    }

    /// What an entry of this type takes beside its value's own heap, in bytes.
    pub(crate) const fn overhead(has_care: bool) -> usize {
        // The two counts of the `Arc`, the header and the value's inline part.
        let own = 2 * size_of::<usize>() + size_of::<Self>();
        if has_care { own + size_of::<Care>() } else { own }
    }
}

impl StoredEntry {
    /// Whether it is the entry of `key`.
    #[inline(always)]
    pub(crate) fn is_of(&self, key: &KeyView<'_>) -> bool {
        self.key.view() == *key
    }

    /// Whether it was made for those who followed its computation, and is not kept.
    pub(crate) fn is_for_followers(&self) -> bool {
        self.fresh_until() <= self.created
    }

    /// What the epochs were before the computation began.
    pub(crate) fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// Whether a hit at `now` has nothing to consider: it is fresh, and not due for anything.
    #[inline]
    pub(crate) fn is_quiet(&self, now: Tick) -> bool {
        now.raw() < self.quiet_until.load(Ordering::Acquire) && self.stamps.are_current(&self.checked)
    }

    /// Tells whether the value may be used at `now`.
    #[inline]
    pub(crate) fn freshness(&self, now: Tick) -> Freshness {
        // Without grace it is never stale: also not what was softly invalidated within its ttl.
        let stale_until = self.care.as_ref().map_or(Tick::from_raw(0), |care| care.stale_until());
        freshness(now, self.fresh_until(), stale_until, self.currency())
    }

    #[inline]
    fn fresh_until(&self) -> Tick {
        Tick::from_raw(self.fresh_until.load(Ordering::Acquire))
    }

    /// Considers at a read what is to be done about a fresh value.
    pub(crate) fn consider(&self, now: Tick, chance: f64) -> Attention {
        let quiet_until = self.quiet_until.load(Ordering::Acquire);
        let Some(upkeep) = self.upkeep() else { return Attention::Nothing };
        let was_asked = upkeep.is_asked();
        let (attention, next) = upkeep.consider(now, self.fresh_until(), chance);
        // Who expired it meanwhile has the last word.
        let noted =
            self.quiet_until.compare_exchange(quiet_until, next.raw(), Ordering::AcqRel, Ordering::Relaxed);
        // A refresh that was under way may have failed meanwhile, and what it said of the next one be overwritten.
        if noted.is_ok() && was_asked && !upkeep.is_asked() {
            self.quiet_until.fetch_min(upkeep.rests_until(next).raw(), Ordering::AcqRel);
        }
        attention
    }

    /// Notes a use that does not consider it.
    pub(crate) fn note_use(&self, now: Tick) {
        if let Some(upkeep) = self.upkeep() {
            upkeep.note_use(now);
        }
    }

    /// A refresh of this value has failed: it is not tried again before `until`.
    pub(crate) fn rest(&self, until: Tick) {
        if let Some(upkeep) = self.upkeep() {
            upkeep.rest(until);
            self.quiet_until.fetch_min(until.raw(), Ordering::AcqRel);
        }
    }

    /// How long it is fresh yet.
    pub(crate) fn fresh_for(&self, now: Tick) -> Duration {
        self.fresh_until().since(now)
    }

    pub(crate) fn upkeep(&self) -> Option<&Upkeep> {
        self.care.as_ref()?.upkeep.as_ref()
    }

    /// Whether only the local ttl is over, and the schedule is to see to it yet. Nothing is answered with it.
    pub(crate) fn is_awaited(&self, now: Tick) -> bool {
        // Who expires an entry leaves no time at all.
        self.fresh_until().raw() > 0
            && self.currency() == Currency::Current
            && self.upkeep().is_some_and(|upkeep| upkeep.is_awaited(now))
    }

    /// The number of the latest invalidation of what it bears.
    pub(crate) fn latest_move(&self) -> u64 {
        self.stamps.latest_move()
    }

    #[inline]
    fn currency(&self) -> Currency {
        self.stamps.currency()
    }

    /// The value, if it is a `V`.
    #[inline]
    pub(crate) fn value<V: 'static>(&self) -> Option<&V> {
        self.value.downcast_ref()
    }

    /// Whether its value is of the type `of`.
    pub(crate) fn is_a(&self, of: TypeId) -> bool {
        self.value.type_id() == of
    }

    /// Makes the value stale from now on.
    pub(crate) fn expire(&self, now: Tick) {
        if let Some(care) = &self.care {
            care.expire(now);
        }
        self.fresh_until.store(0, Ordering::Release);
        self.quiet_until.store(0, Ordering::Release);
    }

    /// When its stamps were taken.
    #[inline]
    pub(crate) fn begun(&self) -> Tick {
        self.begun
    }

    /// When it was computed.
    pub(crate) fn created(&self) -> Tick {
        self.created
    }

    /// The time since the value was computed.
    pub(crate) fn age(&self, now: Tick) -> Duration {
        now.since(self.created)
    }
}
