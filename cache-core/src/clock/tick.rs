//! A point in time.

use std::time::Duration;

/// A point on a clock's own line: seconds in 32.32 fixed point, as the coarse clock counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tick(u64);

impl Tick {
    #[cfg(test)]
    pub(crate) const MAX: Self = Self(u64::MAX);

    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The point `after` later; the end of time when that is farther than 136 years.
    pub(crate) fn later(self, after: Duration) -> Self {
        let whole = after.as_secs().checked_mul(1 << 32);
        let part = (u64::from(after.subsec_nanos()) << 32) / 1_000_000_000;
        Self(whole.map_or(u64::MAX, |whole| self.0.saturating_add(whole).saturating_add(part)))
    }

    /// The point `before` earlier; the beginning of time when that is nearer.
    pub(crate) fn earlier(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(Self(0).later(before).0))
    }

    /// The time from `earlier` to here; zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let ticks = self.0.saturating_sub(earlier.0);
        // Rounded up, so that a duration survives the way to ticks and back.
        let nanos = ((ticks & 0xFFFF_FFFF) * 1_000_000_000).div_ceil(1 << 32);
        Duration::from_secs(ticks >> 32) + Duration::from_nanos(nanos)
    }
}
