//! The server's time, and the epochs of tags.

use std::fmt;
use std::time::Duration;

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

/// What a tag's invalidations change: the server's time in µs, and 64 random bits.
///
/// An entry keeps the epochs that its tags had before its computation began, and is usable while all of
/// them equal the current ones. The random bits see to it that an epoch that was lost does not come back;
/// the time lets epochs be ordered.
///
/// ```
/// use cache_core::backend::Epoch;
/// let epoch = Epoch { micros: 1_700_000_000_000_000, random: 7 };
/// assert_eq!(Epoch::from_bytes(epoch.to_bytes()), epoch);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// When the store wrote it, in µs of its clock.
    pub micros: u64,
    /// Tells apart what was written in the same µs, or after a loss.
    pub random: u64,
}

impl Epoch {
    /// Sixteen bytes, big-endian, so that they sort as epochs do.
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.micros) << 64) | u128::from(self.random)).to_be_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Self { micros: (bits >> 64) as u64, random: bits as u64 }
    }

    /// Whether the tag may have been invalidated after `moment`.
    ///
    /// This is how tags that only the value knows are checked, against the time of the grant. The same µs
    /// counts as after: when in doubt, a value is not stored.
    pub fn is_younger_than(self, moment: ServerTime) -> bool {
        self.micros >= moment.micros()
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({}-{:016x})", self.micros, self.random)
    }
}
