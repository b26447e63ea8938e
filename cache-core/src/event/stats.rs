//! What is counted while calls go by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counter::Counter;
use super::histogram::Histogram;
use super::report::{FunctionStats, Misses, Timing};
use crate::entry::MissReason;

/// One hit in this many is looked up again and timed: asking the precise clock twice costs more than a hit.
pub(crate) const TIMED: u64 = 256;

/// The counters of one function in one cache.
///
/// A call is counted once, at the moment it is known what it is: a hit, a miss (it leads), or joined (it
/// follows). So the three always add up to the calls, whatever becomes of the call afterwards.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    absent: AtomicU64,
    expired: AtomicU64,
    invalidated: AtomicU64,
    version: AtomicU64,
    undecodable: AtomicU64,
    unreachable: AtomicU64,
    shared_hits: AtomicU64,
    joined: AtomicU64,
    bypassed: AtomicU64,
    computations: AtomicU64,
    errors: AtomicU64,
    abandoned: AtomicU64,
    fills: AtomicU64,
    refused: AtomicU64,
    rejected: AtomicU64,
    stale: AtomicU64,
    refreshes: AtomicU64,
    failed_refreshes: AtomicU64,
    soft_timeouts: AtomicU64,
    hard_timeouts: AtomicU64,
    lookups: Histogram,
    computes: Histogram,
}

/// What happened, where it is not a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Miss(MissReason),
    /// The shared tier answered the call.
    SharedHit,
    Joined,
    Bypassed,
    /// A computation began.
    Computation,
    /// A computation ended with `Err`.
    Error,
    /// A computation was cancelled or panicked.
    Abandoned,
    Fill,
    /// A fill that an invalidation overtook.
    Refused,
    /// A value too large for the tier.
    Rejected,
    /// A stale value answered the call.
    Stale,
    /// A value was to be recomputed in the background, and somebody set out to.
    Refresh,
    /// That came to nothing.
    FailedRefresh,
    /// A stale value answered since the computation took too long.
    SoftTimeout,
    /// A call gave up since the computation took too long.
    HardTimeout,
}

impl Counters {
    pub(crate) fn count(&self, what: Happening) {
        self.count_times(what, 1);
    }

    pub(crate) fn count_times(&self, what: Happening, times: u64) {
        let counter = match what {
            Happening::Miss(MissReason::Absent) => &self.absent,
            Happening::Miss(MissReason::Expired) => &self.expired,
            Happening::Miss(MissReason::Invalidated) => &self.invalidated,
            Happening::Miss(MissReason::Version) => &self.version,
            Happening::Miss(MissReason::Undecodable) => &self.undecodable,
            Happening::Miss(MissReason::Unreachable) => &self.unreachable,
            Happening::SharedHit => &self.shared_hits,
            Happening::Joined => &self.joined,
            Happening::Bypassed => &self.bypassed,
            Happening::Computation => &self.computations,
            Happening::Error => &self.errors,
            Happening::Abandoned => &self.abandoned,
            Happening::Fill => &self.fills,
            Happening::Refused => &self.refused,
            Happening::Rejected => &self.rejected,
            Happening::Stale => &self.stale,
            Happening::Refresh => &self.refreshes,
            Happening::FailedRefresh => &self.failed_refreshes,
            Happening::SoftTimeout => &self.soft_timeouts,
            Happening::HardTimeout => &self.hard_timeouts,
        };
        counter.fetch_add(times, Ordering::Relaxed);
    }

    pub(crate) fn time_lookup(&self, took: Duration) {
        self.lookups.record(took, 1);
    }

    /// So many computations took so long.
    pub(crate) fn time_computes(&self, took: Duration, times: u64) {
        self.computes.record(took, times);
    }

    /// A report of this moment.
    pub(crate) fn report(&self, name: String) -> FunctionStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FunctionStats {
            name,
            hits: self.hits.sum() + read(&self.shared_hits),
            shared_hits: read(&self.shared_hits),
            stale: read(&self.stale),
            misses: Misses {
                absent: read(&self.absent),
                expired: read(&self.expired),
                invalidated: read(&self.invalidated),
                version: read(&self.version),
                undecodable: read(&self.undecodable),
                unreachable: read(&self.unreachable),
            },
            joined: read(&self.joined),
            bypassed: read(&self.bypassed),
            computations: read(&self.computations),
            errors: read(&self.errors),
            abandoned: read(&self.abandoned),
            fills: read(&self.fills),
            refused_fills: read(&self.refused),
            rejected: read(&self.rejected),
            refreshes: read(&self.refreshes),
            failed_refreshes: read(&self.failed_refreshes),
            soft_timeouts: read(&self.soft_timeouts),
            hard_timeouts: read(&self.hard_timeouts),
            lookup: Timing { mean: self.lookups.mean(), p99: self.lookups.quantile(0.99) },
            compute: Timing { mean: self.computes.mean(), p99: self.computes.quantile(0.99) },
        }
    }
}
