//! The only place of this crate that asks for the time.
//!
//! It measures how long a connection was silent. Lives, epochs and grants are told by the server's clock alone.

use std::time::{Duration, Instant};

/// A moment on this process's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Instant);

impl Moment {
    /// Now.
    #[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// The time from `earlier` to this; zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// How long ago this was.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The moment `after` later; at most a hundred years.
    pub(crate) fn later(self, after: Duration) -> Self {
        // A hundred years fit any clock that has not run for as long.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        Self(self.0.checked_add(after.min(LONGEST)).unwrap_or(self.0))
    }
}
