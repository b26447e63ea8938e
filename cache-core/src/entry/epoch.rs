//! Epochs.

use std::fmt;

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
    /// The length of the stored form in bytes.
    pub const LENGTH: usize = 16;

    /// Makes an epoch.
    pub const fn new(micros: u64, random: u64) -> Self {
        Self { micros, random }
    }

    /// Sixteen bytes, big-endian, so that they sort as epochs do.
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.bits().to_be_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Any sixteen bytes are an epoch.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self::from_bits(u128::from_be_bytes(bytes))
    }

    const fn bits(self) -> u128 {
        (self.micros as u128) << 64 | self.random as u128
    }

    const fn from_bits(bits: u128) -> Self {
        Self { micros: (bits >> 64) as u64, random: bits as u64 }
    }

    /// One epoch that stands for several, in their order: it differs when one of them differs.
    ///
    /// An entry keeps this instead of all of its tags' epochs, and costs the same number of bytes whatever their
    /// number. Where exactly one epoch differs the result differs for certain, since multiplying by an odd number
    /// and adding are bijections; where several do, it is as unlikely to be the same as 64 random bits are.
    pub fn combined(epochs: impl IntoIterator<Item = Self>) -> Self {
        epochs.into_iter().fold(Self::from_bits(1), Self::and)
    }

    /// The combination of what this one stands for and the next.
    pub(crate) const fn and(self, next: Self) -> Self {
        // The multiplier of PCG's 128-bit generator (M. O'Neill, "PCG: a family of simple fast space-efficient
        // statistically good algorithms for random number generation", 2014).
        const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        Self::from_bits(self.bits().wrapping_mul(MULTIPLIER).wrapping_add(next.bits()))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({}-{:016x})", self.micros, self.random)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
        prop::collection::vec((any::<u64>(), any::<u64>()).prop_map(|(a, b)| Epoch::new(a, b)), 1..6)
    }

    proptest! {
        #[test]
        fn one_other_epoch_among_them_makes_another_combination(
            epochs in epochs(), at in any::<prop::sample::Index>(), other in (any::<u64>(), any::<u64>()),
        ) {
            let mut changed = epochs.clone();
            let at = at.index(epochs.len());
            changed[at] = Epoch::new(other.0, other.1);

            let same = Epoch::combined(epochs.iter().copied()) == Epoch::combined(changed.iter().copied());

            prop_assert_eq!(same, epochs[at] == changed[at]);
        }

        #[test]
        fn one_epoch_more_makes_another_combination(epochs in epochs()) {
            let fewer = &epochs[1..];

            prop_assert_ne!(Epoch::combined(epochs.iter().copied()), Epoch::combined(fewer.iter().copied()));
        }
    }
}
