//! Durations, counted by magnitude.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sub-buckets in each power of two: a quantile is off by at most one eighth.
const SPLIT_BITS: u32 = 2;
const BUCKETS: usize = (64 << SPLIT_BITS) as usize;

/// A histogram with log-linear buckets over nanoseconds (as in G. Tene's HdrHistogram, two bits of mantissa).
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    count: AtomicU64,
    sum: AtomicU64,
    /// The longest.
    most: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, count: AtomicU64::new(0), sum: AtomicU64::new(0), most: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub(crate) fn record(&self, duration: Duration, times: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.most.fetch_max(nanos, Ordering::Relaxed);
        self.buckets[bucket(nanos)].fetch_add(times, Ordering::Relaxed);
        self.count.fetch_add(times, Ordering::Relaxed);
        self.sum.fetch_add(nanos.saturating_mul(times), Ordering::Relaxed);
    }

    pub(crate) fn mean(&self) -> Duration {
        let count = self.count.load(Ordering::Relaxed);
        Duration::from_nanos(self.sum.load(Ordering::Relaxed).checked_div(count).unwrap_or(0))
    }

    /// The duration that the share `q` of all recorded ones does not exceed; zero when there is none.
    pub(crate) fn quantile(&self, q: f64) -> Duration {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let rank = (all as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen == all {
                // Of few it is the longest: what lies in the middle of its bucket could be less than their mean.
                return Duration::from_nanos(self.most.load(Ordering::Relaxed));
            }
            if *count > 0 && seen >= rank {
                return Duration::from_nanos(middle(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let exponent = 63 - (nanos | 1).leading_zeros();
    if exponent < SPLIT_BITS {
        return nanos as usize;
    }
    let mantissa = (nanos >> (exponent - SPLIT_BITS)) & ((1 << SPLIT_BITS) - 1);
    ((exponent as usize) << SPLIT_BITS) + mantissa as usize
}

fn middle(index: usize) -> u64 {
    let exponent = (index >> SPLIT_BITS) as u32;
    if exponent < SPLIT_BITS {
        return index as u64;
    }
    let mantissa = (index & ((1 << SPLIT_BITS) - 1)) as u64;
    let width = 1u64 << (exponent - SPLIT_BITS);
    (1u64 << exponent) + mantissa * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_off_by_an_eighth_at_most() {
        let histogram = Histogram::default();

        (1..=10_000).for_each(|micros| histogram.record(Duration::from_micros(micros), 1));

        for (q, exact) in [(0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let told = histogram.quantile(q).as_nanos() as f64 / 1_000.0;
            assert!((told / exact - 1.0).abs() <= 0.125, "q {q}: {told} for {exact}");
        }
        assert_eq!(histogram.mean(), Duration::from_nanos(5_000_500));
    }

    #[test]
    fn a_quantile_of_few_is_no_less_than_their_mean() {
        let histogram = Histogram::default();
        for nanos in [226_200, 226_200, 226_300] {
            histogram.record(Duration::from_nanos(nanos), 1);
            assert!(histogram.quantile(0.99) >= histogram.mean());
        }
        assert_eq!(histogram.quantile(0.99), Duration::from_nanos(226_300));
    }

    #[test]
    fn the_ends_of_the_range_have_a_bucket() {
        let histogram = Histogram::default();

        histogram.record(Duration::ZERO, 1);
        histogram.record(Duration::MAX, 1);

        assert_eq!(histogram.quantile(0.1), Duration::ZERO);
        assert!(histogram.quantile(1.0) > Duration::from_secs(1 << 33));
    }
}
