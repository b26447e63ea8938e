//! What a batch asks for, id by id, and what the local tier has of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{At, Batch, Bypass, Slot, Slotted, State, Track, Tracks};
use crate::batched::{Division, Each, Whole};
use crate::engine::call::{Opened, Rest};
use crate::engine::calling::Terms;
use crate::engine::fetch::Plan;
use crate::engine::means::Means;
use crate::engine::tally::Tally;
use crate::engine::trace;
use crate::engine::{CacheRef, Function};
use crate::entry::MissReason;
use crate::event::stats::Happening;
use crate::key::Key;
use crate::storage::Storage;

/// The ids that a batch asks for, as the generated code tells them: [`found`](Self::found) or [`open`](Self::open) for
/// each, in their order; then [`answer`](Self::answer), and [`begin`](Self::begin) if that has none.
pub struct Asked<K, A: Each, W, D, S, P> {
    whole: W,
    division: D,
    means: Means<A, S, ()>,
    store_if: P,
    slots: Vec<Slot<K, A::Item>>,
    missing: Missing,
}

/// What the local tier did not have.
struct Missing {
    cache: CacheRef,
    terms: Terms,
    plans: Vec<Missed>,
    bypasses: Vec<Bypass>,
    at_most: usize,
    is_forced: bool,
}

struct Missed {
    plan: Plan,
    function: Arc<Function>,
    reason: MissReason,
    slot: usize,
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
        let (means, store_if) = means.parted();
        let missing = Missing {
            cache,
            terms: means.terms(),
            plans: Vec::new(),
            bypasses: Vec::new(),
            at_most: usize::MAX,
            is_forced: false,
        };
        Self { whole, division, means, store_if, slots: Vec::with_capacity(count), missing }
    }

    /// So many ids go to the body at once.
    #[must_use]
    pub fn at_most(mut self, at_most: usize) -> Self {
        self.missing.at_most = at_most.max(1);
        self
    }

    /// `f_refresh`: computes whatever is stored.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.missing.is_forced = true;
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
        let (slot, to_come) = (self.slots.len(), self.slots.capacity().saturating_sub(self.slots.len()));
        let state = match self.missing.add(slot, to_come, opened) {
            At::Track(plan) => Slotted::Track(plan),
            At::Bypass(_) => Slotted::Bypass,
        };
        self.slots.push(Slot { id, state });
    }

    /// The answer, if the local tier has everything.
    pub fn answer(&mut self) -> Option<W::Output> {
        if !self.missing.is_nothing() {
            return None;
        }
        let item = |slot: Slot<K, A::Item>| match slot.state {
            Slotted::Item(item) => (slot.id, item),
            Slotted::Track(_) | Slotted::Bypass => (slot.id, None),
        };
        let all = std::mem::take(&mut self.slots).into_iter().map(item);
        Some(self.whole.close(Ok(self.division.assemble(all))))
    }

    /// Begins with what the local tier does not have.
    pub fn begin(&mut self) -> Batch<'_, K, A, W, D, S, P> {
        let mut slots = std::mem::take(&mut self.slots);
        let (tracks, track_of) = self.missing.tracks();
        for slot in &mut slots {
            if let Slotted::Track(plan) = slot.state {
                slot.state = Slotted::Track(track_of[plan]);
            }
        }
        Batch {
            whole: self.whole,
            division: self.division,
            means: self.means,
            store_if: &self.store_if,
            slots,
            tracks,
            items: Vec::new(),
            failed: None,
            verbatim: None,
        }
    }
}

impl Missing {
    fn is_nothing(&self) -> bool {
        self.plans.is_empty() && self.bypasses.is_empty()
    }

    /// Adds what `slot` asks for; tells which plan that is, or which call past the cache. Up to `to_come` more may follow.
    fn add(&mut self, slot: usize, to_come: usize, opened: Opened) -> At {
        let Opened { identity, key, is_bypassed, remember, tags, reason } = opened;
        let function = match self.plans.last() {
            Some(last) if last.plan.key.identity() == identity => last.function.clone(),
            _ => self.cache.0.functions.of(identity),
        };
        let key = match key {
            Some(key) if !is_bypassed => key,
            key => {
                function.counters.count(Happening::Bypassed);
                let told = trace::is_watched().then_some((function, key));
                self.bypasses.push(Bypass { slot, is_done: false, told });
                return At::Bypass(self.bypasses.len() - 1);
            }
        };
        if self.plans.len() == self.plans.capacity() {
            // Large to move when it grows: at most once. Of many ids most may be there.
            let to_come = to_come.max(1);
            self.plans.reserve_exact(if self.plans.is_empty() { to_come.min(PLANS) } else { to_come });
        }
        let plan = Plan { key, remember, tags, terms: self.terms };
        self.plans.push(Missed { plan, function, reason, slot });
        At::Track(self.plans.len() - 1)
    }

    /// A track for each key, and which that is for each that was added.
    fn tracks(&mut self) -> (Tracks<'_>, Vec<usize>) {
        let bypasses = std::mem::take(&mut self.bypasses);
        let Self { ref cache, ref plans, at_most, is_forced, .. } = *self;
        // Who is asked for twice is computed once; to follow oneself would be to wait for ever.
        let mut firsts: HashMap<&Key, usize, foldhash::fast::RandomState> =
            HashMap::with_capacity_and_hasher(plans.len(), Default::default());
        let mut all: Vec<Track<'_>> = Vec::with_capacity(plans.len());
        let mut track_of = Vec::with_capacity(plans.len());
        for Missed { plan, function, reason, slot } in plans {
            let track = *firsts.entry(&plan.key).or_insert(all.len());
            track_of.push(track);
            if let Some(first) = all.get_mut(track) {
                first.last = *slot;
                continue;
            }
            all.push(Track {
                plan,
                function,
                question: plan.question(cache, function),
                slot: *slot,
                last: *slot,
                tally: Tally::new(cache, function, &plan.key, !plan.remember.grace.is_zero()),
                reason: *reason,
                looks_itself: false,
                held: None,
                state: State::Open,
                reply: None,
            });
        }
        let asked = cache.0.clock.now();
        let tracks = Tracks { cache, all, bypasses, at_most, is_forced, asked, computing: Vec::new() };
        (tracks, track_of)
    }
}

impl<K, A: Each, W, D, S, P> std::fmt::Debug for Asked<K, A, W, D, S, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("open", &self.missing.plans.len()).finish_non_exhaustive()
    }
}
