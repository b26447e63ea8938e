//! The end of a computation: what is decided on its answer, filling the shared tier, landing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::computing::Directions;
use super::fetch::Plan;
use super::fill::{self, Fill, Share};
use super::flight::Lead;
use super::lead::{Leading, Purpose};
use super::liveness;
use super::means::Recomputed;
use super::shared::{Borne, Hold};
use super::{Cache, Landing};
use crate::answer::{Answer, Outcome};
use crate::entry::lifetime;
use crate::epochs::Opening;
use crate::key::{Key, Tag};
use crate::local::{Displaced, StoredEntry};
use crate::storage::{Packed, Storage};

/// A computation that has ended, of what is to be stored.
pub(super) struct Ended<'e, V> {
    outcome: Outcome,
    /// What of the answer would be stored.
    value: Option<&'e V>,
    /// The error, for followers that can have it.
    error: Option<Packed>,
    /// What `store_if` says.
    is_stored: bool,
    directions: Directions,
    cost: Duration,
}

impl<'e, V> Ended<'e, V> {
    pub(super) fn of<A: Answer<Value = V>, S>(
        plan: &Plan<A, S>,
        recomputed: &'e Recomputed<A::Output>,
        directions: Directions,
        cost: Duration,
    ) -> Self {
        let Recomputed { output, is_stored } = recomputed;
        let error = plan.answer.error(output).zip(plan.sharing.as_ref());
        Self {
            outcome: plan.answer.outcome(output),
            value: plan.answer.stored(output),
            error: error.map(|(error, sharing)| (sharing.pack)(error)),
            is_stored: *is_stored,
            directions,
            cost,
        }
    }
}

impl<'c, A, S> Leading<'c, A, S>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    /// What stands in for an error, for all who wait.
    pub(super) fn stand_in(&self, purpose: Purpose) -> Option<Arc<StoredEntry>> {
        let (cache, plan) = (self.cache, self.plan);
        if !plan.keeps_old() {
            return None;
        }
        // The epochs do not show that a key was invalidated; the flight does.
        let held = self.held.as_ref().filter(|_| self.lead.is_attached());
        let entry = cache.newest::<A::Value>(&plan.key, held)?;
        // In the background that is noted where all failures are; and who asked for it is told.
        if purpose == Purpose::Call {
            cache.0.set_back(&plan.key);
        }
        Some(entry)
    }

    /// Ends the flight with what was computed, as far as that goes without waiting. Answers what stands in for an error.
    // Out of line: what it has on the stack is not in the frame of who runs the body.
    #[inline(never)]
    pub(super) fn land(
        mut self,
        mut borne: Borne,
        hold: Option<Hold<'c>>,
        purpose: Purpose,
        opening: &Opening<'_>,
        ended: Ended<'c, A::Value>,
    ) -> Landed<'c, A, S> {
        let Self { cache, plan, function, .. } = self;
        let Ended { outcome, value, error, is_stored, directions, cost } = ended;
        if outcome == Outcome::Error
            && let Some(entry) = self.stand_in(purpose)
        {
            self.lead.land(Landing::StandIn(entry.clone()), |_| ());
            return Landed::Here(Some(entry));
        }
        let Some(value) = value else {
            // Who began after an invalidation of what the body has named gets nothing of this, either.
            match opening.stamp(&directions.tags) {
                Some(stamps) => borne.name(stamps),
                None => borne.outdate(),
            }
            if borne.has_learned() {
                self.lead.learn(borne.clone());
            }
            match (outcome, hold) {
                (Outcome::Absent, Some(hold)) => {
                    return Landed::Not(Box::new(Sharing { leading: self, borne, hold, stored: None }));
                }
                (Outcome::Absent, None) => land_absent(cache, self.lead),
                _ => self.lead.land(error.map_or(Landing::NotShared, Landing::Error), |_| ()),
            }
            return Landed::Here(None);
        };
        let verdict = Verdict::of(plan, value, outcome, is_stored, directions);
        let lifetime = lifetime(&plan.remember, outcome, verdict.ttl, cache.0.chance.unit());
        let named = opening.stamp(&verdict.tags);
        let fill = Fill {
            key: &plan.key,
            remember: &plan.remember,
            outcome,
            function,
            cost,
            lifetime: lifetime.filter(|_| verdict.is_stored),
            age: Duration::ZERO,
            version: None,
            is_asked_for: purpose != Purpose::Background,
            replaces: self.replaces.take(),
        };
        let share = match (hold, named) {
            (_, None) => {
                borne.outdate();
                Share::Refused
            }
            (Some(hold), Some(stamps)) => {
                let named = fill::Named { tags: verdict.tags, stamps };
                let stored = Some(ToStore { fill, value, named, is_unchanged: verdict.is_unchanged });
                return Landed::Not(Box::new(Sharing { leading: self, borne, hold, stored }));
            }
            (None, Some(stamps)) => {
                borne.name(stamps);
                Share::NotShared
            }
        };
        // What it bore before is known to the flight.
        if borne.has_learned() {
            self.lead.learn(borne.clone());
        }
        fill::land(cache, self.lead, &fill, &borne, plan.storage, value, share);
        Landed::Here(None)
    }
}

