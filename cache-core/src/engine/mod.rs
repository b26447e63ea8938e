//! The engine: the cache and the path of a call through it, one step a file.

mod apply;
mod background;
mod batch;
mod body;
mod boxed;
mod builder;
mod call;
mod calling;
mod clear;
mod compute;
mod computing;
mod conclude;
mod current;
mod deferred;
mod direct;
mod environment;
mod events;
mod fetch;
mod fill;
mod flight;
mod followed;
mod handle;
mod holders;
mod invalidate;
mod invalidation;
mod lead;
mod limit;
mod liveness;
mod look_up;
mod means;
mod queue;
mod recompute;
mod refreshing;
mod run;
mod schedule;
mod setbacks;
mod shared;
mod soft;
mod sources;
mod stale;
mod subscribe;
mod tally;
mod together;
mod trace;
mod trust;
mod turns;
mod value;
// Beside the file and not in it: the model checker compiles that, too, and its primitives do nothing outside of a model.
#[cfg(test)]
#[path = "trust/tests.rs"]
mod trust_tests;
mod warm_up;
mod writing;

use std::fmt;
use std::sync::Arc;

pub use batch::{Asked, Next};
pub use builder::CacheBuilder;
pub use call::{Call, Found, Rest};
pub use clear::Clear;
pub use computing::{Computation, current as computation};
pub use current::{CacheRef, current, given};
pub use deferred::Deferred;
pub use direct::Options;
pub use events::Registration;
pub use handle::{Entry, Peek};
pub use invalidation::Invalidate;
pub use means::{Means, Recomputed};
pub use trace::{Answered, Trace, TracedCall, trace};
pub use warm_up::{Progress, WarmUp, Warmed, warm_up};
pub use writing::{Change, Due, Updating, Writing, holds};

use crate::chance::Chance;
use crate::clock::{Clock, Sweep, Tick};
use crate::epochs::EpochTable;
use crate::event::Stats;
use crate::event::subscribers::Subscribers;
use crate::event::unheard::FailedInvalidations;
use crate::function::{Function, Functions};
use crate::key::{Key, SecretKey};
use crate::local::{Local, LocalTier, StoredEntry};
use crate::storage::Packed;
use events::Handlers;
use flight::{Bearing, Flights};
use refreshing::Refreshing;
use setbacks::Setbacks;
use shared::{Borne, Shared};
use trust::Trust;

/// A cache. Cheap to clone; clones are one cache.
///
/// Cached functions use the [installed](Cache::install) one, or that of the [scope](Cache::scope) they run
/// in, or the one that `cache = EXPR` names. Without any of these a default with a local tier of 64 MiB.
///
/// ```
/// use cache_core::{Cache, Local};
///
/// # async fn example() -> Result<(), cache_core::Error> {
/// let cache = Cache::builder().local(Local::bytes(256 << 20)).build()?;
/// cache.install()?;
/// cache.invalidate_tags(["menu"]).await?;
/// println!("{}", cache.stats());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

pub(crate) struct Inner {
    prefix: String,
    is_disabled: bool,
    tier: LocalTier,
    trust: Trust,
    limit: Local,
    clock: Clock,
    secret_key: SecretKey,
    /// Whether `secret_key` is the same in all processes that share entries.
    has_common_secret: bool,
    chance: Chance,
    epochs: EpochTable,
    functions: Functions,
    flights: Flights<Key, Borne, Landing>,
    shared: Option<Box<Shared>>,
    setbacks: Setbacks,
    refreshing: Refreshing,
    handlers: Handlers,
    subscribers: Arc<Subscribers>,
    failed_invalidations: FailedInvalidations,
    holders: holders::Holders,
}

/// What a leader leaves its followers.
#[derive(Clone)]
enum Landing {
    /// A value, whether it was stored or not.
    Value(Arc<StoredEntry>),
    /// A stale one, since there is no new one.
    StandIn(Arc<StoredEntry>),
    /// There is nothing, and that is not stored: found by a computation that began then.
    Absent(Tick),
    /// An error that followers can have, too.
    Error(Packed),
    /// An error that cannot be cloned: each follower computes for itself.
    NotShared,
}

