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
}

#[cfg(test)]
impl Moment {
    /// The moment `after` later.
    pub(crate) fn later(self, after: Duration) -> Self {
        Self(self.0 + after)
    }
}
