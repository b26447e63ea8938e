//! The one source of random numbers, seedable for tests.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// A shared generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014) over an atomic counter, so that drawing needs neither a lock nor a thread-local.
///
/// Good for spreading and for telling flights apart; not for keys (see [`entropy`]).
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    /// Starts from a seed: the same seed gives the same numbers.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Starts from the operating system's randomness.
    pub(crate) fn random() -> Self {
        Self::seeded(entropy())
    }

    fn next(&self) -> u64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Draws a number of at least 0 and less than 1.
    pub(crate) fn unit(&self) -> f64 {
        // 53 bits: all that a double holds.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// 64 bits that an outsider cannot guess: the standard library seeds the hasher of its maps from the
/// operating system, and gives it out through a keyed SipHash.
pub(crate) fn entropy() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers() {
        let (a, b) = (Chance::seeded(7), Chance::seeded(7));

        let drawn: Vec<_> = (0..9).map(|_| a.unit()).collect();

        assert_eq!(drawn, (0..9).map(|_| b.unit()).collect::<Vec<_>>());
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
    }
}
