//! Flights: one computation a key in this process.
//!
//! Whoever asks for a key either leads its flight or follows the one that runs. The table's lock orders three
//! things for each key: joining, landing (with the store into the local tier) and detaching (with the removal
//! from it). From that order follow the promises:
//!
//! - who joins finds either the flight, or what it stored: nobody computes again in between;
//! - a flight that was detached, or that bears outdated epochs, is not joined and does not store;
//! - a flight that was overtaken by a newer value elsewhere does not store;
//! - what turns out late to bear an outdated epoch is handed to nobody but its leader: who joined may have begun after
//!   that invalidation, and starts over;
//! - a leader that goes away without landing, by cancellation or panic, wakes all its followers, and they
//!   start over; the next one leads.
//!
//! This file takes its primitives from `crate::sync`, so that the model checker can put its own there.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::hashed::{Hashed, TakenHash};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock};

/// What a flight bears of the epochs before its computation.
pub(crate) trait Bearing {
    /// Whether nothing it bears was invalidated since.
    fn is_current(&self) -> bool;

    /// Whether it bears more than it did while others joined: they may have begun after an invalidation of that.
    fn is_late(&self) -> bool {
        false
    }
}

/// Room for so many flights in a part of the table stays.
const FEW: usize = 16;

/// The flights of one cache, by key.
pub(crate) struct Flights<K, B, L> {
    shards: Box<[Shard<K, B, L>]>,
    hash: foldhash::fast::RandomState,
}

type Shard<K, B, L> = Mutex<Table<K, B, L>>;

/// By a fast hash with a seed of its own: keys are chosen by others, and compared whole.
type Table<K, B, L> = HashMap<Hashed<K>, Arc<Flight<B, L>>, TakenHash>;

struct Flight<B, L> {
    state: Mutex<State<B, L>>,
    /// Moves while the leader is polled.
    beats: AtomicU64,
}

struct State<B, L> {
    phase: Phase<L>,
    /// Set before the computation begins. A caller that finds it unset began before the computation.
    bearing: Option<B>,
    /// Whether a newer value was stored elsewhere since the flight began, or began anew.
    is_overtaken: bool,
    waiters: BTreeMap<u64, Waker>,
    next_waiter: u64,
}

enum Phase<L> {
    Running,
    Landed(L),
    Abandoned,
}

/// What a caller is to a key.
pub(crate) enum Joined<'f, K: Hash + Eq + Clone, B, L, T> {
    /// It was stored meanwhile.
    Found(T),
    /// It is up to this caller to compute.
    Lead(Lead<'f, K, B, L>),
    /// Another caller computes.
    Follow(Follow<B, L>),
}

impl<K: Hash + Eq + Clone, B: Bearing, L: Clone> Flights<K, B, L> {
    /// Makes an empty table in `shards` parts.
    pub(crate) fn new(shards: usize) -> Self {
        let shards = (0..shards.max(1)).map(|_| Mutex::new(HashMap::default())).collect();
        Self { shards, hash: Default::default() }
    }

    fn hashed(&self, key: &K) -> Hashed<K> {
        Hashed::new(key.clone(), &self.hash)
    }