/// How far a flight has come to its end without waiting.
pub(super) enum Landed<'c, A: Answer, S> {
    /// It has landed. With what stands in for an error.
    Here(Option<Arc<StoredEntry>>),
    /// The shared tier comes first.
    Not(Box<Sharing<'c, A, S>>),
}

/// A flight that lands once the shared tier was told.
pub(super) struct Sharing<'c, A: Answer, S> {
    leading: Leading<'c, A, S>,
    borne: Borne,
    hold: Hold<'c>,
    /// `None` where there is nothing, and that is not stored.
    stored: Option<ToStore<'c, A::Value>>,
}

/// A value about to be stored.
struct ToStore<'c, V> {
    fill: Fill<'c>,
    value: &'c V,
    named: fill::Named,
    is_unchanged: bool,
}

impl<'c, A, S> Sharing<'c, A, S>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    /// Tells the shared tier, and lands. In a box made out of sight: a body may ask for others, whose bodies ask for more, and
    /// each of them has this on its stack.
    #[inline(never)]
    pub(super) fn finishing(self) -> Pin<Box<impl Future<Output = ()> + use<'c, A, S>>> {
        Box::pin(self.finish())
    }

    async fn finish(self) {
        let Self { leading, mut borne, hold, stored } = self;
        let Leading { cache, lead, plan, question, held, .. } = leading;
        let Some(ToStore { mut fill, value, named, is_unchanged }) = stored else {
            fill::unshare(hold).await;
            return land_absent(cache, lead);
        };
        let share = match question {
            Some(question) => {
                let unchanged = held.as_ref().filter(|_| is_unchanged);
                let sharing = fill::share(question, &fill, &mut borne, value, named, unchanged, hold);
                liveness::keep(cache, &lead, sharing).await
            }
            // Nobody has a lease who has no question.
            None => Share::NotShared,
        };
        fill.version = share.version();
        lead.learn(borne.clone());
        fill::land(cache, lead, &fill, &borne, plan.storage, value, share);
    }
}

/// Ends a flight with nothing, which is not stored: what is stored is older, and goes.
fn land_absent(cache: &Cache, lead: Lead<'_, Key, Borne, Landing>) {
    let key = lead.key().clone();
    let displaced = lead.land(Landing::Absent, |may_store| match may_store {
        true => cache.0.tier.remove(&key),
        false => Displaced::default(),
    });
    drop(displaced);
}

/// What is decided on a value when it is there.
struct Verdict {
    is_stored: bool,
    ttl: Option<Duration>,
    tags: Vec<Tag>,
    is_unchanged: bool,
}

impl Verdict {
    fn of<A: Answer, S>(
        plan: &Plan<A, S>,
        value: &A::Value,
        outcome: Outcome,
        is_stored: bool,
        directions: Directions,
    ) -> Self {
        let Directions { ttl, mut tags, is_not_stored, is_unchanged } = directions;
        let mut decided = None;
        // `None` and errors have ttls of their own.
        if outcome == Outcome::Value {
            decided = ttl.or_else(|| plan.decides.ttl(value));
        }
        tags.extend(plan.decides.tags(value));
        Self { is_stored: is_stored && !is_not_stored, ttl: decided, tags, is_unchanged }
    }
}
