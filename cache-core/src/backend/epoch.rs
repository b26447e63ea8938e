//! The server's time, and the epochs of tags.

use std::time::Duration;

pub use crate::entry::epoch::Epoch;

/// A moment on the clock of the store, in µs since its own zero.
///
/// It compares with other times of the same store, and with nothing else: no clock of a client is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerTime(u64);

impl ServerTime {
    /// The moment `micros` µs after the zero of the store's clock.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// µs since the zero of the store's clock.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Epoch {
    /// Whether the tag may have been invalidated after `moment`.
    ///
    /// This is how tags that only the value knows are checked, against the time of the grant. The same µs
    /// counts as after: when in doubt, a value is not stored.
    pub fn is_younger_than(self, moment: ServerTime) -> bool {
        self.micros >= moment.micros()
    }
}
