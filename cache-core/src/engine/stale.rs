//! Stale values that stand in where a new one cannot be had.

use std::any::TypeId;
use std::sync::Arc;

use super::calling::Reply;
use super::fetch::Plan;
use super::fill::Fill;
use super::shared::{Borne, Question, Removed, Shared, Stored};
use super::tally::Tally;
use super::value::AnyValue;
use super::{Cache, Function};
use crate::backend::FrameBytes;
use crate::event::stats::Happening;
use crate::key::Key;
use crate::local::StoredEntry;

/// A value of the shared tier that may stand in, or go on being used, while a new one is computed.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) entry: Arc<StoredEntry>,
    /// How often its key had been removed before it was read.
    removed: Option<Removed>,
    /// Its stored form, and how much of that is the value.
    pub(super) frame: FrameBytes,
    pub(super) size: usize,
}

impl Held {
    /// Holds what the shared tier had.
    pub(super) fn new(
        cache: &Cache,
        function: &Arc<Function>,
        plan: &Plan,
        borne: &Borne,
        stored: Stored,
    ) -> Self {
        let fill = Fill::found(&plan.key, &plan.remember, function, &stored);
        let Stored { value, size, frame, .. } = stored;
        let entry = fill.entry(cache, borne, value, fill.lifetime, Some(size));
        Self { entry, removed: borne.removed(), frame, size }
    }

    /// Whether it may stand in yet.
    fn may_stand_in(&self, cache: &Cache) -> bool {
        let is_removed = |shared: &Shared| self.removed.is_some_and(|removed| !shared.is_still(removed));
        !cache.0.shared.as_deref().is_some_and(is_removed) && cache.0.may_stand_in(&self.entry)
    }

    /// Whether its stored form is that of `value`.
    pub(super) fn is_of(&self, question: &Question<'_>, value: &AnyValue) -> bool {
        let mut encoded = Vec::new();
        let is_encoded = value.encode(question.shared.codec, &mut encoded).is_ok();
        is_encoded && self.frame.ends_with(&encoded) && encoded.len() == self.size
    }

    /// Answers with it, if it still may stand in.
    pub(super) fn answer(&self, tally: &mut Tally<'_>, plan: &Plan) -> Option<Reply> {
        answer_stale(tally, plan, self.entry.clone())
    }
}

/// Answers a follower with what stood in for its leader, if it still may. What a flight bears is the epochs of its computation, and not
/// all that the stale value does: who joined it may have begun after an invalidation of that.
pub(super) fn answer_stand_in(tally: &mut Tally<'_>, plan: &Plan, entry: Arc<StoredEntry>) -> Option<Reply> {
    let may_stand_in = tally.cache.0.may_stand_in(&entry);
    Some(entry).filter(|_| may_stand_in).and_then(|entry| answer_stale(tally, plan, entry))
}

/// Answers a call with a stale value.
pub(super) fn answer_stale(tally: &mut Tally<'_>, plan: &Plan, entry: Arc<StoredEntry>) -> Option<Reply> {
    if !entry.is_a(plan.of()) {
        return None;
    }
    tally.count(Happening::Stale);
    if plan.remember.refresh.is_some() {
        tally.cache.0.note_use(&plan.key);
    }
    Some(Reply::Entry(entry))
}

impl Cache {
    /// The newest value that may stand in: of this process, or what was held of the shared tier.
    pub(super) fn newest(&self, key: &Key, of: TypeId, held: Option<&Held>) -> Option<Arc<StoredEntry>> {
        let here = self.0.stand_in(key, of);
        let there = held.filter(|held| held.may_stand_in(self)).map(|held| held.entry.clone());
        match (here, there) {
            (Some(here), Some(there)) => Some(if here.created() >= there.created() { here } else { there }),
            (here, there) => here.or(there),
        }
    }

    /// Whether `key` failed a moment ago, and is not to be computed yet.
    pub(super) fn is_resting(&self, key: &Key) -> bool {
        let (view, entry) = (key.view(), self.0.tier.find(&key.view(), Arc::clone));
        self.0.setbacks.is_resting(&view, self.0.clock.now(), entry.as_deref())
    }
}
