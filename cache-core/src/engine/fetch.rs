//! THE PATH of a call that the local tier did not answer: glance, join or lead, ask the shared tier, compute, fill, tell.

use std::any::TypeId;
use std::sync::Arc;

use super::background::Background;
use super::body::Body;
use super::boxed::boxed;
use super::calling::{Reply, Terms};
use super::compute::alone;
use super::computing;
use super::fill::{self, Fill};
use super::flight::{Joined, Lead};
use super::followed::Followed;
use super::lead::{Ahead, Leading, Led, Purpose};
use super::liveness;
use super::shared::{Borne, Glanced, Looked, Question, Seen};
use super::soft::softly;
use super::stale::Held;
use super::tally::Tally;
use super::value::Kind;
use super::{Cache, Function, Landing};
use crate::backend::dynamic::BoxFuture;
use crate::entry::{MissReason, Remember, Remembered};
use crate::error::Error;
use crate::event::stats::Happening;
use crate::key::{Key, Tag, TagList};
use crate::local::StoredEntry;

/// What a call is about.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) key: Key,
    pub(super) remember: Remembered,
    pub(super) tags: TagList,
    pub(super) terms: Terms,
}

impl Plan {
    /// Whether a call glances into the shared tier before it joins anybody. Where values are kept here, who leads reads for
    /// all: its flight keeps out of the local tier what is invalidated meanwhile. Nor where they are large: there, too,
    /// one reads for all.
    pub(super) fn glances(&self, cache: &Cache, function: &Function) -> bool {
        let keeps_nothing = cache.0.shared.is_some() && !cache.0.tier.admits_any();
        keeps_nothing && !self.remember.reads_through && !function.is_large()
    }

    /// Which type of values it is about.
    pub(super) fn of(&self) -> TypeId {
        self.terms.kind.value_type()
    }

    /// What a flight that has just landed has stored here. Not for who asks the shared tier each time.
    pub(super) fn peek(&self, cache: &Cache) -> Option<Arc<StoredEntry>> {
        if self.remember.reads_through { None } else { cache.peek_entry(&self.key, self.of()) }
    }

    /// The newest value that may stand in: of this process, or what was `held` of the shared tier.
    pub(super) fn newest(&self, cache: &Cache, held: Option<&Held>) -> Option<Arc<StoredEntry>> {
        cache.newest(&self.key, self.of(), held)
    }

    /// Whether a value is kept beyond its time, or recomputed before it.
    pub(super) fn keeps_old(&self) -> bool {
        self.remember.keeps_old()
    }

    /// What the shared tier is asked, if there is one for such values.
    pub(super) fn question<'c>(&'c self, cache: &'c Cache, function: &'c Function) -> Option<Question<'c>> {
        Question::new(cache, function, &self.key, &self.tags, &self.remember, self.terms.kind)
    }
}

/// A call that the local tier did not answer.
pub(super) struct Asking<'c> {
    pub(super) cache: &'c Cache,
    pub(super) function: &'c Arc<Function>,
    pub(super) plan: &'c Plan,
    /// Why it did not.
    pub(super) reason: MissReason,
}

/// What a call knows of the shared tier before it joins or leads.
enum Known {
    /// It has not looked.
    Nothing,
    /// It found nothing that is fresh.
    Seen(Seen),
    /// It asked in vain.
    Away,
}

/// What a call has asked itself before it leads: with `tier = shared` its question, and what came of it.
struct Asked<'q, 'c> {
    through: Option<&'q Question<'c>>,
    known: Known,
}

/// What a call with `tier = shared` comes to by its own look.
enum Through {
    Answer(Reply),
    /// There is a stale value, which shall answer if computing takes too long.
    Soften,
    Known(Known),
}

