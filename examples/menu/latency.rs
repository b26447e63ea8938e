//! How long calls took.

use std::fmt;
use std::time::{Duration, Instant};

/// Steps per doubling: a percentile is read with an error of at most 1/16.
const STEPS: u64 = 16;

/// Counts durations in steps that grow with the duration, from 1 ns to a minute and beyond.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: vec![0; 64 * STEPS as usize], total: 0 }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[step(nanoseconds)] += 1;
        self.total += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The duration that a `share` of the calls did not exceed, 0.99 say.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        Duration::from_nanos(found.map_or(0, upper_end))
    }
}

/// The step a duration falls in: exact below 16 ns, then 16 steps per doubling.
fn step(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let doubling = u64::from(nanoseconds.ilog2()) - 4;
    ((doubling + 1) * STEPS + (nanoseconds >> doubling) - STEPS) as usize
}

fn upper_end(step: usize) -> u64 {
    let step = step as u64;
    if step < STEPS {
        return step;
    }
    let (doubling, within) = (step / STEPS - 1, step % STEPS);
    ((STEPS + within + 1) << doubling) - 1
}

/// A duration as a person reads it: three digits and a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readable(pub(crate) Duration);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos() as f64;
        let (number, unit) = match nanoseconds {
            n if n < 1e3 => (n, "ns"),
            n if n < 1e6 => (n / 1e3, "µs"),
            n if n < 1e9 => (n / 1e6, "ms"),
            n => (n / 1e9, "s"),
        };
        let digits = match number {
            _ if unit == "ns" => 0,
            n if n < 10.0 => 2,
            n if n < 100.0 => 1,
            _ => 0,
        };
        f.pad(&format!("{number:.digits$} {unit}"))
    }
}

/// The time now, for a load generator: it measures what a user would wait.
#[expect(clippy::disallowed_methods, reason = "a load is measured in real time, not in the cache's")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_sixteenth() {
        let mut latency = Latency::default();
        for microseconds in 1..=1_000 {
            latency.record(Duration::from_micros(microseconds));
        }

        for (share, expected) in [(0.5, 500e-6), (0.99, 990e-6), (1.0, 1_000e-6)] {
            let found = latency.percentile(share).as_secs_f64();
            assert!((found / expected - 1.0).abs() < 1.0 / 16.0, "{share}: {found}");
        }
    }

    #[test]
    fn every_duration_has_a_step_that_holds_it() {
        for nanoseconds in (0..10_000).chain((14..64).map(|power| 1 << power)).chain([u64::MAX]) {
            let step = step(nanoseconds);
            assert!(step < 64 * STEPS as usize);
            assert!(step == 0 || upper_end(step - 1) < nanoseconds, "{nanoseconds}");
            if nanoseconds < 1 << 62 {
                assert!(nanoseconds <= upper_end(step), "{nanoseconds}");
            }
        }
    }

    #[test]
    fn no_call_takes_no_time() {
        assert_eq!(Latency::default().percentile(0.99), Duration::ZERO);
    }

    #[test]
    fn durations_read_well() {
        for (nanoseconds, text) in
            [(7, "7 ns"), (350, "350 ns"), (1_250, "1.25 µs"), (12_500, "12.5 µs"), (3_000_000_000, "3.00 s")]
        {
            assert_eq!(Readable(Duration::from_nanos(nanoseconds)).to_string(), text);
        }
    }
}
