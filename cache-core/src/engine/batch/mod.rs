//! Many keys in one call. Each is an entry of its own; what the tiers do not have is computed in one go.
//!
//! The generated function drives it: it [asks](Asked) for each id, and then runs the body for as long as
//! [`Batch::next`] says that ids are missing. The rules are those of single calls. None is broken by going together:
//! a batch never waits for others while it has something to compute, and before a body it lets go of what it leads and
//! cannot compute yet. So two batches wait for each other only if their bodies ask for each other's items.

mod asked;
mod compute;
mod direct;
mod join;
mod settle;

use std::sync::Arc;

pub use asked::Asked;

use super::fetch::Plan;
use super::flight::{Follow, Lead};
use super::shared::{Borne, Hold, Question, Seen};
use super::stale::Held;
use super::tally::Tally;
use super::trace::{self, Answered};
use super::{Cache, Function, Landing, boxed::Pending};
use crate::batched::{Division, Each, Whole};
use crate::clock::Tick;
use crate::entry::MissReason;
use crate::key::Key;
use crate::storage::Storage;

/// What the function is to do next.
#[derive(Debug)]
pub enum Next<K, O> {
    /// Run the body for these ids, in their order, each once, and hand `computed` its future.
    Compute(Vec<K>),
    /// Return this.
    Done(O),
}

/// A batch under way.
///
/// # Cancel safety
///
/// Dropping it drops what it computes; others who wait for that take over.
pub struct Batch<'c, K, A: Each, W: Whole, D, S, P> {
    cache: &'c Cache,
    whole: W,
    division: D,
    store_if: &'c P,
    at_most: usize,
    is_forced: bool,
    asked: Tick,
    slots: Vec<Slot<K, A::Item>>,
    /// For each plan what is known of it.
    tracks: Vec<Track<'c, A, S>>,
    computing: Vec<At>,
    failed: Option<W::Error>,
    /// What the body returned, where nobody can tell what belongs to which id.
    verbatim: Option<W::Value>,
}

/// One id that was asked for.
struct Slot<K, V> {
    id: K,
    state: Slotted<V>,
}

enum Slotted<V> {
    Item(Option<V>),
    /// As the track of this number has it.
    Track(usize),
    /// Past the cache; not computed yet. With what is told of it, where somebody wants to know.
    Bypass(Option<Box<Bypassed>>),
}

/// A call past the cache, as a trace tells it.
struct Bypassed {
    function: Arc<Function>,
    key: Option<Key>,
}

/// What is being computed: a track, or the slot of a call past the cache.
#[derive(Debug, Clone, Copy)]
enum At {
    Track(usize),
    Slot(usize),
}

impl At {
    fn track(&self) -> Option<usize> {
        match self {
            Self::Track(at) => Some(*at),
            Self::Slot(_) => None,
        }
    }
}

/// One key of a batch that the local tier did not have.
struct Track<'c, A: Each, S> {
    plan: &'c Plan<A, S>,
    function: &'c Arc<Function>,
    question: Option<Question<'c, S>>,
    /// The first slot that asks for it.
    slot: usize,
    /// The last one.
    last: usize,
    tally: Tally<'c>,
    reason: MissReason,
    /// Whether its own look came before it joined anybody: `tier = shared`.
    looks_itself: bool,
    held: Option<Held>,
    state: State<'c>,
    item: Option<A::Item>,
}

/// How far a key has come.
enum State<'c> {
    /// Nobody was asked.
    Open,
    /// The shared tier was asked by this call itself, and had no value; `None` if it did not answer.
    Looked(Option<Seen>),
    /// Another call computes it.
    Follows(Follow<Borne, Landing>),
    /// It is up to this call, once it has the lease.
    Leads(Lead<'c, Key, Borne, Landing>, Seen),
    /// To be computed.
    Computes(Lead<'c, Key, Borne, Landing>, Option<Box<Hold<'c>>>, Borne),
    /// To be computed for this call alone.
    Alone,
    Done,
}

impl<K, A: Each, W: Whole, D, S, P> std::fmt::Debug for Batch<'_, K, A, W, D, S, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.tracks.iter().map(|track| &track.plan.key).collect::<Vec<_>>();
        f.debug_struct("Batch").field("keys", &keys).finish_non_exhaustive()
    }
}

