//! Pure decisions: is it time to recompute what is still fresh, and how long to rest after a failure?

use std::time::Duration;

use crate::clock::Tick;

/// When and how a value is recomputed before it is stale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Refresh {
    /// The share of the ttl after which it is due.
    pub(crate) after: f64,
    /// Among those that are due, the higher comes first.
    pub(crate) priority: i8,
    /// Kept warm without being asked for, as long as it was used within this time.
    pub(crate) idle: Option<Duration>,
}

impl Refresh {
    pub(crate) const DEFAULT: Self = Self { after: 0.8, priority: 0, idle: None };

    /// How long after its creation a value that is fresh for `fresh` is due.
    pub(crate) fn due_after(&self, fresh: Duration) -> Duration {
        Duration::try_from_secs_f64(fresh.as_secs_f64() * self.after).map_or(fresh, |due| due.min(fresh))
    }
}

/// -ln of the smallest probability that counts: one in a million reads. Before that nobody draws.
const NEGLIGIBLE: f64 = 13.9;

/// From when on a value is to be considered at each read: before, it is not due for certain.
pub(crate) fn considered_from(due: Tick, fresh_until: Tick, cost: Duration) -> Tick {
    due.min(fresh_until.earlier(cost.mul_f64(NEGLIGIBLE)))
}

/// Whether a read at `now` finds the value due: past `due`, or by chance earlier, the likelier the nearer its end and the
/// more it `cost` to compute.
///
/// That chance is the rule of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (VLDB
/// 2015) with β = 1: a read draws `chance` (at least 0, less than 1), and recomputes if the time that is left is no more than
/// `cost` · -ln(1 - `chance`). So of the reads at a time when `left` is left, a share of exp(-`left` / `cost`) does.
pub(crate) fn is_due(now: Tick, due: Tick, fresh_until: Tick, cost: Duration, chance: f64) -> bool {
    if now >= due {
        return true;
    }
    let left = fresh_until.since(now).as_secs_f64();
    left <= cost.as_secs_f64() * -(1.0 - chance).ln()
}

/// The first rest after a failure, and the longest.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// No rest is shorter than this, however near the end.
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// How long to leave a source alone after it has failed for the `failures`th time in a row: twice as long each time, and a
/// random part of up to a half less, so that many do not come back at once. `left` is how long the value is fresh yet: it is
/// tried again before that.
pub(crate) fn rest(failures: u32, left: Duration, chance: f64) -> Duration {
    let doubled = REST.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(REST.1);
    let rest = doubled.mul_f64(1.0 - chance / 2.0);
    if left.is_zero() { rest } else { rest.min(left / 2) }.max(SHORTEST_REST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::Chance;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(after: Duration) -> Tick {
        Tick::from_raw(1 << 40).later(after)
    }

    #[test]
    fn a_value_is_due_from_its_share_of_the_ttl_on() {
        let due = at(Refresh::DEFAULT.due_after(MINUTE));
        let at_share =
            |millis| is_due(at(Duration::from_millis(millis)), due, at(MINUTE), Duration::ZERO, 0.5);

        assert_eq!([at_share(47_999), at_share(48_000), at_share(48_001)], [false, true, true]);
    }

    /// The rate of the paper, at times before the value is due for certain.
    #[test]
    fn reads_recompute_early_at_the_rate_of_the_paper() {
        const READS: u32 = 200_000;
        let chance = Chance::seeded(7);

        for (left, cost) in [(1.0, 1.0), (2.0, 1.0), (3.0, 1.5), (0.5, 2.0), (5.0, 1.0)] {
            let now = at(MINUTE).earlier(Duration::from_secs_f64(left));
            let cost = Duration::from_secs_f64(cost);
            let draws = (0..READS).filter(|_| is_due(now, at(MINUTE), at(MINUTE), cost, chance.unit()));

            let rate = draws.count() as f64 / f64::from(READS);

            let expected = (-left / cost.as_secs_f64()).exp();
            let deviation = (expected * (1.0 - expected) / f64::from(READS)).sqrt();
            assert!((rate - expected).abs() < 5.0 * deviation, "{left} s left: {rate}, not {expected}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_due_before_it_is_considered(
            now in 0..60_000_u64, cost in 0..5_000_u64, after in 0.01..0.99f64,
            chance in 0.0..0.999_999f64,
        ) {
            let refresh = Refresh { after, ..Refresh::DEFAULT };
            let (due, cost) = (at(refresh.due_after(MINUTE)), Duration::from_millis(cost));
            let now = at(Duration::from_millis(now));

            if now < considered_from(due, at(MINUTE), cost) {
                prop_assert!(!is_due(now, due, at(MINUTE), cost, chance));
            }
        }

        #[test]
        fn a_rest_grows_and_ends_before_the_value_does(
            failures in 1..100_u32, left in 0..600_000_u64, chance in 0.0..1.0f64,
        ) {
            let left = Duration::from_millis(left);

            let told = rest(failures, left, chance);

            prop_assert!(told >= SHORTEST_REST && told <= REST.1);
            prop_assert!(rest(failures + 1, left, chance) >= told);
            if !left.is_zero() {
                prop_assert!(told <= (left / 2).max(SHORTEST_REST));
            }
        }
    }
}
