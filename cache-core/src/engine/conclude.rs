//! The end of a computation: what is decided on its answer, filling the shared tier, landing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::apply::Storing;
use super::body::Brought;
use super::computing::Directions;
use super::fill::{self, Fill, Setting, Share};
use super::flight::Lead;
use super::lead::{Leading, Purpose};
use super::liveness;
use super::shared::{Borne, Hold, without_runtime};
use super::value::AnyValue;
use super::{Cache, Landing};
use crate::answer::Outcome;
use crate::backend::{EntryKey, InvalidateRequest};
use crate::clock::Tick;
use crate::entry::lifetime;
use crate::epochs::Opening;
use crate::key::{Key, Tag};
use crate::local::{Displaced, StoredEntry};

/// A computation that has ended.
pub(super) struct Ended {
    pub(super) brought: Brought,
    pub(super) directions: Directions,
    pub(super) cost: Duration,
}

impl<'c> Leading<'c> {
    /// What stands in for an error, for all who wait.
    pub(super) fn stand_in(&self, purpose: Purpose) -> Option<Arc<StoredEntry>> {
        let (cache, plan) = (self.cache, self.plan);
        if !plan.keeps_old() {
            return None;
        }
        // The epochs do not show that a key was invalidated; the flight does.
        let held = self.held.as_ref().filter(|_| self.lead.is_attached());
        let entry = plan.newest(cache, held)?;
        // In the background that is noted where all failures are; and who asked for it is told.
        if purpose == Purpose::Call {
            cache.0.set_back(&plan.key);
        }
        Some(entry)
    }

    /// What the shared tier has is older than what was asked for by force, and could not be replaced.
    fn outdate_shared(&self) {
        if let Some(question) = self.question {
            question.shared.postpone_removal(&question.key);
        } else if let Some(shared) = without_runtime(self.cache, self.function, self.plan.terms.kind) {
            shared.postpone_removal(&self.plan.key.with_text(|text| EntryKey::from(text)));
        }
    }

    /// The same where the shared tier can be told at once. What fails is repeated.
    async fn remove_shared(&self) {
        if let Some(question) = self.question {
            let keys = std::slice::from_ref(&question.key);
            let underway = question.shared.expect_echo(&question.key);
            let removed =
                question.shared.invalidate(InvalidateRequest { keys, ..InvalidateRequest::NOTHING }).await;
            if removed.is_ok() {
                underway.answered();
            }
        }
    }

    /// Ends the flight with what was computed, as far as that goes without waiting.
    // Out of line: what it has on the stack is not in the frame of who runs the body.
    #[inline(never)]
    pub(super) fn land(
        mut self,
        mut borne: Borne,
        hold: Option<Hold<'c>>,
        purpose: Purpose,
        opening: &Opening<'_>,
        ended: Ended,
    ) -> Landed<'c> {
        let Self { cache, plan, function, .. } = self;
        let Ended { brought, directions, cost } = ended;
        let Brought { outcome, value, error, is_stored, ttl, tags } = brought;
        if outcome == Outcome::Error
            && let Some(entry) = self.stand_in(purpose)
        {
            self.lead.land(Landing::StandIn(entry.clone()), |_| ());
            return Landed::StandingIn(entry);
        }
        let outdates = purpose == Purpose::Forced && outcome != Outcome::Error;
        if outdates && hold.is_none() {
            self.outdate_shared();
        }
        directions.sources.iter().for_each(|source| borne.date_back(source.begun));
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
                    let stored = None;
                    return Landed::Not(Box::new(Sharing { leading: self, borne, hold, outdates, stored }));
                }
                (Outcome::Absent, None) => land_absent(cache, self.lead, borne.begun, outdates),
                _ => self.lead.land(error.map_or(Landing::NotShared, Landing::Error), |_| ()),
            }
            return Landed::Here(None);
        };
        let sources = directions.sources.clone();
        let verdict = Verdict::of(is_stored, ttl, tags, directions);
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
            is_set: outdates,
            began: Some(opening.number()),
            sources,
            replaces: self.replaces.take(),
        };
        let share = match (hold, named) {
            (Some(hold), named) => {
                let named = named.map(|stamps| fill::Named { tags: verdict.tags, stamps, first: Vec::new() });
                let stored = Some(ToStore { fill, value, named, is_unchanged: verdict.is_unchanged });
                return Landed::Not(Box::new(Sharing { leading: self, borne, hold, outdates, stored }));
            }
            (None, None) => {
                borne.outdate();
                Share::Refused
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
        let (_, entry) = fill::land(cache, self.lead, &fill, &borne, value, share);
        Landed::Here(Some(entry))
    }
}