/// Answers a call that the local tier did not. Takes the background if it needs it.
///
/// What few calls come to is in boxes of its own, and what leaders do, of whom there is one for all followers: so
/// the future of those who follow is small.
pub(super) async fn fetch(
    asking: &Asking<'_>,
    tally: &mut Tally<'_>,
    background: &mut Option<Background>,
    mut body: Body,
) -> Reply {
    let Asking { cache, function, plan, reason } = *asking;
    let asked = cache.0.clock.now();
    if computing::is_within(cache, &plan.key) {
        // The computation asks for itself: to follow it would be to wait for ever.
        tally.count(Happening::Miss(reason));
        return boxed(|| alone(cache, function, body)).await;
    }
    // `tier = shared`: each call looks for itself, since who began earlier may have seen an older value.
    let through = if plan.remember.reads_through { asking.question().map(Box::new) } else { None };
    let mut glanced = Known::Nothing;
    if plan.glances(cache, function) {
        match boxed(|| asking.glance(tally)).await {
            Ok(output) => return output,
            Err(known) => glanced = known,
        }
    }
    let mut held: Option<Held> = None;
    loop {
        if let Some(soft) = plan.remember.soft_timeout
            && let Some(output) =
                boxed(|| softly(cache, tally, reason, plan, background, held.as_ref(), soft)).await
        {
            return output;
        }
        let known = match &through {
            Some(question) => match boxed(|| asking.look_through(question, tally, &mut held)).await {
                Through::Answer(output) => return output,
                Through::Soften => continue,
                Through::Known(known) => known,
            },
            // Once is enough: a call waits for a dead server no longer than one time limit.
            None if matches!(glanced, Known::Away) => Known::Away,
            None => std::mem::replace(&mut glanced, Known::Nothing),
        };
        let looks_itself = through.is_some() && matches!(known, Known::Seen(_));
        let stored = || plan.peek(cache);
        let follow = match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), stored) {
            Joined::Found(entry) => {
                tally.count_hit();
                return Reply::Entry(entry);
            }
            Joined::Lead(lead) => {
                // One that was held for a soft timeout that did not come to it.
                let may_soften = background.is_some() && held.is_none();
                let asked = Asked { through: through.as_deref(), known };
                match boxed(|| asking.lead(tally, lead, asked, held.take(), may_soften, body)).await {
                    Led::Answer(output) => return output,
                    Led::Soften(stale, unused) => {
                        (held, body) = (Some(stale), unused);
                        continue;
                    }
                }
            }
            Joined::Follow(follow) => follow,
        };
        tally.count(Happening::Joined);
        let waited = liveness::wait(cache, &plan.key, follow).await;
        let asked = looks_itself.then_some(asked);
        match Followed::of(waited, tally, plan, held.as_ref(), asked) {
            Followed::Answer(reply) => return reply,
            Followed::Nothing => {}
            Followed::Misfit => return boxed(|| alone(cache, function, body)).await,
            // One of them leads, so that later callers have somebody to join.
            Followed::NotShared => {
                return match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), || None::<()>) {
                    Joined::Lead(lead) => {
                        let leading = Leading::new(cache, function, lead, plan, None);
                        let borne = leading.borne();
                        let computed = boxed(|| leading.compute(borne, None, Purpose::Call, body)).await;
                        computed.answer(tally, plan)
                    }
                    Joined::Follow(_) | Joined::Found(()) => boxed(|| alone(cache, function, body)).await,
                };
            }
        }
    }
}

