//! What the leader of a flight does: ask the shared tier, compute. How it ends is another file.

use std::sync::Arc;

use super::body::Body;
use super::boxed::boxed;
use super::calling::Reply;
use super::compute::Attempt;
use super::computing::Running;
use super::conclude::{Ended, Landed};
use super::fetch::Plan;
use super::fill::{self, Fill};
use super::flight::Lead;
use super::liveness;
use super::recompute::Finished;
use super::shared::{Borne, Hold, Looked, Obtained, Question, Seen, Stored, Underway, obtain};
use super::stale::{Held, answer_stale};
use super::tally::Tally;
use super::{Cache, Function, Landing};
use crate::answer::Outcome;
use crate::entry::MissReason;
use crate::event::stats::Happening;
use crate::key::Key;
use crate::local::StoredEntry;

/// Who leads the flight of a key.
pub(super) struct Leading<'c> {
    pub(super) cache: &'c Cache,
    pub(super) function: &'c Arc<Function>,
    pub(super) lead: Lead<'c, Key, Borne, Landing>,
    pub(super) plan: &'c Plan,
    pub(super) question: Option<&'c Question<'c>>,
    /// What the shared tier had that may stand in.
    pub(super) held: Option<Held>,
    /// In the background: the entry that is to be replaced.
    pub(super) replaces: Option<Arc<StoredEntry>>,
}

/// What a computation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A call waits for it.
    Call,
    /// `f_refresh`: whoever asked wants to know how it went.
    Forced,
    /// What is stored goes on until it is done.
    Background,
}

/// What is known of the shared tier before the right to compute is asked for.
pub(super) enum Ahead {
    /// The caller has looked for itself.
    Seen(Seen),
    /// The leader has looked.
    Looked(Looked, Borne),
}

/// What leading a call came to.
pub(super) enum Led {
    Answer(Reply),
    /// The shared tier has a stale value, which shall answer if computing takes too long; the body was not used.
    Soften(Held, Body),
}

/// What came of a computation.
pub(super) struct Computed {
    pub(super) outcome: Outcome,
    /// The entry that was made of it, whether it was stored or not; of a failure, the one that stands in.
    pub(super) entry: Option<Arc<StoredEntry>>,
    has_stand_in: bool,
}

impl Computed {
    /// What a call answers.
    pub(super) fn answer(self, tally: &mut Tally<'_>, plan: &Plan) -> Reply {
        let stale =
            self.entry.filter(|_| self.has_stand_in).and_then(|entry| answer_stale(tally, plan, entry));
        stale.unwrap_or(Reply::Computed)
    }
}

impl<'c> Leading<'c> {
    pub(super) fn new(
        cache: &'c Cache,
        function: &'c Arc<Function>,
        lead: Lead<'c, Key, Borne, Landing>,
        plan: &'c Plan,
        question: Option<&'c Question<'c>>,
    ) -> Self {
        Self { cache, function, lead, plan, question, held: None, replaces: None }
    }

    /// The epochs now.
    pub(super) fn borne(&self) -> Borne {
        Borne::now(self.cache, self.function, &self.plan.tags)
    }

    /// The epochs to look under. Nobody need be told that a look lives: it is over soon, by the time limit of the backend.
    pub(super) fn looks(&self, question: &Question<'_>) -> Borne {
        let borne = question.borne_to_look();
        self.lead.bear(borne.clone());
        borne
    }

