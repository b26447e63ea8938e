//! Repeatable chance: a seeded generator and a Zipf distribution over it.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
///
/// Small, fast and good enough for a load; the same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of one of many: neighbouring seeds and numbers give unrelated sequences.
    pub(crate) fn branch(seed: u64, number: u64) -> Self {
        let mut trunk = Self(seed);
        let seed = trunk.next() ^ number;
        let mut branch = Self(seed);
        Self(branch.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 up to, and without, 1.
    pub(crate) fn share(&mut self) -> f64 {
        // The upper 53 bits are what an f64 can hold.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `bound`, which must not be 0. The bias for bounds of this program is below 2^-40.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts `items` in a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A Zipf distribution: the item of rank `r` is asked for in proportion to `1 / r^exponent`.
///
/// With an exponent of 1, what web requests are like, the first of 3,000 items gets 12 % of the calls
/// and the first hundred 60 %. Sampled by looking the random number up in the summed weights, which is
/// exact and, at this size, as fast as anything.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    /// A distribution over `items` ranks; `items` must not be 0.
    pub(crate) fn new(items: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=items)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        Self { sums }
    }

    /// A rank, from 0, the most frequent one.
    pub(crate) fn sample(&self, chance: &mut Chance) -> usize {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let point = chance.share() * total;
        // Rounding may bring the point up to the total itself.
        self.sums.partition_point(|&sum| sum <= point).min(self.sums.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference_implementation() {
        let mut chance = Chance::seeded(1_234_567);

        let numbers: Vec<u64> = (0..3).map(|_| chance.next()).collect();

        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn branches_of_one_seed_differ_and_repeat() {
        assert_ne!(Chance::branch(1, 0).next(), Chance::branch(1, 1).next());
        assert_ne!(Chance::branch(1, 0).next(), Chance::branch(2, 0).next());
        assert_eq!(Chance::branch(1, 5).next(), Chance::branch(1, 5).next());
    }

    #[test]
    fn ranks_come_as_often_as_their_weight_says() {
        let (zipf, mut chance) = (Zipf::new(100, 1.0), Chance::seeded(1));
        let (mut counts, samples) = ([0u32; 100], 200_000);

        for _ in 0..samples {
            counts[zipf.sample(&mut chance)] += 1;
        }

        let total: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (rank, &count) in (1..).zip(&counts) {
            let expected = f64::from(samples) / f64::from(rank) / total;
            // Five standard deviations of a count.
            assert!((f64::from(count) - expected).abs() < 5.0 * expected.sqrt(), "rank {rank}: {count}");
        }
    }

    #[test]
    fn one_item_is_always_chosen() {
        let (zipf, mut chance) = (Zipf::new(1, 1.0), Chance::seeded(1));

        assert!((0..100).all(|_| zipf.sample(&mut chance) == 0));
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();

        Chance::seeded(3).shuffle(&mut items);

        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
