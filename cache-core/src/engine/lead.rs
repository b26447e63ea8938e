//! What the leader of a flight does: ask the shared tier, compute, fill, land.

use std::sync::Arc;

use super::compute::Attempt;
use super::computing;
use super::fetch::{Plan, Tally};
use super::fill::{self, Fill, Share};
use super::flight::Lead;
use super::liveness;
use super::shared::{Borne, Hold, Looked, Obtained, Question, Seen, Stored, Underway, obtain};
use super::{Cache, Function, Landing};
use crate::answer::Answer;
use crate::entry::{MissReason, lifetime};
use crate::event::stats::Happening;
use crate::key::{Key, Tag};
use crate::storage::Storage;

/// A call that leads the flight of its key.
pub(super) struct Leading<'c, S> {
    pub(super) cache: &'c Cache,
    pub(super) function: &'c Arc<Function>,
    pub(super) lead: Lead<'c, Key, Borne, Landing>,
    pub(super) tags: &'c [Tag],
    pub(super) question: Option<&'c Question<'c, S>>,
}

impl<'c, S: Copy> Leading<'c, S> {
    /// The epochs now.
    pub(super) fn borne(&self) -> Borne {
        Borne::now(self.cache, self.function, self.tags)
    }

    /// Asks the shared tier, and computes if it has no value.
    // What comes after a miss is in boxes of its own: a hit in the shared tier then fits an allocation of the size that
    // allocators are quick with.
    pub(super) async fn fetch<A, P, B, F>(
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
            return Box::pin(self.compute(plan, borne, None, body)).await;
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
                        return Box::pin(self.compute(plan, borne, None, body)).await;
                    }
                }
            }
        };
        Box::pin(self.obtain(question, plan, tally, seen, body)).await
    }

    /// Asks for the right to compute, or waits for the value of whoever has it.
    async fn obtain<A, P, B, F>(
        self,
        question: &Question<'c, S>,
        plan: Plan<A, S, P>,
        mut tally: Tally<'_>,
        seen: Seen,
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
    pub(super) async fn compute<A, P, B, F>(
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
