// The examples of the README use everything there is; they are tested where all of it is compiled in.
#![cfg_attr(any(not(doctest), feature = "testing"), doc = include_str!("../README.md"))]

pub use cache_core::{
    Answered, Cache, CacheBuilder, Clear, Clock, Computation, Deferred, Entry, Error, ErrorKind, Event,
    Events, FunctionStats, Invalidate, Invalidated, Invalidator, Key, Local, MissReason, Misses, Options,
    Peek, Policy, Progress, RefreshStats, Registration, SharedStats, Stats, Tag, Tier, Timing, Trace,
    TracedCall, WarmUp, Warmed, backend, codec, current, key, trace, warm_up,
};
pub use cache_macros::{cached, invalidates, updates};
#[cfg(feature = "redis-tls")]
pub use cache_redis::Tls;
#[cfg(feature = "redis")]
pub use cache_redis::{Credentials, OUTSIDE_SCRIPT, Redis, RedisBuilder};

/// What tests use: a clock to move, a conformance suite for backends, and a backend that fails on demand.
#[cfg(feature = "testing")]
pub mod testing {
    pub use cache_core::testing::*;
    /// A Redis server of a test's own, and a proxy that breaks connections.
    #[cfg(feature = "redis")]
    pub use cache_redis::testing as redis;
}

// The examples of the page on the shared tier.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../docs/shared-tier.md")]
mod shared_tier {}

#[doc(hidden)]
pub use cache_core::__private;
