//! Epochs.

use std::fmt;

/// The state of a tag: written anew by each invalidation, equal to no other one before or after.
///
/// The shared tier's time in microseconds since 1970 and 64 random bits; 16 bytes, the time first, highest byte first.
/// Epochs are compared for equality; only those of one server can be told older or younger.
///
/// ```
/// use cache_core::entry::epoch::Epoch;
/// let epoch = Epoch::new(1_700_000_000_000_000, 7);
/// assert_eq!(Epoch::from_bytes(epoch.to_bytes()), epoch);
/// assert_eq!(epoch.micros(), 1_700_000_000_000_000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; Self::LENGTH]);

impl Epoch {
    /// The length of an epoch in bytes.
    pub const LENGTH: usize = 16;

    /// Makes an epoch from a server's time in microseconds and random bits.
    pub const fn new(micros: u64, random: u64) -> Self {
        Self(((micros as u128) << 64 | random as u128).to_be_bytes())
    }

    /// Makes an epoch from its stored form. Any 16 bytes are one.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The stored form.
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }

    /// The server's time at the invalidation, in microseconds since 1970.
    pub const fn micros(self) -> u64 {
        (u128::from_be_bytes(self.0) >> 64) as u64
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({}us, {:016x})", self.micros(), u128::from_be_bytes(self.0) as u64)
    }
}
