//! How long this process may rely on what the bus has told it.
//!
//! Compiled twice: here, and by `tests/model_moves.rs` against loom's primitives.

use std::time::Duration;

use crate::clock::Tick;
use crate::sync::{AtomicU64, Ordering};

/// Until when everything that happened elsewhere up to a known moment has been heard here.
///
/// A heartbeat that this process sent at some moment and heard again proves that it has heard all that
/// happened before that moment. So at most `staleness` after it, a value in the local tier may be outdated by no more
/// than that. Beyond, what counts is when the value itself was read or computed.
#[derive(Debug)]
pub(super) struct Trust {
    /// Raw ticks.
    until: AtomicU64,
    /// Raw ticks: up to here messages may have been missed.
    gap: AtomicU64,
    staleness: Duration,
}

impl Trust {
    /// There is nobody else: without a shared tier all that happens, happens here.
    pub(super) fn unlimited() -> Self {
        Self { until: AtomicU64::new(u64::MAX), gap: AtomicU64::new(0), staleness: Duration::MAX }
    }

    /// Nothing has been heard yet.
    pub(super) fn none_yet(staleness: Duration) -> Self {
        Self { until: AtomicU64::new(0), gap: AtomicU64::new(0), staleness }
    }

    /// `max_local_staleness`.
    pub(super) fn staleness(&self) -> Duration {
        self.staleness
    }

    /// Up to when all that happened elsewhere has been heard here.
    pub(super) fn heard_up_to(&self) -> Tick {
        Tick::from_raw(self.until.load(Ordering::Acquire)).earlier(self.staleness)
    }

    /// Whether the bus vouches for what is known here.
    #[inline]
    pub(super) fn is_given(&self, now: Tick) -> bool {
        now.raw() < self.until.load(Ordering::Acquire)
    }

    /// Whether a value may be used that is not older than `begun`, if `is_current` says that its epochs are current as far as
    /// is known here.
    ///
    /// The trust comes first. After a gap all epochs move, and then the bus vouches for what is known since. Were the epochs
    /// asked first, they could be those of before the gap, and the trust that of after it.
    #[inline(always)]
    pub(super) fn vouches(&self, now: Tick, begun: Tick, is_current: impl FnOnce() -> bool) -> bool {
        self.covers(now, begun) && is_current()
    }

    /// The same where more than a yes is asked of the epochs: first whether it vouches for fresh values and for stale ones, then
    /// what `ask` says.
    pub(super) fn before<T>(&self, now: Tick, begun: Tick, ask: impl FnOnce() -> T) -> (bool, bool, T) {
        let (for_fresh, for_stale) = (self.covers(now, begun), self.covers_stale(now, begun));
        (for_fresh, for_stale, ask())
    }

    /// Whether a value may be used whose epochs are current as far as is known here, *if that is asked afterwards*, and which
    /// was not older than `begun`.
    #[inline]
    pub(super) fn covers(&self, now: Tick, begun: Tick) -> bool {
        self.is_given(now) || self.is_recent(now, begun)
    }

    /// Whether a value may stand in that is not known to be current, but not known to be invalidated either: nothing that was
    /// told since it was begun was missed, or that is no longer ago than the staleness.
    pub(super) fn covers_stale(&self, now: Tick, begun: Tick) -> bool {
        let is_heard = self.is_given(now) && begun.raw() > self.gap.load(Ordering::Acquire);
        is_heard || self.is_recent(now, begun)
    }

    #[cold]
    fn is_recent(&self, now: Tick, begun: Tick) -> bool {
        now < begun.later(self.staleness)
    }

    /// A heartbeat that was sent at `sent` has come back.
    pub(super) fn confirm(&self, sent: Tick) {
        self.until.fetch_max(sent.later(self.staleness).raw(), Ordering::AcqRel);
    }

    /// Messages may have been missed up to `now`.
    pub(super) fn gap(&self, now: Tick) {
        self.gap.fetch_max(now.raw(), Ordering::AcqRel);
        self.withdraw();
    }

    /// Nothing that happens from now on may be heard.
    pub(super) fn withdraw(&self) {
        self.until.store(0, Ordering::Release);
    }
}