    /// Joins the flight of `key`, or leads a new one. `is_joinable` decides on what a flight bears, and is asked before that is
    /// asked whether it is current as far as it knows itself. `find` looks once more whether a flight that has just landed stored something: between
    /// the caller's own look and this one it may have.
    pub(crate) fn join<T>(
        &self,
        key: &K,
        is_joinable: impl FnOnce(&B) -> bool,
        find: impl FnOnce() -> Option<T>,
    ) -> Joined<'_, K, B, L, T> {
        let key = self.hashed(key);
        let mut table = lock(self.shard(&key));
        if let Some(flight) = table.get(&key)
            && let Some(follow) = flight.enrol(is_joinable)
        {
            return Joined::Follow(follow);
        }
        if let Some(found) = find() {
            return Joined::Found(found);
        }
        Joined::Lead(self.lead_in(&mut table, key))
    }

    /// Follows the flight of `key`, if one runs that may be joined.
    pub(crate) fn follow(&self, key: &K, is_joinable: impl FnOnce(&B) -> bool) -> Option<Follow<B, L>> {
        let key = self.hashed(key);
        lock(self.shard(&key)).get(&key)?.enrol(is_joinable)
    }

    /// Leads a new flight of `key`, whatever runs or is stored: later callers join this one.
    pub(crate) fn lead(&self, key: &K) -> Lead<'_, K, B, L> {
        let key = self.hashed(key);
        self.lead_in(&mut lock(self.shard(&key)), key)
    }

    fn lead_in(&self, table: &mut Table<K, B, L>, key: Hashed<K>) -> Lead<'_, K, B, L> {
        let flight = Arc::new(Flight {
            state: Mutex::new(State {
                phase: Phase::Running,
                bearing: None,
                is_overtaken: false,
                waiters: BTreeMap::new(),
                next_waiter: 0,
            }),
            beats: AtomicU64::new(0),
        });
        // A flight that was there is detached by this: its followers still get its landing.
        table.insert(key.clone(), flight.clone());
        Lead { flights: self, key, flight }
    }

    /// Takes the flight of `key` out of the table, if there is one, and runs `change` before anybody can join
    /// or land: no later caller joins it, and it will not store.
    pub(crate) fn detach<T>(&self, key: &K, change: impl FnOnce() -> T) -> T {
        let key = self.hashed(key);
        let mut table = lock(self.shard(&key));
        let detached = table.remove(&key);
        let changed = change();
        drop(table);
        drop(detached);
        changed
    }

    /// Tells the flight of `key`, if there is one, that a newer value was stored elsewhere, and runs `change` before it
    /// can land. It goes on and is joined: it may be about to find just that value.
    pub(crate) fn overtake<T>(&self, key: &K, change: impl FnOnce() -> T) -> T {
        let key = self.hashed(key);
        let table = lock(self.shard(&key));
        if let Some(flight) = table.get(&key) {
            lock(&flight.state).is_overtaken = true;
        }
        change()
    }

    /// Takes `follow`'s flight out of the table: its leader has not been polled for too long.
    pub(crate) fn give_up(&self, key: &K, follow: &Follow<B, L>) {
        let key = self.hashed(key);
        let mut table = lock(self.shard(&key));
        if table.get(&key).is_some_and(|found| Arc::ptr_eq(found, &follow.flight)) {
            table.remove(&key);
        }
    }

    /// Gives back the memory of flights that have ended: there may have been very many at once.
    pub(crate) fn shrink(&self) {
        for shard in &self.shards {
            let mut table = lock(shard);
            let in_use = table.len();
            table.shrink_to(2 * in_use.max(FEW));
        }
    }

    /// Flights in the table.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

impl<K: Hash + Eq + Clone, B, L> Flights<K, B, L> {
    fn shard(&self, key: &Hashed<K>) -> &Shard<K, B, L> {
        &self.shards[key.part(self.shards.len())]
    }
}

impl<B: Bearing, L> Flight<B, L> {
    /// Enrols a follower, unless what it would get began before an invalidation that this caller began after.
    fn enrol(self: &Arc<Self>, is_joinable: impl FnOnce(&B) -> bool) -> Option<Follow<B, L>> {
        let mut state = lock(&self.state);
        let is_running = matches!(state.phase, Phase::Running);
        if !is_running
            || !state.bearing.as_ref().is_none_or(|bearing| is_joinable(bearing) && bearing.is_current())
        {
            return None;
        }
        state.next_waiter += 1;
        Some(Follow { flight: self.clone(), waiter: state.next_waiter })
    }

    /// Whether nothing newer is known than what it brings.
    fn is_latest(&self) -> bool {
        let state = lock(&self.state);
        !state.is_overtaken && state.bearing.as_ref().is_some_and(Bearing::is_current)
    }

    /// Whether it came to bear what is outdated after others had joined.
    fn is_too_late(&self) -> bool {
        let state = lock(&self.state);
        state.bearing.as_ref().is_some_and(|bearing| bearing.is_late() && !bearing.is_current())
    }
}

impl<B, L> Flight<B, L> {
    fn end(&self, phase: Phase<L>) {
        let waiters = {
            let mut state = lock(&self.state);
            state.phase = phase;
            std::mem::take(&mut state.waiters)
        };
        waiters.into_values().for_each(Waker::wake);
    }
}

/// The leader's hold on its flight. Dropped without landing, it abandons the flight.
pub(crate) struct Lead<'f, K: Hash + Eq + Clone, B, L> {
    flights: &'f Flights<K, B, L>,
    key: Hashed<K>,
    flight: Arc<Flight<B, L>>,
}

