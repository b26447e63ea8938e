//! One run of a function's body, counted and timed.

use std::sync::Arc;
use std::time::Duration;

use super::body::Body;
use super::calling::Reply;
use super::{Cache, Function, computing};
use crate::answer::Outcome;
use crate::clock::Stopwatch;
use crate::event::stats::Happening;

/// Computes for this caller alone: nothing is stored, nobody joins.
pub(super) async fn alone(cache: &Cache, function: &Arc<Function>, body: Body) -> Reply {
    let attempt = Attempt::begin(cache, function);
    let brought = body.begin(&computing::apart(cache)).await;
    attempt.end(brought.outcome);
    Reply::Computed
}

/// A computation under way. Dropped before its end, it was cancelled or panicked.
pub(super) struct Attempt<'f> {
    function: &'f Function,
    /// How many entries it computes.
    items: u64,
    stopwatch: Option<Stopwatch>,
}

impl<'f> Attempt<'f> {
    pub(super) fn begin(cache: &Cache, function: &'f Function) -> Self {
        Self::begin_many(cache, function, 1)
    }

    /// One run for so many entries of a function, each of them counted.
    pub(super) fn begin_many(cache: &Cache, function: &'f Function, items: u64) -> Self {
        function.counters.count_times(Happening::Computation, items);
        Self { function, items, stopwatch: Some(cache.0.clock.stopwatch()) }
    }

    /// Tells how long it took.
    pub(super) fn end(mut self, outcome: Outcome) -> Duration {
        let took = self.stopwatch.take().map_or(Duration::ZERO, |stopwatch| stopwatch.elapsed());
        self.function.counters.time_computes(took, self.items);
        if outcome == Outcome::Error {
            self.function.counters.count_times(Happening::Error, self.items);
        }
        took
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.stopwatch.is_some() {
            self.function.counters.count_times(Happening::Abandoned, self.items);
        }
    }
}
