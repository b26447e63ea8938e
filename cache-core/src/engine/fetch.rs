//! THE PATH of a call that the local tier did not answer: join or lead, ask the shared tier, compute, fill, tell.

use std::sync::Arc;
use std::time::Duration;

use super::computing;
use super::direct;
use super::fill::{self, Fill, Share};
use super::flight::{Joined, Lead};
use super::liveness::{self, Waited};
use super::shared::{Borne, Hold, Looked, Obtained, Question, Seen, Stored, Underway, obtain};
use super::{Cache, Function, Inner, Landing};
use crate::answer::{Answer, Outcome};
use crate::clock::Stopwatch;
use crate::entry::{Freshness, MissReason, Remember, StoredEntry, lifetime};
use crate::error::Error;
use crate::event::stats::{Happening, TIMED};
use crate::key::{Key, KeyView, Tag};
use crate::storage::{Encoded, Sharing, Storage};

/// What a call brings along.
pub(super) struct Plan<A: Answer, S, P> {
    pub(super) key: Key,
    pub(super) remember: Remember,
    pub(super) answer: A,
    pub(super) storage: S,
    pub(super) sharing: Sharing<A::Error>,
    pub(super) store_if: P,
}

type Leader<'c> = Lead<'c, Key, Borne, Landing>;

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

    /// Whether what bears `borne` may be used now, by what the bus has told.
    fn covers(&self, borne: &Borne) -> bool {
        self.0.trust.covers(self.0.clock.now(), borne.begun)
    }

    /// Looks once more for a `V`, without counting.
    fn peek_entry<V: 'static>(&self, key: &Key) -> Option<Arc<StoredEntry>> {
        let is_usable = |entry: &Arc<StoredEntry>| self.0.judge::<V>(entry).is_ok().then(|| entry.clone());
        self.0.tier.find(&key.view(), is_usable).flatten()
    }
}

impl Inner {
    /// The value of an entry, if it may be used now.
    #[inline(always)]
    fn judge<'e, V: 'static>(&self, entry: &'e StoredEntry) -> Result<&'e V, MissReason> {
        let now = self.clock.now();
        match entry.freshness(now) {
            Freshness::Fresh if !self.trust.covers(now, entry.begun()) => Err(MissReason::Unreachable),
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
    tags: &[Tag],
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
    let asked = cache.0.clock.now();
    let function = cache.0.functions.of(plan.key.identity());
    let mut tally = Tally { function: &function, is_counted: false };
    if computing::is_within(cache, &plan.key) {
        // The computation asks for itself: to follow it would be to wait for ever.
        tally.count(Happening::Miss(reason));
        return alone(cache, &function, plan.answer, body).await;
    }
    let question = Question::new::<A::Value>(cache, &function, &plan.key, tags, &plan.remember, plan.storage);
    // `tier = shared`: each call looks for itself, since who began earlier may have seen an older value.
    let through = question.as_ref().filter(|question| question.reads_through);
    loop {
        let seen = match through {
            Some(question) => match question.look(&mut question.borne()).await {
                Looked::Usable(stored) => {
                    tally.count(Happening::SharedHit);
                    return plan.answer.restore(stored.value);
                }
                Looked::Unusable(reason, frame) => Some((reason, frame)),
                Looked::Away(_) => None,
            },
            None => None,
        };
        let looks_itself = seen.is_some();
        let stored = || cache.peek_entry::<A::Value>(&plan.key);
        let follow = match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), stored) {
            Joined::Found(entry) => {
                tally.count_hit();
                match entry.value::<A::Value>() {
                    Some(value) => return plan.answer.restore(value.clone()),
                    None => continue,
                }
            }
            Joined::Lead(lead) => {
                let leading = Leading { cache, function: &function, lead, tags, question: question.as_ref() };
                return leading.fetch(plan, tally, reason, seen, body).await;
            }
            Joined::Follow(follow) => follow,
        };
        tally.count(Happening::Joined);
        match liveness::wait(cache, &plan.key, follow).await {
            Waited::Abandoned => {}
            // With `tier = shared`, what was handed to this follower may be older than an invalidation elsewhere that
            // came before it asked, unless its computation began after that: then it looks for itself, and
            // where the value was not stored it joins the next computation.
            Waited::Landed(Landing::Value(entry)) if looks_itself && entry.begun() <= asked => continue,
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
                return match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), || None::<()>) {
                    Joined::Lead(lead) => {
                        let leading = Leading { cache, function: &function, lead, tags, question: None };
                        let borne = leading.borne();
                        leading.compute(plan, borne, None, body).await
                    }
                    Joined::Follow(_) | Joined::Found(()) => alone(cache, &function, plan.answer, body).await,
                };
            }
        }
    }
}