impl<'c, K, A, W, D, S, P> Batch<'c, K, A, W, D, S, P>
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
    /// Goes on until something is to be computed, or everything is known.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: to be asked again.
    pub fn next(&mut self) -> Pending<impl Future<Output = Next<K, W::Output>>> {
        Pending::new(async move {
            let mut has_settled = false;
            loop {
                if let Some(error) = self.failed.take() {
                    return Next::Done(self.whole.close(Err(error)));
                }
                let is_any =
                    |which: fn(&State<'c>) -> bool| self.tracks.iter().any(|track| which(&track.state));
                if is_any(|state| matches!(state, State::Computes(..) | State::Alone)) {
                    return Next::Compute(self.take_missing());
                }
                if is_any(|state| matches!(state, State::Open | State::Looked(_))) {
                    match self.is_forced {
                        true => join::force(self.cache, &mut self.tracks).await,
                        false => join::join(self.cache, &mut self.tracks).await,
                    }
                    continue;
                }
                let bypasses = self.slots.iter().any(|slot| matches!(slot.state, Slotted::Bypass(_)));
                // What goes past the cache goes to the body with what this call gets a lease for.
                let waits_for_leases = !has_settled && is_any(|state| matches!(state, State::Leads(..)));
                if bypasses && !waits_for_leases {
                    return Next::Compute(self.take_missing());
                }
                if self.tracks.iter().all(|track| matches!(track.state, State::Done)) {
                    return Next::Done(self.answer());
                }
                has_settled = true;
                settle::settle(self.cache, self.asked, &mut self.tracks, bypasses).await;
            }
        })
    }

    /// The ids that are to be computed now, no more than go at once.
    fn take_missing(&mut self) -> Vec<K> {
        let slots = self.slots.iter().enumerate();
        let bypassed =
            slots.filter(|(_, slot)| matches!(slot.state, Slotted::Bypass(_))).map(|(at, _)| At::Slot(at));
        let tracks = self.tracks.iter().enumerate();
        let missing = tracks.filter(|(_, track)| matches!(track.state, State::Computes(..) | State::Alone));
        let missing = missing.map(|(at, _)| At::Track(at));
        let mut computing: Vec<At> = bypassed.chain(missing).collect();
        computing.sort_by_key(|at| self.slot_of(*at));
        computing.truncate(self.at_most);
        self.computing = computing;
        self.ids_of(&self.computing)
    }

    fn ids_of(&self, computing: &[At]) -> Vec<K> {
        computing.iter().map(|at| self.slots[self.slot_of(*at)].id.clone()).collect()
    }

    fn slot_of(&self, at: At) -> usize {
        match at {
            At::Track(at) => self.tracks[at].slot,
            At::Slot(at) => at,
        }
    }

    /// Puts the answer together. Nothing is left of it afterwards.
    fn answer(&mut self) -> W::Output {
        if let Some(all) = self.verbatim.take() {
            return self.whole.close(Ok(all));
        }
        let mut items: Vec<Option<A::Item>> = self.tracks.iter_mut().map(|track| track.item.take()).collect();
        let slots = std::mem::take(&mut self.slots);
        let all = slots.into_iter().enumerate().map(|(at, slot)| {
            let item = match slot.state {
                Slotted::Item(item) => item,
                // Others who ask for the same get a clone.
                Slotted::Track(track) if self.tracks[track].is_last(at) => items[track].take(),
                Slotted::Track(track) => items[track].clone(),
                Slotted::Bypass(_) => None,
            };
            (slot.id, item)
        });
        self.whole.close(Ok(self.division.assemble(all)))
    }
}

impl<K, V> Slot<K, V> {
    /// The call past the cache has ended: with `item`, or without one.
    fn done(&mut self, cache: &Cache, item: Option<V>) {
        if let Slotted::Bypass(Some(told)) = std::mem::replace(&mut self.state, Slotted::Item(item)) {
            trace::note(cache, told.key.as_ref(), &told.function.title(), Answered::Bypassed);
        }
    }
}

impl<A: Each, S> Track<'_, A, S> {
    /// Whether no slot behind `slot` asks for it.
    fn is_last(&self, slot: usize) -> bool {
        self.last <= slot
    }

    /// It is known: `item`, or that there is none.
    fn done(&mut self, cache: &Cache, item: Option<A::Item>) {
        self.item = item;
        self.state = State::Done;
        self.note(cache);
    }

    /// Notes what answered it, for whoever traces it: not of who computes whatever is stored.
    fn note(&self, cache: &Cache) {
        if trace::is_watched() && self.tally.has_said() {
            let answered = Answered::of(self.tally.told);
            trace::note(cache, Some(&self.plan.key), &self.function.title(), answered);
        }
    }
}
