//! Pure decisions: is it fresh, may it stand in, and how long will that be so?

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::refresh::Refresh;
use crate::answer::Outcome;
use crate::clock::Tick;

/// Why a tier had no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissReason {
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
    /// Past its ttl or softly invalidated, and within its grace: may stand in.
    Stale,
    /// Past its ttl or softly invalidated, and past its grace, too.
    Expired,
    /// Never to be served again.
    Invalidated,
}

/// Whether the epochs that an entry bears are still the ones of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Currency {
    Current,
    /// One of them was softly invalidated since.
    Expired,
    /// One of them was invalidated since.
    Invalidated,
}

/// Decides on what is stored. A value is fresh up to the tick before `fresh_until`, and may stand in up to the tick
/// before `stale_until`.
#[inline]
pub(crate) fn freshness(now: Tick, fresh_until: Tick, stale_until: Tick, currency: Currency) -> Freshness {
    match currency {
        Currency::Current if now < fresh_until => Freshness::Fresh,
        Currency::Current | Currency::Expired if now < stale_until => Freshness::Stale,
        Currency::Current | Currency::Expired => Freshness::Expired,
        Currency::Invalidated => Freshness::Invalidated,
    }
}

/// How long a value may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// From its storing to its being stale.
    pub(crate) fresh: Duration,
    /// How long it may stand in after that.
    pub(crate) grace: Duration,
}

impl Lifetime {
    /// The same in the local tier. `None` means not at all.
    pub(crate) fn here(self, remember: &Remember) -> Option<Self> {
        if remember.reads_through {
            return None;
        }
        let fresh = remember.local_ttl.map_or(self.fresh, |local| local.min(self.fresh));
        // What the local ttl cuts off is a time in which it may stand in, too: elsewhere it is fresh yet.
        let grace = if self.grace.is_zero() { Duration::ZERO } else { self.whole().saturating_sub(fresh) };
        (!(fresh + grace).is_zero()).then_some(Self { fresh, grace })
    }

    /// From its storing to its end.
    pub(crate) fn whole(self) -> Duration {
        self.fresh.saturating_add(self.grace)
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
    /// How long a stale value may stand in.
    pub(crate) grace: Duration,
    /// When it is recomputed before it is stale.
    pub(crate) refresh: Option<Refresh>,
    /// After what time a stale value stands in for a computation that is not done.
    pub(crate) soft_timeout: Option<Duration>,
    /// After what time a call gives up.
    pub(crate) hard_timeout: Option<Duration>,
}

impl Remember {
    /// Whether a value is kept beyond its time, or recomputed before it.
    pub(crate) fn keeps_old(&self) -> bool {
        !self.grace.is_zero() || self.refresh.is_some()
    }

    /// Whether an answer like that is kept at all.
    pub(crate) fn keeps(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Value => true,
            Outcome::Absent => self.none_ttl.is_some(),
            Outcome::Error => self.err_ttl.is_some(),
        }
    }
}

/// What is remembered for a call. Mostly it is what the attribute says, which is there once for all calls.
#[derive(Debug, Clone)]
pub(crate) enum Remembered {
    Always(&'static Remember),
    Own(Arc<Remember>),
}

impl From<Remember> for Remembered {
    fn from(own: Remember) -> Self {
        Self::Own(Arc::new(own))
    }
}

impl Deref for Remembered {
    type Target = Remember;

    fn deref(&self) -> &Remember {
        match self {
            Self::Always(remember) => remember,
            Self::Own(remember) => remember,
        }
    }
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
            grace: Duration::ZERO,
            refresh: None,
            soft_timeout: None,
            hard_timeout: None,
        }
    }
}