impl<'c> Asking<'c> {
    fn question(&self) -> Option<Question<'c>> {
        self.plan.question(self.cache, self.function)
    }

    /// Looks for this call alone.
    async fn look_through(
        &self,
        question: &Question<'_>,
        tally: &mut Tally<'_>,
        held: &mut Option<Held>,
    ) -> Through {
        let Self { cache, function, plan, .. } = *self;
        // Before the look: what is invalidated from here on shows.
        let mut borne = question.borne();
        match question.look(&mut borne).await {
            Looked::Usable(stored) => {
                tally.count(Happening::SharedHit);
                tally.notice_due(plan, &stored, cache.0.chance.unit());
                Through::Answer(Reply::Value(stored.value))
            }
            Looked::Stale(stored) => {
                let seen = (MissReason::Expired, Some(stored.frame.clone()));
                let stale = Held::new(cache, function, plan, &borne, stored);
                if cache.is_resting(&plan.key)
                    && let Some(output) = stale.answer(tally, plan)
                {
                    return Through::Answer(output);
                }
                let is_first = held.replace(stale).is_none();
                if is_first && plan.remember.soft_timeout.is_some() {
                    Through::Soften
                } else {
                    Through::Known(Known::Seen(seen))
                }
            }
            Looked::Unusable(reason, frame) => {
                // What was held from an earlier look may have been invalidated since.
                *held = None;
                Through::Known(Known::Seen((reason, frame)))
            }
            Looked::Away(_) => Through::Known(Known::Away),
        }
    }

    /// Glances for this call alone.
    async fn glance(&self, tally: &mut Tally<'_>) -> Result<Reply, Known> {
        let Self { cache, plan, .. } = *self;
        let Some(question) = self.question() else { return Err(Known::Nothing) };
        match question.glance().await {
            Glanced::Usable(stored) => {
                tally.count(Happening::SharedHit);
                tally.notice_due(plan, &stored, cache.0.chance.unit());
                Ok(Reply::Value(stored.value))
            }
            Glanced::Absent => Err(Known::Seen((MissReason::Absent, None))),
            Glanced::Away => Err(Known::Away),
            Glanced::Unsure => Err(Known::Nothing),
        }
    }

    /// Leads: looks, unless that was done, and goes on from there.
    async fn lead(
        &self,
        tally: &mut Tally<'_>,
        lead: Lead<'_, Key, Borne, Landing>,
        asked: Asked<'_, 'c>,
        held: Option<Held>,
        may_soften: bool,
        body: Body,
    ) -> Led {
        let Self { cache, function, plan, .. } = *self;
        let Asked { through, known } = asked;
        let made;
        let (question, reason) = match (&known, through) {
            // Once is enough: a call waits for a dead server no longer than one time limit.
            (Known::Away, _) => (None, MissReason::Unreachable),
            (_, Some(through)) => (Some(through), self.reason),
            (_, None) => {
                made = self.question();
                (made.as_ref(), self.reason)
            }
        };
        let mut leading = Leading::new(cache, function, lead, plan, question);
        leading.held = held;
        let Some(question) = question else {
            return Led::Answer(leading.compute_alone(tally, reason, body).await);
        };
        let ahead = if let Known::Seen(seen) = known {
            Ahead::Seen(seen)
        } else {
            let mut borne = leading.looks(question);
            match question.look(&mut borne).await {
                Looked::Usable(stored) => return Led::Answer(leading.answer_found(tally, borne, stored)),
                looked => Ahead::Looked(looked, borne),
            }
        };
        boxed(|| leading.fetch(question, tally, ahead, may_soften, body)).await
    }
}

/// Looks for a value that the local tier does not have (`reason` says why not), without computing or waiting for one.
pub(super) fn find<'c>(
    cache: &'c Cache,
    key: &'c Key,
    remember: &'c Remember,
    tags: &'c [Tag],
    kind: Kind,
    reason: MissReason,
) -> BoxFuture<'c, Result<Option<Reply>, Error>> {
    Box::pin(async move {
        let function = cache.0.functions.of(key.identity());
        let Some(question) = Question::new(cache, &function, key, tags, remember, kind) else {
            cache.count(&function, key, Happening::Miss(reason));
            return Ok(None);
        };
        // In the table of flights while it reads, so that an invalidation keeps the value out of the local tier. Where
        // somebody computes, this does not wait.
        let lead = match cache.0.flights.join(key, |borne| cache.covers(borne), || None::<()>) {
            Joined::Lead(lead) => Some(lead),
            Joined::Follow(_) | Joined::Found(()) => None,
        };
        let mut borne = question.borne_to_look();
        if let Some(lead) = &lead {
            lead.bear(borne.clone());
        }
        match question.look(&mut borne).await {
            Looked::Usable(stored) => {
                cache.count(&function, key, Happening::SharedHit);
                let Some(lead) = lead else { return Ok(Some(Reply::Value(stored.value))) };
                let fill = Fill::found(key, remember, &function, &stored);
                Ok(Some(fill::land_found(cache, lead, &fill, &borne, stored.value, stored.size)))
            }
            Looked::Stale(_) => {
                cache.count(&function, key, Happening::Miss(MissReason::Expired));
                Ok(None)
            }
            Looked::Unusable(reason, _) => {
                cache.count(&function, key, Happening::Miss(reason));
                Ok(None)
            }
            Looked::Away(error) => {
                cache.count(&function, key, Happening::Miss(MissReason::Unreachable));
                Err(error)
            }
        }
    })
}

/// Computes now, whatever is stored; later callers that find nothing stored join.
pub(super) async fn refresh(cache: &Cache, plan: &Plan, body: Body) -> Reply {
    let function = cache.0.functions.of(plan.key.identity());
    let question = plan.question(cache, &function);
    let lead = cache.0.flights.lead(&plan.key);
    let leading = Leading::new(cache, &function, lead, plan, question.as_ref());
    let (hold, borne) = match leading.question {
        Some(question) => {
            let (hold, borne) = liveness::keep(cache, &leading.lead, question.take(question.borne())).await;
            (hold.ok(), borne)
        }
        None => (None, leading.borne()),
    };
    leading.compute(borne, hold, Purpose::Forced, body).await;
    Reply::Computed
}
