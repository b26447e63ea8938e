//! THE PATH of a call that the local tier did not answer: join or lead, compute, fill, tell.

use std::sync::Arc;

use super::computing;
use super::fill::{self, Fill};
use super::flight::{Joined, Lead};
use super::liveness::{self, Waited};
use super::{Cache, Function, Inner, Landing};
use crate::answer::{Answer, Outcome};
use crate::clock::Stopwatch;
use crate::entry::{Freshness, MissReason, Remember, StoredEntry};
use crate::event::stats::{Happening, TIMED};
use crate::key::{Key, KeyView, Tag};
use crate::local::epochs::{Stamp, Stamps};
use crate::storage::{Sharing, Storage};

/// What a call brings along.
pub(super) struct Plan<A: Answer, S, P> {
    pub(super) key: Key,
    pub(super) remember: Remember,
    pub(super) tags: Box<[Tag]>,
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
    #[inline(always)]
    pub(super) fn look_up<V>(&self, key: &KeyView<'_>) -> Result<V, MissReason>
    where
        V: Clone + Send + Sync + 'static,
    {
        let cache = &*self.0;
        let place = cache.tier.at(key);
        let shard = place.read();
        let Some(entry) = shard.entry() else {
            return Err(MissReason::Absent);
        };
        let found: &V = cache.judge(entry)?;
        let hits = entry.function.counters.hits.increment();
        if entry.weight > CLONED_UNDER_LOCK {
            let entry = entry.clone();
            drop(shard);
            return entry.value().cloned().ok_or(MissReason::Undecodable);
        }
        let value = found.clone();
        drop(shard);
        if hits.is_multiple_of(TIMED) {
            self.time_lookup::<V>(key);
        }
        Ok(value)
    }

    /// Looks up again, by the clock, without cloning the value: a hit allocates nothing but its own clone.
    #[cold]
    fn time_lookup<V: 'static>(&self, key: &KeyView<'_>) {
        let cache = &*self.0;
        let stopwatch = cache.clock.stopwatch();
        let found = cache.tier.find(key, |entry| cache.judge::<V>(entry).map(|_| entry.function.clone()));
        if let Some(Ok(function)) = found {
            function.counters.time_lookup(stopwatch.elapsed());
        }
    }

    /// Looks once more for a `V`, without counting.
    fn peek_entry<V: 'static>(&self, key: &Key) -> Option<Arc<StoredEntry>> {
        let now = self.0.clock.now();
        let is_usable =
            |entry: &StoredEntry| entry.freshness(now) == Freshness::Fresh && entry.value::<V>().is_some();
        self.0.tier.find(&key.view(), |entry| is_usable(entry).then(|| entry.clone())).flatten()
    }
}

impl Inner {
    /// The value of an entry, if it may be used now.
    #[inline(always)]
    fn judge<'e, V: 'static>(&self, entry: &'e StoredEntry) -> Result<&'e V, MissReason> {
        match entry.freshness(self.clock.now()) {
            Freshness::Fresh => entry.value().ok_or(MissReason::Undecodable),
            Freshness::Expired => Err(MissReason::Expired),
            Freshness::Invalidated => Err(MissReason::Invalidated),
        }
    }
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
        return alone(cache, &function, plan.answer, body).await;
    }
    loop {
        let stored = || cache.peek_entry::<A::Value>(&plan.key);
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
                return alone(cache, &function, plan.answer, body).await;
            }
            Waited::Landed(Landing::Error(packed)) => {
                let error = plan.sharing.as_ref().and_then(|sharing| (sharing.unpack)(&packed));
                if let Some(output) = error.and_then(|error| plan.answer.fail(error)) {
                    return output;
                }
                return alone(cache, &function, plan.answer, body).await;
            }
            Waited::Landed(Landing::NotShared) => {
                // Each computes for itself, at once and not one after the other; one of them leads, so
                // that later callers have somebody to join.
                return match cache.0.flights.join(&plan.key, || None::<()>) {
                    Joined::Lead(lead) => lead_to_landing(cache, &function, lead, plan, body).await,
                    Joined::Follow(_) | Joined::Found(()) => alone(cache, &function, plan.answer, body).await,
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
    let outcome = plan.answer.outcome(&output);
    attempt.end(outcome);

    let fill = Fill { key: &plan.key, remember: &plan.remember, outcome, stamps, function };
    match (plan.answer.stored(&output), plan.answer.error(&output), &plan.sharing) {
        (Some(value), ..) => fill::land(cache, lead, fill, plan.storage, plan.store_if, value),
        (None, Some(error), Some(sharing)) => lead.land(Landing::Error((sharing.pack)(error)), |_| ()),
        (None, ..) => lead.land(Landing::NotShared, |_| ()),
    }
    output
}

/// Computes for this caller alone: nothing is stored, nobody joins.
async fn alone<A, B, F>(cache: &Cache, function: &Arc<Function>, answer: A, body: B) -> A::Output
where
    A: Answer,
    B: FnOnce() -> F,
    F: Future<Output = A::Output>,
{
    let attempt = Attempt::begin(cache, function);
    let output = body().await;
    attempt.end(answer.outcome(&output));
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

    fn end(mut self, outcome: Outcome) {
        if let Some(stopwatch) = self.stopwatch.take() {
            self.function.counters.time_compute(stopwatch.elapsed());
        }
        if outcome == Outcome::Error {
            self.function.counters.count(Happening::Error);
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
