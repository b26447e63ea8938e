//! Many keys in one call. Each is an entry of its own; what the tiers do not have is computed in one go.
//!
//! The generated function drives it: it [asks](Asked) for each id, and then runs the body for as long as
//! [`Batch::next`] says that ids are missing. The rules are those of single calls. None is broken by going together:
//! a batch never waits for others while it has something to compute, and before a body it lets go of what it leads and
//! cannot compute yet. So two batches wait for each other only if their bodies ask for each other's items.
//!
//! Ids and items have types of their own; what is compiled for each is in [`Asked`] and [`Batch`], all else in [`Tracks`].

mod asked;
mod compute;
mod direct;
mod join;
mod settle;

use std::sync::Arc;

pub use asked::Asked;

use super::calling::Reply;
use super::fetch::Plan;
use super::flight::{Follow, Lead};
use super::means::Means;
use super::shared::{Borne, Hold, Question, Seen};
use super::stale::Held;
use super::tally::Tally;
use super::trace::{self, Answered};
use super::{Cache, Function, Landing};
use crate::backend::dynamic::BoxFuture;
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
    whole: W,
    division: D,
    means: Means<A, S, ()>,
    store_if: &'c P,
    slots: Vec<Slot<K, A::Item>>,
    tracks: Tracks<'c>,
    /// What the body brought for each track, once it has run.
    items: Vec<Option<A::Item>>,
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
    /// Past the cache; not computed yet.
    Bypass,
}

/// The keys of a batch that the local tier did not have, and how far they have come.
struct Tracks<'c> {
    cache: &'c Cache,
    all: Vec<Track<'c>>,
    /// The calls past the cache.
    bypasses: Vec<Bypass>,
    at_most: usize,
    is_forced: bool,
    asked: Tick,
    computing: Vec<At>,
}

/// A call past the cache.
struct Bypass {
    slot: usize,
    is_done: bool,
    /// What is told of it, where somebody wants to know.
    told: Option<(Arc<Function>, Option<Key>)>,
}

/// What is being computed: a track, or a call past the cache.
#[derive(Debug, Clone, Copy)]
enum At {
    Track(usize),
    Bypass(usize),
}

impl At {
    fn track(&self) -> Option<usize> {
        match self {
            Self::Track(at) => Some(*at),
            Self::Bypass(_) => None,
        }
    }
}

/// One key of a batch that the local tier did not have.
struct Track<'c> {
    plan: &'c Plan,
    function: &'c Arc<Function>,
    question: Option<Question<'c>>,
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
    /// The answer; `None` where there is no item.
    reply: Option<Reply>,
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
        let keys = self.tracks.all.iter().map(|track| &track.plan.key).collect::<Vec<_>>();
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
    pub async fn next(&mut self) -> Next<K, W::Output> {
        if let Some(error) = self.failed.take() {
            return Next::Done(self.whole.close(Err(error)));
        }
        match self.tracks.go_on().await {
            true => Next::Compute(self.missing()),
            false => Next::Done(self.answer()),
        }
    }

    /// The ids that are to be computed.
    fn missing(&self) -> Vec<K> {
        let computing = self.tracks.computing.iter();
        computing.map(|at| self.slots[self.tracks.slot_of(*at)].id.clone()).collect()
    }

    /// Puts the answer together. Nothing is left of it afterwards.
    fn answer(&mut self) -> W::Output {
        if let Some(all) = self.verbatim.take() {
            return self.whole.close(Ok(all));
        }
        let (means, tracks) = (self.means, &mut self.tracks.all);
        let mut brought = std::mem::take(&mut self.items).into_iter();
        let mut items: Vec<Option<A::Item>> = tracks
            .iter_mut()
            .map(|track| {
                let brought = brought.next().flatten();
                match track.reply.take()? {
                    Reply::Computed => brought,
                    reply => means.item(reply),
                }
            })
            .collect();
        let slots = std::mem::take(&mut self.slots);
        let all = slots.into_iter().enumerate().map(|(at, slot)| {
            let item = match slot.state {
                Slotted::Item(item) => item,
                // Others who ask for the same get a clone.
                Slotted::Track(track) if tracks[track].is_last(at) => items[track].take(),
                Slotted::Track(track) => items[track].clone(),
                Slotted::Bypass => None,
            };
            (slot.id, item)
        });
        self.whole.close(Ok(self.division.assemble(all)))
    }
}

impl<A, S> Means<A, S, ()>
where
    A: Each,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    /// The item that the engine's reply is.
    fn item(&self, reply: Reply) -> Option<A::Item> {
        self.answer.item(self.answer(reply, None))
    }
}

impl<'c> Tracks<'c> {
    /// Goes on until something is to be computed (true), or everything is known.
    fn go_on(&mut self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let mut has_settled = false;
            loop {
                let is_any = |which: fn(&State<'c>) -> bool| self.all.iter().any(|track| which(&track.state));
                if is_any(|state| matches!(state, State::Computes(..) | State::Alone)) {
                    self.take_missing();
                    return true;
                }
                if is_any(|state| matches!(state, State::Open | State::Looked(_))) {
                    match self.is_forced {
                        true => join::force(self.cache, &mut self.all).await,
                        false => join::join(self.cache, &mut self.all).await,
                    }
                    continue;
                }
                let bypasses = self.bypasses.iter().any(|bypass| !bypass.is_done);
                // What goes past the cache goes to the body with what this call gets a lease for.
                let waits_for_leases = !has_settled && is_any(|state| matches!(state, State::Leads(..)));
                if bypasses && !waits_for_leases {
                    self.take_missing();
                    return true;
                }
                if self.all.iter().all(|track| matches!(track.state, State::Done)) {
                    return false;
                }
                has_settled = true;
                settle::settle(self.cache, self.asked, &mut self.all, bypasses).await;
            }
        })
    }

    /// Picks what is to be computed now, no more than goes at once.
    fn take_missing(&mut self) {
        let bypasses = self.bypasses.iter().enumerate().filter(|(_, bypass)| !bypass.is_done);
        let bypasses = bypasses.map(|(at, _)| At::Bypass(at));
        let tracks = self.all.iter().enumerate();
        let missing = tracks.filter(|(_, track)| matches!(track.state, State::Computes(..) | State::Alone));
        let missing = missing.map(|(at, _)| At::Track(at));
        let mut computing: Vec<At> = bypasses.chain(missing).collect();
        computing.sort_by_key(|at| self.slot_of(*at));
        computing.truncate(self.at_most);
        self.computing = computing;
    }

    fn slot_of(&self, at: At) -> usize {
        match at {
            At::Track(at) => self.all[at].slot,
            At::Bypass(at) => self.bypasses[at].slot,
        }
    }

    /// A call past the cache has ended.
    fn bypassed(&mut self, at: usize) {
        let bypass = &mut self.bypasses[at];
        bypass.is_done = true;
        if let Some((function, key)) = bypass.told.take() {
            trace::note(self.cache, key.as_ref(), &function.title(), Answered::Bypassed);
        }
    }
}

impl Track<'_> {
    /// Whether no slot behind `slot` asks for it.
    fn is_last(&self, slot: usize) -> bool {
        self.last <= slot
    }

    /// It is known: the answer, or that there is none.
    fn done(&mut self, cache: &Cache, reply: Option<Reply>) {
        self.reply = reply;
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
