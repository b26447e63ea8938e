//! How long this process may rely on what the bus has told it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Tick;

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

    /// Whether the bus vouches for what is known here.
    #[inline]
    pub(super) fn is_given(&self, now: Tick) -> bool {
        now.raw() < self.until.load(Ordering::Acquire)
    }

    /// Whether a value may be used whose epochs are current as far as is known here, and which was not older than
    /// `begun`.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALENESS: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Tick {
        Tick::from_raw(seconds << 32)
    }

    #[test]
    fn a_heartbeat_vouches_from_its_sending_and_no_longer_than_the_staleness() {
        let trust = Trust::none_yet(STALENESS);
        assert!(!trust.is_given(at(10)));

        trust.confirm(at(10));

        let end = at(12).raw();
        assert!(trust.is_given(Tick::from_raw(end - 1)));
        assert!(!trust.is_given(Tick::from_raw(end)));
    }

    #[test]
    fn a_heartbeat_that_comes_late_does_not_shorten_what_a_later_one_gave() {
        let trust = Trust::none_yet(STALENESS);

        trust.confirm(at(20));
        trust.confirm(at(10));

        assert!(trust.is_given(at(21)));
    }

    #[test]
    fn what_was_missed_takes_the_trust_away() {
        let trust = Trust::none_yet(STALENESS);
        trust.confirm(at(10));

        trust.withdraw();

        assert!(!trust.is_given(at(11)));
    }

    #[test]
    fn what_was_begun_before_a_gap_stands_in_for_the_staleness_alone() {
        let trust = Trust::none_yet(STALENESS);
        trust.confirm(at(10));

        trust.gap(at(11));
        trust.confirm(at(12));

        assert!(trust.covers_stale(at(12), at(11)), "begun less than the staleness ago");
        assert!(!trust.covers_stale(at(13), at(11)), "invalidated in the gap, perhaps");
        assert!(trust.covers_stale(at(13), at(12)));
    }

    proptest! {
        #[test]
        fn nothing_is_used_longer_than_the_staleness_after_it_was_last_known_to_be_current(
            sent in 0..1_000_u64, begun in 0..1_000_u64, now in 0..1_000_u64,
        ) {
            let trust = Trust::none_yet(STALENESS);
            trust.confirm(at(sent));

            let last_known = sent.max(begun);

            prop_assert_eq!(trust.covers(at(now), at(begun)), now < last_known + STALENESS.as_secs());
        }

        #[test]
        fn without_a_shared_tier_everything_is_covered(now in any::<u64>(), begun in any::<u64>()) {
            prop_assert!(Trust::unlimited().covers(Tick::from_raw(now - now % 2), Tick::from_raw(begun)));
        }
    }
}
