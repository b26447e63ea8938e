//! THE PATH of a call that the local tier did not answer: join or lead, compute, fill, tell.

use std::sync::Arc;

use super::computing;
use super::fill::{self, Fill};
use super::flight::{Joined, Lead};
use super::liveness::{self, Waited};
use super::{Cache, Function, Landing};
use crate::answer::{Answer, Outcome};
use crate::clock::Stopwatch;
use crate::entry::{Freshness, MissReason, Remember, StoredEntry};
use crate::event::stats::Happening;
use crate::key::{Key, KeyView, Tag};
use crate::local::epochs::{Stamp, Stamps};
use crate::storage::{Sharing, Storage};

/// What a call brings along.
pub(super) struct Plan<A: Answer, S, P> {
    pub(super) key: Key,
    pub(super) remember: Remember,
    pub(super) tags: Vec<Tag>,
    pub(super) answer: A,
    pub(super) storage: S,
    pub(super) sharing: Sharing<A::Error>,
    pub(super) store_if: P,
}

type Leader<'c> = Lead<'c, Key, Stamps, Landing>;

/// Above this weight in bytes a value is cloned outside the shard's lock, through its `Arc`.
const CLONED_UNDER_LOCK: u64 = 4 << 10;

impl Cache {
    /// Looks in the local tier; counts a hit.
    #[inline]
    pub(super) fn look_up<V>(&self, key: &KeyView<'_>, timer: Option<Stopwatch>) -> Result<V, MissReason>
    where
        V: Clone + Send + Sync + 'static,
    {
        let cache = &*self.0;
        let found = cache.tier.find(key, |entry| {
            match entry.freshness(cache.clock.now()) {
                Freshness::Fresh => {}
                Freshness::Expired => return Err(MissReason::Expired),
                Freshness::Invalidated => return Err(MissReason::Invalidated),
            }
            let value = entry.value::<V>().ok_or(MissReason::Undecodable)?;
            let counters = &entry.function.counters;
            counters.hits.increment();
            let found = if entry.weight <= CLONED_UNDER_LOCK {
                Found::Value(value.clone())
            } else {
                Found::Entry(entry.clone())
            };
            if let Some(timer) = &timer {
                counters.time_lookup(timer.elapsed());
            }
            Ok(found)
        });
        match found {
            Some(Ok(Found::Value(value))) => Ok(value),
            Some(Ok(Found::Entry(entry))) => entry.value().cloned().ok_or(MissReason::Undecodable),
            Some(Err(reason)) => Err(reason),
            None => Err(MissReason::Absent),
        }
    }

    /// Looks once more, without counting.
    pub(super) fn peek_entry(&self, key: &Key) -> Option<Arc<StoredEntry>> {
        let now = self.0.clock.now();
        let fresh = |entry: &Arc<StoredEntry>| (entry.freshness(now) == Freshness::Fresh).then(|| entry.clone());
        self.0.tier.find(&key.view(), fresh).flatten()
    }
}

enum Found<V> {
    Value(V),
    Entry(Arc<StoredEntry>),
}

/// Answers a call that the local tier did not: `reason` says why not.
pub(super) async fn fetch<A, S, P, B, F>(
    cache: &Cache,
    reason: MissReason,
    plan: Plan<A, S, P>,
    body: B,
) -> A::Output
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
    P: FnOnce(&A::Value) -> bool,
    B: FnOnce() -> F,
    F: Future<Output = A::Output>,
{
    let function = cache.0.functions.of(plan.key.identity());
    let mut tally = Tally { function: &function, is_counted: false };
    if computing::is_within(cache, &plan.key) {
        // The computation asks for itself: to follow it would be to wait for ever.
        tally.count(Happening::Miss(reason));
        return alone(cache, &function, body).await;
    }
    loop {
        let stored = || cache.peek_entry(&plan.key).filter(|entry| entry.value::<A::Value>().is_some());
        let follow = match cache.0.flights.join(&plan.key, stored) {
            Joined::Found(entry) => {
                tally.count_hit();
                match entry.value::<A::Value>() {
                    Some(value) => return plan.answer.restore(value.clone()),
                    None => continue,
                }
            }
            Joined::Lead(lead) => {
                tally.count(Happening::Miss(reason));
                return lead_to_landing(cache, &function, lead, plan, body).await;
            }
            Joined::Follow(follow) => follow,
        };
        tally.count(Happening::Joined);
        match liveness::wait(cache, &plan.key, follow).await {
            Waited::Abandoned => {}
            Waited::Landed(Landing::Value(entry)) => {
                if let Some(value) = entry.value::<A::Value>() {
                    return plan.answer.restore(value.clone());
                }
                return alone(cache, &function, body).await;
            }
            Waited::Landed(Landing::Error(packed)) => {
                let error = plan.sharing.as_ref().and_then(|sharing| (sharing.unpack)(&packed));
                if let Some(output) = error.and_then(|error| plan.answer.fail(error)) {
                    return output;
                }
                return alone(cache, &function, body).await;
            }
            Waited::Landed(Landing::NotShared) => {
                // Each computes for itself, at once and not one after the other; one of them leads, so
                // that later callers have somebody to join.
                return match cache.0.flights.join(&plan.key, || None::<()>) {
                    Joined::Lead(lead) => lead_to_landing(cache, &function, lead, plan, body).await,
                    Joined::Follow(_) | Joined::Found(()) => alone(cache, &function, body).await,
                };
            }
        }
    }
}

/// Computes now, whatever is stored; later callers of the key join.
pub(super) async fn refresh<A, S, P, B, F>(cache: &Cache, plan: Plan<A, S, P>, body: B) -> A::Output
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
    P: FnOnce(&A::Value) -> bool,
    B: FnOnce() -> F,
    F: Future<Output = A::Output>,
{
    let function = cache.0.functions.of(plan.key.identity());
    let lead = cache.0.flights.lead(&plan.key);
    lead_to_landing(cache, &function, lead, plan, body).await
}

/// Computes as the leader of a flight: bear the epochs, compute, store, tell the followers.
async fn lead_to_landing<A, S, P, B, F>(
    cache: &Cache,
    function: &Arc<Function>,
    lead: Leader<'_>,
    plan: Plan<A, S, P>,
    body: B,
) -> A::Output
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
    P: FnOnce(&A::Value) -> bool,
    B: FnOnce() -> F,
    F: Future<Output = A::Output>,
{
    let stamps = Stamps::new(Stamp::now(function.epoch.clone()), cache.0.epochs.stamp(&plan.tags));
    lead.bear(stamps.clone());

    let attempt = Attempt::begin(cache, function);
    let body = computing::scope(cache, &plan.key, body());
    let output = liveness::keep(cache, &lead, body).await;
    attempt.end();

    let outcome = plan.answer.outcome(&output);
    if outcome == Outcome::Error {
        function.counters.count(Happening::Error);
    }
    let fill = Fill { key: &plan.key, remember: &plan.remember, outcome, stamps, function };
    match (plan.answer.stored(&output), plan.answer.error(&output), &plan.sharing) {
        (Some(value), ..) => fill::land(cache, lead, fill, plan.storage, plan.store_if, value),
        (None, Some(error), Some(sharing)) => lead.land(Landing::Error((sharing.pack)(error)), |_| ()),
        (None, ..) => lead.land(Landing::NotShared, |_| ()),
    }
    output
}

/// Computes for this caller alone: nothing is stored, nobody joins.
async fn alone<B, F>(cache: &Cache, function: &Arc<Function>, body: B) -> F::Output
where
    B: FnOnce() -> F,
    F: Future,
{
    let attempt = Attempt::begin(cache, function);
    let output = body().await;
    attempt.end();
    output
}

/// Counts a call once, whatever becomes of it.
struct Tally<'f> {
    function: &'f Function,
    is_counted: bool,
}

impl Tally<'_> {
    fn count(&mut self, what: Happening) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.function.counters.count(what);
        }
    }

    fn count_hit(&mut self) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.function.counters.hits.increment();
        }
    }
}

/// A computation under way. Dropped before its end, it was cancelled or panicked.
struct Attempt<'f> {
    function: &'f Function,
    stopwatch: Option<Stopwatch>,
}

impl<'f> Attempt<'f> {
    fn begin(cache: &Cache, function: &'f Function) -> Self {
        function.counters.count(Happening::Computation);
        Self { function, stopwatch: Some(cache.0.clock.stopwatch()) }
    }

    fn end(mut self) {
        if let Some(stopwatch) = self.stopwatch.take() {
            self.function.counters.time_compute(stopwatch.elapsed());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.stopwatch.is_some() {
            self.function.counters.count(Happening::Abandoned);
        }
    }
}