/// Looks for a value that the local tier does not have (`reason` says why not), without computing or waiting for one.
pub(super) async fn find<V: direct::Value>(
    cache: &Cache,
    key: &Key,
    remember: Remember,
    tags: &[Tag],
    reason: MissReason,
) -> Result<Option<V>, Error> {
    let function = cache.0.functions.of(key.identity());
    let Some(question) = Question::new::<V>(cache, &function, key, tags, &remember, Encoded) else {
        function.counters.count(Happening::Miss(reason));
        return Ok(None);
    };
    // In the table of flights while it reads, so that an invalidation keeps the value out of the local tier. Where
    // somebody computes, this does not wait.
    let lead = match cache.0.flights.join(key, |borne| cache.covers(borne), || None::<()>) {
        Joined::Lead(lead) => Some(lead),
        Joined::Follow(_) | Joined::Found(()) => None,
    };
    let mut borne = question.borne();
    if let Some(lead) = &lead {
        lead.bear(borne.clone());
    }
    match question.look::<V>(&mut borne).await {
        Looked::Usable(stored) => {
            function.counters.count(Happening::SharedHit);
            if let Some(lead) = lead {
                lead.learn(borne.clone());
                let fill = Fill::found(key, &remember, &borne, &function, stored.fresh);
                fill::land_found(cache, lead, &fill, Encoded, &stored.value, stored.size);
            }
            Ok(Some(stored.value))
        }
        Looked::Unusable(reason, _) => {
            function.counters.count(Happening::Miss(reason));
            Ok(None)
        }
        Looked::Away(error) => {
            function.counters.count(Happening::Miss(MissReason::Unreachable));
            Err(error)
        }
    }
}

/// Computes now, whatever is stored; later callers of the key join.
pub(super) async fn refresh<A, S, P, B, F>(
    cache: &Cache,
    plan: Plan<A, S, P>,
    tags: &[Tag],
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
    let question = Question::new::<A::Value>(cache, &function, &plan.key, tags, &plan.remember, plan.storage);
    let lead = cache.0.flights.lead(&plan.key);
    let leading = Leading { cache, function: &function, lead, tags, question: question.as_ref() };
    let (hold, borne) = match leading.question {
        Some(question) => {
            let (hold, borne) = liveness::keep(cache, &leading.lead, question.take()).await;
            (hold.ok(), borne)
        }
        None => (None, leading.borne()),
    };
    leading.compute(plan, borne, hold, body).await
}

/// A call that leads the flight of its key.
struct Leading<'c, S> {
    cache: &'c Cache,
    function: &'c Arc<Function>,
    lead: Leader<'c>,
    tags: &'c [Tag],
    question: Option<&'c Question<'c, S>>,
}

impl<'c, S: Copy> Leading<'c, S> {
    /// The epochs now.
    fn borne(&self) -> Borne {
        Borne::now(self.cache, self.function, self.tags)
    }

