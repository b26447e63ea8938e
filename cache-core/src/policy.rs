//! The constant part of a function's options.

use std::time::Duration;

use crate::entry::refresh::Refresh;
use crate::entry::{LEASE, Remember};

/// How a function is cached, apart from what depends on its arguments: a constant that many functions can share.
///
/// ```
/// use std::time::Duration;
/// use cache_core::Policy;
///
/// const MENUS: Policy = Policy::new().ttl(Duration::from_secs(3600)).stagger(0.1).grace(Duration::from_secs(600));
/// # let _ = MENUS;
/// ```
///
/// `#[cached(policy = MENUS, ttl = "5m")]` takes it, and what stands beside it overrides. Unless it is said there,
/// a function still has to write `refresh` itself where the policy says how: the macro has to know.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub(crate) name: Option<&'static str>,
    pub(crate) version: u32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) local_ttl: Option<Duration>,
    pub(crate) none_ttl: Option<Duration>,
    pub(crate) err_ttl: Option<Duration>,
    pub(crate) stagger: f64,
    pub(crate) lease: Duration,
    /// `tier = shared`: every call asks the shared tier.
    pub(crate) reads_through: bool,
    grace: Duration,
    /// How to refresh; `None` for the usual way.
    refresh: Option<Refresh>,
    is_refreshing: bool,
    soft_timeout: Option<Duration>,
    hard_timeout: Option<Duration>,
}

/// The shortest lease: it is renewed three times within its life, and each renewal has to get through.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

impl Policy {
    /// Starts from the defaults: nothing remembered but values, no stagger, no grace, a lease of 10 s.
    #[expect(clippy::new_without_default, reason = "made in constant contexts")]
    pub const fn new() -> Self {
        Self {
            name: None,
            version: 0,
            ttl: None,
            local_ttl: None,
            none_ttl: None,
            err_ttl: None,
            stagger: 0.0,
            lease: LEASE,
            reads_through: false,
            grace: Duration::ZERO,
            refresh: None,
            is_refreshing: false,
            soft_timeout: None,
            hard_timeout: None,
        }
    }

    /// How long a value is served: `ttl = ..`. Zero bypasses the cache.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A shorter life in the local tier: `local_ttl = ..`.
    #[must_use]
    pub const fn local_ttl(mut self, ttl: Duration) -> Self {
        self.local_ttl = Some(ttl);
        self
    }

    /// Remembers `None` for that time: `none_ttl = ..`. Means nothing to functions that never return it.
    #[must_use]
    pub const fn none_ttl(mut self, ttl: Duration) -> Self {
        self.none_ttl = Some(ttl);
        self
    }

    /// Shortens the ttl by a random share of up to `share`, 0 to 1, at each fill: `stagger = ..`.
    ///
    /// # Panics
    ///
    /// When it is something else; in a constant that is a compile error.
    #[must_use]
    pub const fn stagger(mut self, share: f64) -> Self {
        assert!(
            share >= 0.0 && share <= 1.0,
            "a share of the ttl is at least 0 and at most 1: write `.stagger(0.1)`"
        );
        self.stagger = share;
        self
    }

    /// How long a dead holder can delay other processes: `lease = ..`. At least 100 ms, which is checked where a function takes
    /// the policy.
    #[must_use]
    pub const fn lease(mut self, life: Duration) -> Self {
        self.lease = life;
        self
    }

    /// How long a stale value may stand in: `grace = ..`.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The share of the ttl, above 0 and below 1, after which a value is recomputed in the background: `refresh(after = ..)`.
    /// Default: 0.8.
    ///
    /// # Panics
    ///
    /// When it is something else; in a constant that is a compile error.
    #[must_use]
    pub const fn refresh_after(mut self, share: f64) -> Self {
        assert!(
            share > 0.0 && share < 1.0,
            "a share of the ttl is above 0 and below 1: write `.refresh_after(0.8)`"
        );
        self.refresh = Some(Refresh { after: share, ..self.refresh_or_default() });
        self
    }