    /// Goes on after a look that found nothing usable: asks for the right to compute, and computes if nobody else does.
    pub(super) async fn fetch(
        mut self,
        question: &Question<'c>,
        tally: &mut Tally<'_>,
        ahead: Ahead,
        may_soften: bool,
        body: Body,
    ) -> Led {
        let seen = match ahead {
            Ahead::Seen(seen) => seen,
            Ahead::Looked(Looked::Usable(stored), borne) => {
                return Led::Answer(self.answer_found(tally, borne, stored));
            }
            Ahead::Looked(Looked::Stale(stored), borne) => {
                let seen = (MissReason::Expired, Some(stored.frame.clone()));
                let held = self.keep_stale(&borne, stored);
                if self.cache.is_resting(&self.plan.key)
                    && let Some(output) = held.answer(tally, self.plan)
                {
                    self.lead.land(Landing::StandIn(held.entry), |_| ());
                    return Led::Answer(output);
                }
                if may_soften && self.plan.remember.soft_timeout.is_some() {
                    return Led::Soften(held, body);
                }
                self.held = Some(held);
                seen
            }
            Ahead::Looked(Looked::Unusable(reason, frame), _) => (reason, frame),
            Ahead::Looked(Looked::Away(_), _) => {
                return Led::Answer(self.compute_alone(tally, MissReason::Unreachable, body).await);
            }
        };
        Led::Answer(boxed(|| self.obtain(question, tally, seen, body)).await)
    }

    /// Answers with a value that the shared tier had.
    pub(super) fn answer_found(self, tally: &mut Tally<'_>, borne: Borne, stored: Stored) -> Reply {
        tally.count(Happening::SharedHit);
        tally.notice_due(self.plan, &stored, self.cache.0.chance.unit());
        self.land_found(borne, stored)
    }

    /// Computes without the shared tier.
    pub(super) async fn compute_alone(self, tally: &mut Tally<'_>, reason: MissReason, body: Body) -> Reply {
        tally.count(Happening::Miss(reason));
        let (borne, plan) = (self.borne(), self.plan);
        self.compute(borne, None, Purpose::Call, body).await.answer(tally, plan)
    }

    /// Asks for the right to compute, or waits for the value of whoever has it.
    async fn obtain(self, question: &Question<'c>, tally: &mut Tally<'_>, seen: Seen, body: Body) -> Reply {
        let obtaining = obtain(question, seen, None, |underway| match underway {
            Underway::Bearing(borne) => self.lead.bear(borne.clone()),
            Underway::Learned(borne) => self.lead.learn(borne.clone()),
            Underway::Waiting => tally.count(Happening::Joined),
        });
        let obtained = liveness::keep(self.cache, &self.lead, obtaining).await;
        let (hold, borne) = match obtained {
            Obtained::Value(stored, borne) => {
                tally.count(Happening::SharedHit);
                return self.land_found(borne, stored);
            }
            Obtained::Lease(hold, borne, reason) => {
                tally.count(Happening::Miss(reason));
                (Some(hold), borne)
            }
            Obtained::Away => {
                tally.count(Happening::Miss(MissReason::Unreachable));
                (None, self.borne())
            }
        };
        let plan = self.plan;
        self.compute(borne, hold, Purpose::Call, body).await.answer(tally, plan)
    }

    /// Computes in the background what replaces the value of `version`, or any that is not fresh, unless the shared tier has it.
    pub(super) async fn refresh(mut self, version: Option<u64>, body: Body) -> Finished {
        let (mut hold, mut borne) =
            (None, self.question.map_or_else(|| self.borne(), Question::borne_to_look));
        self.lead.bear(borne.clone());
        // Now: a message may take it away before the new one is there.
        self.replaces = self.cache.0.entry_of(&self.plan.key, self.plan.of());
        if let Some(question) = self.question {
            let seen = match question.look(&mut borne).await {
                Looked::Usable(stored) if version != Some(stored.version) => {
                    return Finished::found(self.land_found(borne, stored));
                }
                Looked::Usable(stored) | Looked::Stale(stored) => {
                    let stored = stored.kept();
                    let seen = (MissReason::Expired, Some(stored.frame.clone()));
                    self.held = Some(self.keep_stale(&borne, stored));
                    Some(seen)
                }
                Looked::Unusable(reason, frame) => Some((reason, frame)),
                Looked::Away(_) => {
                    borne = self.borne();
                    None
                }
            };
            if let Some(seen) = seen {
                let obtaining = obtain(question, seen, None, |underway| match underway {
                    Underway::Bearing(borne) => self.lead.bear(borne.clone()),
                    Underway::Learned(borne) => self.lead.learn(borne.clone()),
                    Underway::Waiting => {}
                });
                match liveness::keep(self.cache, &self.lead, obtaining).await {
                    Obtained::Value(stored, borne) => {
                        return Finished::found(self.land_found(borne, stored));
                    }
                    Obtained::Lease(granted, after, _) => (hold, borne) = (Some(granted), after),
                    Obtained::Away => borne = self.borne(),
                }
            }
        }
        Finished::computed(self.compute(borne, hold, Purpose::Background, body).await)
    }