/// Decides how long an answer is kept: `None` means not at all. `decided` is the ttl that the value itself asks for.
/// `chance` is at least 0 and less than 1.
pub(crate) fn lifetime(
    remember: &Remember,
    outcome: Outcome,
    decided: Option<Duration>,
    chance: f64,
) -> Option<Lifetime> {
    let ttl = match outcome {
        Outcome::Value => decided.unwrap_or(remember.ttl),
        Outcome::Absent => remember.none_ttl?,
        Outcome::Error => remember.err_ttl?,
    };
    let fresh = shortened(ttl, remember.stagger.clamp(0.0, 1.0) * chance);
    // An error stands in for nothing.
    let grace = if outcome == Outcome::Error { Duration::ZERO } else { remember.grace };
    (!fresh.is_zero()).then_some(Lifetime { fresh, grace })
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

        let at = |now| freshness(Tick::from_raw(now), end, end, Currency::Current);

        assert_eq!([at(99), at(100), at(101)], [Freshness::Fresh, Freshness::Expired, Freshness::Expired]);
    }

    #[test]
    fn a_stale_value_may_stand_in_to_the_tick_before_the_end_of_its_grace() {
        let (fresh_until, stale_until) = (Tick::from_raw(100), Tick::from_raw(200));

        let at = |now, currency| freshness(Tick::from_raw(now), fresh_until, stale_until, currency);

        let current = [99, 100, 199, 200].map(|now| at(now, Currency::Current));
        let wanted = [Freshness::Fresh, Freshness::Stale, Freshness::Stale, Freshness::Expired];
        assert_eq!(current, wanted);
        assert_eq!([99, 200].map(|now| at(now, Currency::Expired)), [Freshness::Stale, Freshness::Expired]);
        assert_eq!([99, 150].map(|now| at(now, Currency::Invalidated)), [Freshness::Invalidated; 2]);
    }

    #[test]
    fn an_invalidated_value_is_never_fresh_again() {
        let end = Tick::MAX;

        let now = Tick::from_raw(1);
        assert_eq!(freshness(now, end, end, Currency::Invalidated), Freshness::Invalidated);
        assert_eq!(freshness(now, end, now, Currency::Expired), Freshness::Expired);
    }

    #[test]
    fn none_and_err_are_stored_only_when_asked_for() {
        let kept = Remember { none_ttl: Some(MINUTE), err_ttl: Some(MINUTE), ..minute() };

        for outcome in [Outcome::Absent, Outcome::Error] {
            assert_eq!(lifetime(&minute(), outcome, None, 0.5), None);
            let told = lifetime(&kept, outcome, None, 0.5);
            assert_eq!(told, Some(Lifetime { fresh: MINUTE, grace: Duration::ZERO }));
        }
    }

    proptest! {
        #[test]
        fn stagger_only_shortens_and_by_no_more_than_its_share(
            secs in prop_oneof![1u64..1_000_000, Just(u64::MAX)], share in 0.0..=1.0f64, chance in 0.0..1.0f64,
        ) {
            let ttl = Duration::from_secs(secs);

            let remember = Remember { ttl, stagger: share, ..Remember::default() };
            let told = lifetime(&remember, Outcome::Value, None, chance);

            let fresh = told.map_or(Duration::ZERO, |lifetime| lifetime.fresh);
            prop_assert!(fresh <= ttl);
            prop_assert!(fresh.as_secs_f64() + 1e-6 >= ttl.as_secs_f64() * (1.0 - share));
        }

        #[test]
        fn the_local_ttl_is_an_upper_bound(secs in 1u64..1_000, local in 1u64..1_000) {
            let (ttl, local) = (Duration::from_secs(secs), Duration::from_secs(local));

            let remember = Remember { ttl, local_ttl: Some(local), ..Remember::default() };

            let told = lifetime(&remember, Outcome::Value, None, 0.0);

            let whole = Lifetime { fresh: ttl, grace: Duration::ZERO };
            prop_assert_eq!(told, Some(whole));
            prop_assert_eq!(whole.here(&remember), Some(Lifetime { fresh: ttl.min(local), ..whole }));
            // What may stand in, may do so to the same end.
            let graced = Lifetime { grace: Duration::from_secs(7), ..whole };
            prop_assert_eq!(graced.here(&remember).map(Lifetime::whole), Some(graced.whole()));
        }
    }
}
