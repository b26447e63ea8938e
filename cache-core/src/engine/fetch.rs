//! THE PATH of a call that the local tier did not answer: join or lead, ask the shared tier, compute, fill, tell.

use super::compute::alone;
use super::computing;
use super::direct;
use super::fill::{self, Fill};
use super::flight::Joined;
use super::lead::Leading;
use super::liveness::{self, Waited};
use super::shared::{Looked, Question};
use super::{Cache, Function, Landing};
use crate::answer::Answer;
use crate::entry::{MissReason, Remember};
use crate::error::Error;
use crate::event::stats::Happening;
use crate::key::{Key, Tag};
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
        return Box::pin(alone(cache, &function, plan.answer, body)).await;
    }
    let question = Question::new::<A::Value>(cache, &function, &plan.key, tags, &plan.remember, plan.storage);
    // `tier = shared`: each call looks for itself, since who began earlier may have seen an older value.
    let through = question.as_ref().filter(|question| question.reads_through);
    loop {
        let mut asks = question.as_ref();
        let mut reason = reason;
        let seen = match through {
            Some(question) => match question.look(&mut question.borne()).await {
                Looked::Usable(stored) => {
                    tally.count(Happening::SharedHit);
                    return plan.answer.restore(stored.value);
                }
                Looked::Unusable(reason, frame) => Some((reason, frame)),
                Looked::Away(_) => {
                    // Once is enough: a call waits for a dead server no longer than one time limit.
                    (asks, reason) = (None, MissReason::Unreachable);
                    None
                }
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
                let leading = Leading { cache, function: &function, lead, tags, question: asks };
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
                return Box::pin(alone(cache, &function, plan.answer, body)).await;
            }
            Waited::Landed(Landing::Error(packed)) => {
                let error = plan.sharing.as_ref().and_then(|sharing| (sharing.unpack)(&packed));
                if let Some(output) = error.and_then(|error| plan.answer.fail(error)) {
                    return output;
                }
                return Box::pin(alone(cache, &function, plan.answer, body)).await;
            }
            Waited::Landed(Landing::NotShared) => {
                // Each computes for itself, at once and not one after the other; one of them leads, so
                // that later callers have somebody to join.
                return match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), || None::<()>) {
                    Joined::Lead(lead) => {
                        let leading = Leading { cache, function: &function, lead, tags, question: None };
                        let borne = leading.borne();
                        Box::pin(leading.compute(plan, borne, None, body)).await
                    }
                    Joined::Follow(_) | Joined::Found(()) => {
                        Box::pin(alone(cache, &function, plan.answer, body)).await
                    }
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

/// Counts a call once, whatever becomes of it.
pub(super) struct Tally<'f> {
    function: &'f Function,
    is_counted: bool,
}

impl Tally<'_> {
    pub(super) fn count(&mut self, what: Happening) {
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