    /// Of the refreshes that are due the higher comes first: `refresh(priority = ..)`. Default: 0.
    #[must_use]
    pub const fn refresh_priority(mut self, priority: i8) -> Self {
        self.refresh = Some(Refresh { priority, ..self.refresh_or_default() });
        self
    }

    /// Keeps values warm that were used within that time, without waiting for the next use: `refresh(idle = ..)`.
    #[must_use]
    pub const fn refresh_idle(mut self, idle: Duration) -> Self {
        self.refresh = Some(Refresh { idle: Some(idle), ..self.refresh_or_default() });
        self
    }

    const fn refresh_or_default(&self) -> Refresh {
        match self.refresh {
            Some(refresh) => refresh,
            None => Refresh::DEFAULT,
        }
    }
}

/// What the attribute alone says.
#[doc(hidden)]
impl Policy {
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
    pub const fn err_ttl(mut self, ttl: Duration) -> Self {
        self.err_ttl = Some(ttl);
        self
    }
    /// `tier = shared`.
    pub const fn reads_through(mut self) -> Self {
        self.reads_through = true;
        self
    }
    /// `refresh`, with or without more.
    pub const fn refreshing(mut self) -> Self {
        self.is_refreshing = true;
        self
    }
    /// `timeout(soft = ..)`.
    pub const fn soft_timeout(mut self, limit: Duration) -> Self {
        self.soft_timeout = Some(limit);
        self
    }
    /// `timeout(hard = ..)`.
    pub const fn hard_timeout(mut self, limit: Duration) -> Self {
        self.hard_timeout = Some(limit);
        self
    }

    /// Checks a policy that was given by name, with what stands beside it.
    pub const fn checked(self, is_ttl_dynamic: bool, has_refresh: bool) -> Self {
        assert!(
            self.ttl.is_some() || is_ttl_dynamic,
            "neither the policy nor the attribute has a `ttl`; there is no endless default: write `ttl = \"1h\"` beside `policy`"
        );
        assert!(
            self.refresh.is_none() || has_refresh,
            "the policy says how to refresh, and the attribute does not say that it shall: write `refresh` beside `policy`"
        );
        assert!(
            self.soft_timeout.is_none() || !self.grace.is_zero(),
            "after `timeout(soft = ..)` a stale value stands in, and there is none: write `grace = \"10m\"`, or give the policy a grace"
        );
        assert!(
            self.lease.as_nanos() >= SHORTEST_LEASE.as_nanos(),
            "a lease this short is lost by a holder that lives: give the policy at least 100 ms"
        );
        assert!(
            !(self.reads_through && self.local_ttl.is_some()),
            "with `tier = shared` nothing is kept in the local tier: take `local_ttl` out of the policy, or remove `tier = shared`"
        );
        assert!(
            !(self.reads_through && self.refresh_or_default().idle.is_some()),
            "`idle` keeps an entry of the local tier warm: take it out of the policy, or remove `tier = shared`"
        );
        if let (Some(ttl), Some(local)) = (self.ttl, self.local_ttl) {
            assert!(
                local.as_nanos() <= ttl.as_nanos(),
                "`local_ttl` is longer than `ttl`, and would have no effect: write a shorter time"
            );
        }
        self
    }
}

impl Policy {
    /// Whether what is found is refreshed before it expires.
    pub(crate) fn is_refreshing(&self) -> bool {
        self.is_refreshing
    }

    /// What calls remember, unless they have a ttl of their own.
    pub(crate) fn remember(&self) -> Remember {
        Remember {
            ttl: self.ttl.unwrap_or(Duration::ZERO),
            none_ttl: self.none_ttl,
            err_ttl: self.err_ttl,
            local_ttl: self.local_ttl,
            stagger: self.stagger,
            lease: self.lease,
            reads_through: self.reads_through,
            grace: self.grace,
            refresh: self.is_refreshing.then(|| self.refresh_or_default()),
            soft_timeout: self.soft_timeout,
            hard_timeout: self.hard_timeout,
        }
    }
}