/// How far a flight has come to its end without waiting.
pub(super) enum Landed<'c> {
    /// It has landed: with an entry, stored or not, or without one.
    Here(Option<Arc<StoredEntry>>),
    /// It has landed with what stands in for an error.
    StandingIn(Arc<StoredEntry>),
    /// The shared tier comes first.
    Not(Box<Sharing<'c>>),
}

/// A flight that lands once the shared tier was told.
pub(super) struct Sharing<'c> {
    leading: Leading<'c>,
    borne: Borne,
    hold: Hold<'c>,
    /// Whether what is there must not stay, whatever becomes of this.
    outdates: bool,
    /// `None` where there is nothing, and that is not stored.
    stored: Option<ToStore<'c>>,
}

/// A value about to be stored.
struct ToStore<'c> {
    fill: Fill<'c>,
    value: AnyValue,
    /// `None` if one of its own tags was invalidated since the computation began.
    named: Option<fill::Named>,
    is_unchanged: bool,
}

impl<'c> Sharing<'c> {
    /// Tells the shared tier, and lands; with the entry that was made. In a box made out of sight: a body may ask for others, whose
    /// bodies ask for more, and each of them has this on its stack.
    #[inline(never)]
    pub(super) fn finishing(self) -> Pin<Box<impl Future<Output = Option<Arc<StoredEntry>>> + use<'c>>> {
        Box::pin(self.finish())
    }

    async fn finish(self) -> Option<Arc<StoredEntry>> {
        let Self { leading, mut borne, hold, outdates, stored } = self;
        let Some(ToStore { mut fill, value, named, is_unchanged }) = stored else {
            fill::unshare(hold).await;
            land_absent(leading.cache, leading.lead, borne.begun, outdates);
            return None;
        };
        let share = match (leading.question, named) {
            (_, None) => {
                borne.outdate();
                drop(hold);
                Share::Refused
            }
            (Some(question), Some(named)) => {
                let storing = outdates.then(|| Storing::begin(leading.cache, fill.key));
                let unchanged = leading.held.as_ref().filter(|_| is_unchanged);
                let sharing = fill::share(question, &fill, &mut borne, &value, named, unchanged, hold);
                let share = liveness::keep(leading.cache, &leading.lead, sharing).await;
                storing.into_iter().for_each(Storing::end);
                share
            }
            // Nobody has a lease who has no question.
            (None, Some(_)) => Share::NotShared,
        };
        match share {
            Share::Unknown if outdates => leading.outdate_shared(),
            // Of whatever is there nobody knows that it is newer.
            Share::Refused if outdates => {
                liveness::keep(leading.cache, &leading.lead, leading.remove_shared()).await;
            }
            _ => {}
        }
        let Leading { cache, lead, .. } = leading;
        fill.version = share.version();
        lead.learn(borne.clone());
        let (_, entry) = fill::land(cache, lead, &fill, &borne, value, share);
        Some(entry)
    }
}

/// Ends a flight with nothing, which is not stored: what is stored is older, and goes.
fn land_absent(cache: &Cache, lead: Lead<'_, Key, Borne, Landing>, begun: Tick, is_set: bool) {
    let key = lead.key().clone();
    let setting = is_set.then(|| Setting::begin(cache, &key));
    let (displaced, is_latest) = lead.land(Landing::Absent(begun), |may_store| match may_store {
        true => (cache.0.tier.remove(&key), true),
        false => (Displaced::default(), false),
    });
    drop(displaced);
    setting.into_iter().for_each(|setting| setting.end(is_latest));
}

/// What is decided on a value when it is there.
struct Verdict {
    is_stored: bool,
    ttl: Option<Duration>,
    tags: Vec<Tag>,
    is_unchanged: bool,
}

impl Verdict {
    /// What the body has said goes before what the options say.
    fn of(is_stored: bool, ttl: Option<Duration>, tags: Vec<Tag>, directions: Directions) -> Self {
        let Directions { ttl: directed, tags: mut all, is_not_stored, is_unchanged, .. } = directions;
        all.extend(tags);
        Self { is_stored: is_stored && !is_not_stored, ttl: directed.or(ttl), tags: all, is_unchanged }
    }
}
