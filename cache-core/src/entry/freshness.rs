//! Pure decisions: is it fresh, and how long will it be?

use std::time::Duration;

use crate::answer::Outcome;
use crate::clock::Tick;
use crate::local::epochs::Currency;

/// Why a tier had no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissReason {
    /// Nothing was there.
    Absent,
    /// Past its ttl, or made stale by `expire`.
    Expired,
    /// A tag, the function or everything was invalidated since.
    Invalidated,
    /// Stored by another version of the function or of its type.
    Version,
    /// Of another type than asked for, or not bytes of ours.
    Undecodable,
    /// The shared tier could not be asked, and nothing else could confirm what the local tier holds.
    Unreachable,
}

/// Whether a stored value may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Within its ttl, and nothing it bears was invalidated.
    Fresh,
    /// Past its ttl, or softly invalidated.
    Expired,
    /// Never to be served again.
    Invalidated,
}

/// Decides on what is stored. A value is fresh up to the tick before `fresh_until`.
#[inline]
pub(crate) fn freshness(now: Tick, fresh_until: Tick, currency: Currency) -> Freshness {
    match currency {
        Currency::Current if now < fresh_until => Freshness::Fresh,
        Currency::Current | Currency::Expired => Freshness::Expired,
        Currency::Invalidated => Freshness::Invalidated,
    }
}

/// How long a value may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// From its storing to its being stale.
    pub(crate) fresh: Duration,
}

impl Lifetime {
    /// The same in the local tier. `None` means not at all.
    pub(crate) fn here(self, remember: &Remember) -> Option<Self> {
        if remember.reads_through {
            return None;
        }
        let fresh = remember.local_ttl.map_or(self.fresh, |local| local.min(self.fresh));
        (!fresh.is_zero()).then_some(Self { fresh })
    }
}

/// What of an answer is remembered, and how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Remember {
    /// For values.
    pub(crate) ttl: Duration,
    /// For `None`; without it `None` is not stored.
    pub(crate) none_ttl: Option<Duration>,
    /// For `Err`; without it `Err` is not stored.
    pub(crate) err_ttl: Option<Duration>,
    /// An upper bound in the local tier.
    pub(crate) local_ttl: Option<Duration>,
    /// The share of the ttl, from 0 to 1, that chance may take away.
    pub(crate) stagger: f64,
    /// How long a dead holder can delay others.
    pub(crate) lease: Duration,
    /// Whether every call asks the shared tier, and nothing is kept here.
    pub(crate) reads_through: bool,
}

/// How long a dead holder can delay others, unless the function says otherwise.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

impl Default for Remember {
    fn default() -> Self {
        Self {
            ttl: Duration::ZERO,
            none_ttl: None,
            err_ttl: None,
            local_ttl: None,
            stagger: 0.0,
            lease: LEASE,
            reads_through: false,
        }
    }
}

/// Decides how long an answer is kept: `None` means not at all. `chance` is at least 0 and less than 1.
pub(crate) fn lifetime(remember: &Remember, outcome: Outcome, chance: f64) -> Option<Lifetime> {
    let ttl = match outcome {
        Outcome::Value => remember.ttl,
        Outcome::Absent => remember.none_ttl?,
        Outcome::Error => remember.err_ttl?,
    };
    let fresh = shortened(ttl, remember.stagger.clamp(0.0, 1.0) * chance);
    (!fresh.is_zero()).then_some(Lifetime { fresh })
}

/// Takes `share` of `ttl` away.
fn shortened(ttl: Duration, share: f64) -> Duration {
    if share == 0.0 {
        return ttl;
    }
    // `Duration::mul_f64` panics near the end of its range, and may round up.
    let shorter = Duration::try_from_secs_f64(ttl.as_secs_f64() * (1.0 - share));
    shorter.map_or(ttl, |shorter| shorter.min(ttl))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn minute() -> Remember {
        Remember { ttl: MINUTE, ..Remember::default() }
    }

    #[test]
    fn a_value_is_fresh_to_the_tick_before_its_end() {
        let end = Tick::from_raw(100);

        let at = |now| freshness(Tick::from_raw(now), end, Currency::Current);

        assert_eq!([at(99), at(100), at(101)], [Freshness::Fresh, Freshness::Expired, Freshness::Expired]);
    }

    #[test]
    fn an_invalidated_value_is_never_fresh_again() {
        let end = Tick::MAX;

        assert_eq!(freshness(Tick::from_raw(1), end, Currency::Invalidated), Freshness::Invalidated);
        assert_eq!(freshness(Tick::from_raw(1), end, Currency::Expired), Freshness::Expired);
    }

    #[test]
    fn none_and_err_are_stored_only_when_asked_for() {
        let kept = Remember { none_ttl: Some(MINUTE), err_ttl: Some(MINUTE), ..minute() };

        for outcome in [Outcome::Absent, Outcome::Error] {
            assert_eq!(lifetime(&minute(), outcome, 0.5), None);
            assert_eq!(lifetime(&kept, outcome, 0.5), Some(Lifetime { fresh: MINUTE }));
        }
    }

    proptest! {
        #[test]
        fn stagger_only_shortens_and_by_no_more_than_its_share(
            secs in prop_oneof![1u64..1_000_000, Just(u64::MAX)], share in 0.0..=1.0f64, chance in 0.0..1.0f64,
        ) {
            let ttl = Duration::from_secs(secs);

            let told = lifetime(&Remember { ttl, stagger: share, ..Remember::default() }, Outcome::Value, chance);

            let fresh = told.map_or(Duration::ZERO, |lifetime| lifetime.fresh);
            prop_assert!(fresh <= ttl);
            prop_assert!(fresh.as_secs_f64() + 1e-6 >= ttl.as_secs_f64() * (1.0 - share));
        }

        #[test]
        fn the_local_ttl_is_an_upper_bound(secs in 1u64..1_000, local in 1u64..1_000) {
            let (ttl, local) = (Duration::from_secs(secs), Duration::from_secs(local));

            let remember = Remember { ttl, local_ttl: Some(local), ..Remember::default() };

            let told = lifetime(&remember, Outcome::Value, 0.0);

            prop_assert_eq!(told, Some(Lifetime { fresh: ttl }));
            prop_assert_eq!(Lifetime { fresh: ttl }.here(&remember), Some(Lifetime { fresh: ttl.min(local) }));
        }
    }
}
