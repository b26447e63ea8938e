//! What is stored, and whether it may still be used.

pub mod epoch;
pub mod fingerprint;
pub mod frame;
mod freshness;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) use freshness::{Freshness, LEASE, Lifetime, MissReason, Remember, lifetime};

use crate::clock::Tick;
use crate::engine::Function;
use crate::local::epochs::{Currency, Stamps};

/// A value in the local tier, with all that decides whether it may be used.
///
/// Unsized at its end, so that entries of all types live in one map and the header is read without a virtual
/// call: `Arc<StoredEntry<V>>` becomes `Arc<StoredEntry>`.
#[derive(Debug)]
pub(crate) struct StoredEntry<V: ?Sized = dyn Any + Send + Sync> {
    /// Raw ticks; moved to the past by `expire`.
    fresh_until: AtomicU64,
    created: Tick,
    /// When the stamps were taken: what the value is not older than.
    begun: Tick,
    /// What the epochs were before the computation began.
    stamps: Stamps,
    /// For counting, without a lookup by name.
    pub(crate) function: Arc<Function>,
    pub(crate) weight: u64,
    pub(crate) value: V,
}

/// The header of an entry about to be stored.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) created: Tick,
    pub(crate) begun: Tick,
    pub(crate) lifetime: Lifetime,
    pub(crate) stamps: Stamps,
    pub(crate) function: Arc<Function>,
    pub(crate) weight: u64,
}

impl<V> StoredEntry<V> {
    pub(crate) fn new(header: Header, value: V) -> Self {
        let Header { created, begun, lifetime, stamps, function, weight } = header;
        let fresh_until = AtomicU64::new(created.later(lifetime.fresh).raw());
        Self { fresh_until, created, begun, stamps, function, weight, value }
    }

    /// What an entry of this type takes beside its value's own heap, in bytes.
    pub(crate) const fn overhead() -> usize {
        // The two counts of the `Arc`, the header and the value's inline part.
        2 * size_of::<usize>() + size_of::<Self>()
    }
}

impl StoredEntry {
    /// Tells whether the value may be used at `now`.
    #[inline]
    pub(crate) fn freshness(&self, now: Tick) -> Freshness {
        freshness::freshness(now, Tick::from_raw(self.fresh_until.load(Ordering::Acquire)), self.currency())
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

    /// Makes the value stale from now on.
    pub(crate) fn expire(&self) {
        self.fresh_until.store(0, Ordering::Release);
    }

    /// When its stamps were taken.
    #[inline]
    pub(crate) fn begun(&self) -> Tick {
        self.begun
    }

    /// The time since the value was stored.
    pub(crate) fn age(&self, now: Tick) -> Duration {
        now.since(self.created)
    }
}