    fn keep_stale(&self, borne: &Borne, stored: Stored) -> Held {
        keep_stale(self.cache, self.function, self.plan, &self.lead, borne, stored)
    }

    /// Lands with a value that the shared tier had.
    pub(super) fn land_found(self, borne: Borne, stored: Stored) -> Reply {
        let Self { cache, function, lead, plan, replaces, .. } = self;
        let mut fill = Fill::found(&plan.key, &plan.remember, function, &stored);
        fill.is_asked_for = replaces.is_none();
        fill.replaces = replaces;
        fill::land_found(cache, lead, &fill, &borne, stored.value, stored.size)
    }

    /// Computes: bear the epochs, compute, fill the shared tier, land.
    pub(super) async fn compute(
        self,
        borne: Borne,
        hold: Option<Hold<'_>>,
        purpose: Purpose,
        body: Body,
    ) -> Computed {
        let Self { cache, function, lead, plan, question, held, replaces } = self;
        match &hold {
            // A value that was stored elsewhere since took the lease away.
            Some(_) => lead.learn(borne.clone()),
            None => lead.bear(borne.clone()),
        }

        let keeps_old = plan.keeps_old();
        let previous = if keeps_old { plan.newest(cache, held.as_ref()) } else { None };
        let running = Running::new(cache, &plan.key, previous);
        // Before the body begins: which tags it bears, it may yet say.
        let opening = cache.0.epochs.open();
        let attempt = Attempt::begin(cache, function);
        lead.beat();
        let mut runs = body.begin(&running);
        let brought = match (runs.at_once().await, &hold) {
            (Some(brought), _) => brought,
            (None, Some(hold)) => {
                boxed(|| liveness::keep(cache, &lead, hold.keep(&cache.0.clock, &borne, runs))).await
            }
            (None, None) => boxed(|| liveness::keep(cache, &lead, runs)).await,
        };
        let outcome = brought.outcome;
        let cost = attempt.end(outcome);
        let ended = Ended { brought, directions: running.take_directions(), cost };
        let leading = Self { cache, function, lead, plan, question, held, replaces };
        match leading.land(borne, hold, purpose, &opening, ended) {
            Landed::Here(entry) => Computed { outcome, entry, has_stand_in: false },
            Landed::StandingIn(entry) => Computed { outcome, entry: Some(entry), has_stand_in: true },
            Landed::Not(sharing) => {
                Computed { outcome, entry: sharing.finishing().await, has_stand_in: false }
            }
        }
    }
}

/// Holds a stale value of the shared tier, and keeps it in the local one, unless there is a newer one.
pub(super) fn keep_stale(
    cache: &Cache,
    function: &Arc<Function>,
    plan: &Plan,
    lead: &Lead<'_, Key, Borne, Landing>,
    borne: &Borne,
    stored: Stored,
) -> Held {
    lead.learn(borne.clone());
    let is_stale = stored.fresh.is_zero();
    let held = Held::new(cache, function, plan, borne, stored);
    let tier = &cache.0.tier;
    let here = cache.0.stand_in(&plan.key, plan.of());
    let is_newer = here.is_none_or(|here| here.created() < held.entry.created());
    if is_stale && is_newer && !plan.remember.reads_through && tier.admits_any() {
        let displaced = lead.store_early(|| tier.install(held.entry.clone()));
        drop(displaced);
    }
    held
}
