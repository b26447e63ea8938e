//! A computation in the background: one for all who wait in this process, under a lease like any other.

use super::body::{Body, Stop};
use super::calling::Reply;
use super::fetch::Plan;
use super::flight::Joined;
use super::lead::{Computed, Leading};
use super::limit::within_or_stop;
use super::liveness;
use super::{Cache, Function};
use crate::answer::Outcome;
use crate::event::stats::Happening;
use crate::key::Key;

/// What a computation in the background came to.
#[derive(Debug)]
pub(super) struct Finished {
    /// The answer; `None` where another computation brought one, or it failed or took too long.
    pub(super) reply: Option<Reply>,
    pub(super) has_failed: bool,
}

impl Finished {
    const ELSEWHERE: Self = Self { reply: None, has_failed: false };
    const FAILED: Self = Self { reply: None, has_failed: true };

    /// The shared tier had it.
    pub(super) fn found(reply: Reply) -> Self {
        Self { reply: Some(reply), has_failed: false }
    }

    /// It was computed.
    pub(super) fn computed(computed: Computed) -> Self {
        match computed.outcome {
            Outcome::Error => Self::FAILED,
            Outcome::Value | Outcome::Absent => {
                Self { reply: computed.entry.map(Reply::Entry), has_failed: false }
            }
        }
    }
}

/// Recomputes the value of `version` before it is stale, unless somebody has done so or is about to.
pub(super) async fn refresh(cache: &Cache, plan: &Plan, version: Option<u64>, body: Body) -> Finished {
    let function = cache.0.functions.of(plan.key.identity());
    let Joined::Lead(lead) = cache.0.flights.join(&plan.key, |borne| cache.covers(borne), || None::<()>)
    else {
        return Finished::ELSEWHERE;
    };
    cache.count(&function, &plan.key, Happening::Refresh);
    let mut setback = Setback { cache, key: &plan.key, is_one: true, refreshes: Some(&function) };
    let question = plan.question(cache, &function);
    let leading = Leading::new(cache, &function, lead, plan, question.as_ref());
    let stop = body.stop();
    let finished = limited(cache, plan, leading.refresh(version, body), stop).await;
    setback.is_one = finished.has_failed;
    finished
}

/// Computes a value that a stale one stands in for.
pub(super) async fn compute(cache: &Cache, plan: &Plan, body: Body) -> Finished {
    let asked = cache.0.clock.now();
    let function = cache.0.functions.of(plan.key.identity());
    let lead = loop {
        let follow = match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), || None::<()>) {
            Joined::Lead(lead) => break lead,
            Joined::Follow(follow) => follow,
            Joined::Found(()) => return Finished::ELSEWHERE,
        };
        let waited = liveness::wait(cache, &plan.key, follow).await;
        if !waited.leaves_it_open(cache, &plan.key) {
            return Finished { reply: waited.value(plan, asked), has_failed: false };
        }
    };
    // A call has asked for it: what takes its place is in use.
    cache.0.note_use(&plan.key);
    let mut setback = Setback { cache, key: &plan.key, is_one: true, refreshes: None };
    let question = plan.question(cache, &function);
    let leading = Leading::new(cache, &function, lead, plan, question.as_ref());
    let stop = body.stop();
    let finished = limited(cache, plan, leading.refresh(None, body), stop).await;
    setback.is_one = finished.has_failed;
    finished
}

/// No longer than `timeout(hard = ..)` allows.
async fn limited(
    cache: &Cache,
    plan: &Plan,
    computing: impl Future<Output = Finished>,
    stop: Stop,
) -> Finished {
    let Some(limit) = plan.remember.hard_timeout else { return computing.await };
    match within_or_stop(&cache.0.clock, limit, computing, stop).await {
        Some(finished) => finished,
        None => {
            cache.0.functions.of(plan.key.identity()).counters.count(Happening::HardTimeout);
            Finished::FAILED
        }
    }
}

/// Notes a failure in the end, also if the computation panicked or took too long.
struct Setback<'c> {
    cache: &'c Cache,
    key: &'c Key,
    is_one: bool,
    /// The function, if it is a refresh that fails.
    refreshes: Option<&'c Function>,
}

impl Drop for Setback<'_> {
    fn drop(&mut self) {
        if self.is_one {
            self.cache.0.set_back(self.key);
            if let Some(function) = self.refreshes {
                self.cache.count(function, self.key, Happening::FailedRefresh);
            }
        }
    }
}
