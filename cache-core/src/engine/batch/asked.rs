//! What a batch asks for, id by id, and what the local tier has of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Batch, Bypassed, Slot, Slotted, State, Track};
use crate::batched::{Division, Each, Whole};
use crate::engine::call::{Opened, Rest};
use crate::engine::fetch::Plan;
use crate::engine::means::Means;
use crate::engine::shared::Question;
use crate::engine::tally::Tally;
use crate::engine::trace;
use crate::engine::{Cache, CacheRef, Function};
use crate::entry::MissReason;
use crate::event::stats::Happening;
use crate::key::Key;
use crate::storage::Storage;

/// The ids that a batch asks for, as the generated code tells them: [`found`](Self::found) or [`open`](Self::open) for
/// each, in their order; then [`answer`](Self::answer), and [`begin`](Self::begin) if that has none.
pub struct Asked<K, A: Each, W, D, S, P> {
    cache: CacheRef,
    whole: W,
    division: D,
    means: Means<A, S, P>,
    slots: Vec<Slot<K, A::Item>>,
    plans: Vec<(Plan<A, S>, Arc<Function>, MissReason)>,
    at_most: usize,
    is_forced: bool,
    is_open: bool,
}

/// Room for so many ids that are missing is made at once.
const PLANS: usize = 32;

impl<K, A, W, D, S, P> Asked<K, A, W, D, S, P>
where
    K: Clone,
    A: Each<Error = W::Error>,
    A::Item: Clone,
    A::Value: Clone + Send + Sync + 'static,
    W: Whole,
    D: Division<K, W::Value, Item = A::Item>,
    S: Storage<A::Value>,
    P: Fn(&A::Value) -> bool,
{
    /// Nothing yet; room for `count`. `means` are those of each item.
    pub fn new(cache: CacheRef, whole: W, division: D, means: Means<A, S, P>, count: usize) -> Self {
        Self {
            cache,
            whole,
            division,
            means,
            slots: Vec::with_capacity(count),
            plans: Vec::new(),
            at_most: usize::MAX,
            is_forced: false,
            is_open: false,
        }
    }

    /// So many ids go to the body at once.
    #[must_use]
    pub fn at_most(mut self, at_most: usize) -> Self {
        self.at_most = at_most.max(1);
        self
    }

    /// `f_refresh`: computes whatever is stored.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.is_forced = true;
        self
    }

    /// The local tier has it.
    #[inline]
    pub fn found(&mut self, answer: A, id: K, found: A::Output) {
        self.slots.push(Slot { id, state: Slotted::Item(answer.item(found)) });
    }

    /// The local tier does not.
    pub fn open(&mut self, id: K, call: Rest<A>) {
        self.add(id, call.opened());
    }

    pub(in crate::engine) fn add(&mut self, id: K, opened: Opened) {
        let Opened { identity, key, is_bypassed, remember, tags, reason } = opened;
        self.is_open = true;
        let function = match self.plans.last() {
            Some((plan, function, _)) if plan.key.identity() == identity => function.clone(),
            _ => self.cache.0.functions.of(identity),
        };
        let key = match key {
            Some(key) if !is_bypassed => key,
            key => {
                function.counters.count(Happening::Bypassed);
                let to_tell = trace::is_watched().then(|| Box::new(Bypassed { function, key }));
                self.slots.push(Slot { id, state: Slotted::Bypass(to_tell) });
                return;
            }
        };
        let Means { answer, storage, sharing, decides, .. } = self.means;
        if self.plans.len() == self.plans.capacity() {
            // Large to move when it grows: at most once. Of many ids most may be there.
            let to_come = self.slots.capacity().saturating_sub(self.slots.len()).max(1);
            self.plans.reserve_exact(if self.plans.is_empty() { to_come.min(PLANS) } else { to_come });
        }
        self.slots.push(Slot { id, state: Slotted::Track(self.plans.len()) });
        self.plans.push((Plan { key, remember, tags, answer, storage, sharing, decides }, function, reason));
    }

    /// The answer, if the local tier has everything.
    pub fn answer(&mut self) -> Option<W::Output> {
        if self.is_open {
            return None;
        }
        let item = |slot: Slot<K, A::Item>| match slot.state {
            Slotted::Item(item) => (slot.id, item),
            Slotted::Track(_) | Slotted::Bypass(_) => (slot.id, None),
        };
        let all = std::mem::take(&mut self.slots).into_iter().map(item);
        Some(self.whole.close(Ok(self.division.assemble(all))))
    }

    /// Begins with what the local tier does not have.
    pub fn begin(&mut self) -> Batch<'_, K, A, W, D, S, P> {
        let mut slots = std::mem::take(&mut self.slots);
        let cache: &Cache = &self.cache;
        // Who is asked for twice is computed once; to follow oneself would be to wait for ever.
        let mut firsts: HashMap<&Key, usize, foldhash::fast::RandomState> =
            HashMap::with_capacity_and_hasher(self.plans.len(), Default::default());
        let mut tracks: Vec<Track<'_, A, S>> = Vec::with_capacity(self.plans.len());
        for (at, slot) in slots.iter_mut().enumerate() {
            let Slotted::Track(plan) = slot.state else { continue };
            let (plan, function, reason) = &self.plans[plan];
            let track = *firsts.entry(&plan.key).or_insert(tracks.len());
            slot.state = Slotted::Track(track);
            if let Some(first) = tracks.get_mut(track) {
                first.last = at;
                continue;
            }
            tracks.push(Track {
                plan,
                function,
                question: Question::new::<A::Value>(
                    cache,
                    function,
                    &plan.key,
                    &plan.tags,
                    &plan.remember,
                    plan.storage,
                ),
                slot: at,
                last: at,
                tally: Tally::new(cache, function, &plan.key, !plan.remember.grace.is_zero()),
                reason: *reason,
                looks_itself: false,
                held: None,
                state: State::Open,
                item: None,
            });
        }
        Batch {
            cache,
            whole: self.whole,
            division: self.division,
            store_if: &self.means.store_if,
            at_most: self.at_most,
            is_forced: self.is_forced,
            asked: cache.0.clock.now(),
            slots,
            tracks,
            computing: Vec::new(),
            failed: None,
            verbatim: None,
        }
    }
}

impl<K, A: Each, W, D, S, P> std::fmt::Debug for Asked<K, A, W, D, S, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("open", &self.plans.len()).finish_non_exhaustive()
    }
}