impl Bearing for Borne {
    fn is_current(&self) -> bool {
        self.is_current()
    }

    fn is_late(&self) -> bool {
        self.is_late()
    }
}

/// Parts of the table of flights, so that threads seldom meet.
const FLIGHT_SHARDS: usize = 64;

impl Inner {
    /// Everything at its smallest, for others to fill in.
    fn empty() -> Self {
        Self {
            prefix: "larder".to_owned(),
            is_disabled: true,
            tier: LocalTier::new(&Local::bytes(0)),
            trust: Trust::unlimited(),
            limit: Local::bytes(0),
            clock: Clock::system(),
            secret_key: SecretKey::from([0; 32]),
            has_common_secret: true,
            chance: Chance::seeded(0),
            epochs: EpochTable::default(),
            functions: Functions::default(),
            flights: Flights::new(FLIGHT_SHARDS),
            shared: None,
            setbacks: Setbacks::default(),
            refreshing: Refreshing::new(1),
            handlers: Handlers::default(),
            subscribers: Arc::default(),
            failed_invalidations: FailedInvalidations::default(),
            holders: holders::Holders::default(),
        }
    }
}

impl Sweep for Inner {
    fn sweep(self: Arc<Self>) {
        self.tier.sweep(self.clock.now());
        self.epochs.sweep();
        self.flights.shrink();
        self.setbacks.sweep(self.clock.now());
        self.sweep_schedule();
        // What waits behind refreshes that stand still.
        Cache(self).hand_out();
    }
}

impl Default for Cache {
    /// A local tier of 64 MiB.
    fn default() -> Self {
        // Cannot fail: the defaults are fine.
        #[expect(clippy::unwrap_used)]
        Self::builder().build().unwrap()
    }
}

impl Cache {
    /// A cache that stores nothing and joins nothing: every call computes. For tests, and to switch caching
    /// off without touching a call site.
    ///
    /// Calls are counted as `bypassed`.
    pub fn disabled() -> Self {
        Self(Arc::new(Inner::empty()))
    }

    /// The prefix that names this cache.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The statistics up to now. Takes time in proportion to the number of functions; what other threads count meanwhile may be in or not.
    pub fn stats(&self) -> Stats {
        let functions = self.0.functions.all();
        Stats {
            functions: functions.iter().map(|function| function.counters.report(function.title())).collect(),
            local_entries: self.0.tier.len(),
            local_weight: self.0.tier.weight(),
            local_capacity: self.0.tier.capacity(),
            evictions: self.0.tier.evictions(),
            refreshes: self.0.refreshing.report(self.0.clock.now()),
            failed_invalidations: self.0.failed_invalidations.count(),
            shared: self.0.shared.as_deref().map(|shared| {
                let is_confirmed = self.0.trust.is_given(self.0.clock.now());
                shared.counters.report(shared.is_away(), is_confirmed, shared.queued_invalidations() as u64)
            }),
        }
    }

    /// Drops from the local tier what has expired or was invalidated. Happens by itself every 30 s.
    ///
    /// Takes time in proportion to the number of entries. Calls go on meanwhile, but for those of the part of the tier that is just looked
    /// through.
    pub fn sweep(&self) {
        Sweep::sweep(self.0.clone());
    }

    /// Computations, and looks into the shared tier, that can be joined now: 0 when no call is under way, whatever became of those
    /// before.
    pub fn computations_in_flight(&self) -> usize {
        self.0.flights.len()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("prefix", &self.0.prefix)
            .field("is_disabled", &self.0.is_disabled)
            .field("local", &self.0.limit)
            .field("clock", &self.0.clock)
            .field("shared", &self.0.shared.as_ref().map(|shared| &shared.backend))
            .finish_non_exhaustive()
    }
}