    /// Asks the shared tier, and computes if it has no value.
    async fn fetch<A, P, B, F>(
        self,
        plan: Plan<A, S, P>,
        mut tally: Tally<'_>,
        reason: MissReason,
        seen: Option<Seen>,
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
        let Some(question) = self.question else {
            tally.count(Happening::Miss(reason));
            let borne = self.borne();
            return self.compute(plan, borne, None, body).await;
        };
        let seen = match seen {
            Some(seen) => seen,
            None => {
                let mut borne = self.borne();
                self.lead.bear(borne.clone());
                // Nobody need be told that this lives: a look is over soon, by the time limit of the backend.
                match question.look(&mut borne).await {
                    Looked::Usable(stored) => {
                        tally.count(Happening::SharedHit);
                        return self.land_found(plan, borne, stored);
                    }
                    Looked::Unusable(reason, frame) => (reason, frame),
                    Looked::Away(_) => {
                        tally.count(Happening::Miss(MissReason::Unreachable));
                        let borne = self.borne();
                        return self.compute(plan, borne, None, body).await;
                    }
                }
            }
        };
        let obtaining = obtain(question, seen, |underway| match underway {
            Underway::Bearing(borne) => self.lead.bear(borne.clone()),
            Underway::Learned(borne) => self.lead.learn(borne.clone()),
            Underway::Waiting => tally.count(Happening::Joined),
        });
        match liveness::keep(self.cache, &self.lead, obtaining).await {
            Obtained::Value(stored, borne) => {
                tally.count(Happening::SharedHit);
                self.land_found(plan, borne, stored)
            }
            Obtained::Lease(hold, borne, reason) => {
                tally.count(Happening::Miss(reason));
                self.compute(plan, borne, Some(hold), body).await
            }
            Obtained::Away => {
                tally.count(Happening::Miss(MissReason::Unreachable));
                let borne = self.borne();
                self.compute(plan, borne, None, body).await
            }
        }
    }

    /// Lands with a value that the shared tier had.
    fn land_found<A, P>(self, plan: Plan<A, S, P>, borne: Borne, stored: Stored<A::Value>) -> A::Output
    where
        A: Answer,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        self.lead.learn(borne.clone());
        let fill = Fill::found(&plan.key, &plan.remember, &borne, self.function, stored.fresh);
        fill::land_found(self.cache, self.lead, &fill, plan.storage, &stored.value, stored.size);
        plan.answer.restore(stored.value)
    }

    /// Computes: bear the epochs, compute, fill the shared tier, land.
    async fn compute<A, P, B, F>(
        self,
        plan: Plan<A, S, P>,
        borne: Borne,
        hold: Option<Hold<'_>>,
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
        let Self { cache, function, lead, .. } = self;
        match &hold {
            // A value that was stored elsewhere since took the lease away.
            Some(_) => lead.learn(borne.clone()),
            None => lead.bear(borne.clone()),
        }

        let attempt = Attempt::begin(cache, function);
        let body = computing::scope(cache, &plan.key, body());
        let output = match &hold {
            Some(hold) => liveness::keep(cache, &lead, hold.keep(&cache.0.clock, body)).await,
            None => liveness::keep(cache, &lead, body).await,
        };
        let outcome = plan.answer.outcome(&output);
        let cost = attempt.end(outcome);

        let Some(value) = plan.answer.stored(&output) else {
            let landing = match (plan.answer.error(&output), &plan.sharing) {
                (Some(error), Some(sharing)) => Landing::Error((sharing.pack)(error)),
                _ => Landing::NotShared,
            };
            lead.land(landing, |_| ());
            return output;
        };
        let lifetime = lifetime(&plan.remember, outcome, cache.0.chance.unit());
        let lifetime = lifetime.filter(|_| (plan.store_if)(value));
        let fill = Fill {
            key: &plan.key,
            remember: &plan.remember,
            outcome,
            borne: &borne,
            function,
            cost,
            lifetime,
        };
        let share = match hold {
            Some(hold) => {
                let sharing = fill::share(cache, &fill, plan.storage, value, hold);
                liveness::keep(cache, &lead, sharing).await
            }
            None => Share::NotShared,
        };
        fill::land(cache, lead, &fill, plan.storage, value, share);
        output
    }
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

    /// Tells how long it took.
    fn end(mut self, outcome: Outcome) -> Duration {
        let took = self.stopwatch.take().map_or(Duration::ZERO, |stopwatch| stopwatch.elapsed());
        self.function.counters.time_compute(took);
        if outcome == Outcome::Error {
            self.function.counters.count(Happening::Error);
        }
        took
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.stopwatch.is_some() {
            self.function.counters.count(Happening::Abandoned);
        }
    }
}