impl<K: Hash + Eq + Clone, B, L> Lead<'_, K, B, L> {
    /// Whose flight it is.
    pub(crate) fn key(&self) -> &K {
        &self.key.key
    }

    /// Says what the computation bears; to be called before it begins, and again when it begins anew.
    pub(crate) fn bear(&self, bearing: B) {
        let mut state = lock(&self.flight.state);
        state.bearing = Some(bearing);
        state.is_overtaken = false;
    }

    /// Says what more is known of what it bears, without beginning anew.
    pub(crate) fn learn(&self, bearing: B) {
        lock(&self.flight.state).bearing = Some(bearing);
    }

    /// Shows that the leader is alive.
    pub(crate) fn beat(&self) {
        self.flight.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether later callers may join this flight: nobody has invalidated its key.
    pub(crate) fn is_attached(&self) -> bool
    where
        B: Bearing,
        L: Clone,
    {
        self.is_in(&lock(self.flights.shard(&self.key)))
    }

    /// Stores something on the way, before anybody can join or detach: if nothing newer is known.
    pub(crate) fn store_early<T>(&self, store: impl FnOnce() -> T) -> Option<T>
    where
        B: Bearing,
        L: Clone,
    {
        let table = lock(self.flights.shard(&self.key));
        (self.is_in(&table) && self.flight.is_latest()).then(store)
    }

    /// Ends the flight. `store` is told whether it may store, and does so before anybody can join or detach;
    /// then the followers get `landing`, if all of them began early enough for it.
    pub(crate) fn land<T>(self, landing: L, store: impl FnOnce(bool) -> T) -> T
    where
        B: Bearing,
        L: Clone,
    {
        let (stored, is_too_late) = {
            let mut table = lock(self.flights.shard(&self.key));
            let is_attached = self.is_in(&table);
            let stored = store(is_attached && self.flight.is_latest());
            if is_attached {
                table.remove(&self.key);
            }
            // Nobody joins from here on.
            (stored, self.flight.is_too_late())
        };
        self.flight.end(if is_too_late { Phase::Abandoned } else { Phase::Landed(landing) });
        stored
    }

    /// Ends a flight that nobody follows, without a landing; gives it back if somebody does.
    pub(crate) fn leave(self) -> Option<Self>
    where
        B: Bearing,
        L: Clone,
    {
        let mut table = lock(self.flights.shard(&self.key));
        // Under the lock nobody can join: one reference is the table's, one is this.
        if !self.is_in(&table) || Arc::strong_count(&self.flight) > 2 {
            drop(table);
            return Some(self);
        }
        table.remove(&self.key);
        drop(table);
        lock(&self.flight.state).phase = Phase::Abandoned;
        None
    }

    fn is_in(&self, table: &Table<K, B, L>) -> bool {
        table.get(&self.key).is_some_and(|found| Arc::ptr_eq(found, &self.flight))
    }
}

impl<K: Hash + Eq + Clone, B, L> Drop for Lead<'_, K, B, L> {
    fn drop(&mut self) {
        if !matches!(lock(&self.flight.state).phase, Phase::Running) {
            return;
        }
        let mut table = lock(self.flights.shard(&self.key));
        if self.is_in(&table) {
            table.remove(&self.key);
        }
        drop(table);
        self.flight.end(Phase::Abandoned);
    }
}

/// A follower's wait for the landing: `None` when the leader went away without one.
///
/// Dropping it takes the follower off the flight.
pub(crate) struct Follow<B, L> {
    flight: Arc<Flight<B, L>>,
    waiter: u64,
}

impl<B, L> Follow<B, L> {
    /// A number that moves while the leader is alive.
    pub(crate) fn beats(&self) -> u64 {
        self.flight.beats.load(Ordering::Relaxed)
    }
}

impl<B, L: Clone> Future for Follow<B, L> {
    type Output = Option<L>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<L>> {
        let mut state = lock(&self.flight.state);
        match &state.phase {
            Phase::Landed(landing) => Poll::Ready(Some(landing.clone())),
            Phase::Abandoned => Poll::Ready(None),
            Phase::Running => {
                let replaced = state.waiters.insert(self.waiter, context.waker().clone());
                drop(state);
                // Outside the lock: dropping a waker may drop a task.
                drop(replaced);
                Poll::Pending
            }
        }
    }
}

impl<B, L> Drop for Follow<B, L> {
    fn drop(&mut self) {
        let waker = lock(&self.flight.state).waiters.remove(&self.waiter);
        drop(waker);
    }
}
