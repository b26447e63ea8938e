//! Who refreshes what: the queue of what is due, and the tasks that do it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::background::Refresher;
use super::limit::within;
use super::liveness::STANDSTILL;
use super::queue::{Due, Queue, Rank};
use super::schedule::{Keeper, Warm};
use super::turns::{Place, Turns};
use super::{Cache, Inner};
use crate::clock::{Clock, Tick};
use crate::entry::Freshness;
use crate::event::RefreshStats;
use crate::key::Key;
use crate::local::StoredEntry;

/// The refreshes of one cache.
#[derive(Debug)]
pub(super) struct Refreshing {
    state: Mutex<State>,
    /// Refreshes at once.
    limit: usize,
    /// Told when a refresh has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    queue: Queue,
    /// What runs: refreshes, and computations that a caller waits for, beside the queue.
    turns: Turns,
    is_handing_out: bool,
    pub(super) is_closed: bool,
    pub(super) schedule: BTreeMap<(Tick, u64), Warm>,
    /// The number of the last line of the schedule.
    pub(super) lines: u64,
    /// How many were left when it was looked through last.
    pub(super) left: usize,
    pub(super) keeper: Option<Keeper>,
}

impl Refreshing {
    /// `limit` refreshes at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit: limit.max(1), ended: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, now: Tick) -> RefreshStats {
        let state = self.state();
        RefreshStats {
            queued: state.queue.len() as u64,
            oldest: state.queue.oldest().map_or(Duration::ZERO, |since| now.since(since)),
            running: state.turns.held() as u64,
            dropped: state.queue.dropped(),
            scheduled: state.schedule.len() as u64,
        }
    }

    /// Ends all of it: what waits is dropped, what runs is cancelled.
    pub(super) fn close(&self) {
        let (waiting, schedule, keeper) = {
            let mut state = self.state();
            state.is_closed = true;
            state.turns.cancel_all();
            (state.queue.clear(), std::mem::take(&mut state.schedule), state.keeper.take())
        };
        keeper.iter().for_each(Keeper::end);
        // Outside the lock: they hold arguments of the user's.
        drop((waiting, schedule));
    }

    /// Waits until none of it runs; for what is on a runtime that stands still, no longer than that takes to be seen.
    async fn idle(&self) {
        let (clock, mut is_patient) = (Clock::system(), true);
        loop {
            let ended = self.ended.notified();
            {
                let state = self.state();
                if state.turns.is_empty() || !is_patient && state.turns.are_still() {
                    return;
                }
            }
            is_patient &= within(&clock, STANDSTILL, ended).await.is_some();
        }
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.close();
    }
}

impl Cache {
    /// Refreshes an entry in the background when its turn has come.
    pub(super) fn refresh_soon(&self, rank: Rank, version: Option<u64>, refresher: Refresher) {
        let now = self.0.clock.now();
        let Ok(runtime) = Handle::try_current() else { return self.put_off(refresher) };
        let due = Due { rank, version, refresher, runtime };
        let left = {
            let mut state = self.0.refreshing.state();
            if state.is_closed { Some(due) } else { state.queue.push(due, now) }
        };
        if let Some(left) = left {
            self.put_off(left.refresher);
        }
        self.hand_out();
    }

    /// Somebody else refreshes it, or nobody does for now: reads, or the schedule, ask again after a rest.
    fn put_off(&self, refresher: Refresher) {
        self.0.rest_for_a_while(&refresher.key);
        self.keep_warm(refresher);
    }

    /// Begins refreshes as long as there is room for more at once.
    pub(super) fn hand_out(&self) {
        let refreshing = &self.0.refreshing;
        // One at a time: where the runtime is gone, each ends while it begins, and would begin the next.
        if std::mem::replace(&mut refreshing.state().is_handing_out, true) {
            return;
        }
        let mut given_up = Vec::new();
        loop {
            let (next, still) = refreshing.state().next(refreshing.limit);
            for place in still.places {
                self.0.rest_for_a_while(&place.key);
            }
            given_up.extend(still.waiting);
            let Some((since, due)) = next else { break };
            let (key, version, runtime) = (due.refresher.key.clone(), due.version, due.runtime.clone());
            let place = Place { key, version, runtime: runtime.id() };
            self.run(&runtime, Some(place), |turn| take_turn(turn, since, due));
        }
        // At the end: arguments of the user's may be dropped here, and panic.
        given_up.into_iter().for_each(|due| self.put_off(due.refresher));
    }

    /// Runs a computation that a caller waits for: beside the queue, and ended with all others. `None` without a runtime, and
    /// after a shutdown.
    pub(super) fn run_apart<F>(&self, task: impl FnOnce(Cache) -> F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let runtime = Handle::try_current().ok()?;
        if self.0.refreshing.state().is_closed {
            return None;
        }
        let run = |turn: Turn| {
            let task = task(self.clone());
            async move {
                let output = task.await;
                drop(turn);
                output
            }
        };
        Some(self.run(&runtime, None, run))
    }

    /// Runs a task that ends with the cache.
    fn run<F>(
        &self,
        runtime: &Handle,
        place: Option<Place>,
        task: impl FnOnce(Turn) -> F,
    ) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let refreshing = &self.0.refreshing;
        let (number, pulse) = refreshing.state().turns.begin(&self.0.clock, place);
        let task = task(Turn { cache: Arc::downgrade(&self.0), number });
        // Outside the lock: where the runtime is about to end, the task is dropped at once, and its turn ends.
        let task = runtime.spawn(pulse.keep(task));
        let mut state = refreshing.state();
        if state.is_closed {
            task.abort();
        }
        state.turns.has_begun(number, task.abort_handle());
        drop(state);
        task
    }

    /// Ends what this cache does in the background: refreshes that wait are dropped, those that run are cancelled, and entries are kept
    /// warm no longer. Waits until nothing of it runs; not for what is on a runtime that has stood still for five seconds. What listens to a
    /// shared tier goes on: the cache can be used on.
    ///
    /// Nothing is refreshed then. Dropping the last handle to a cache does the same, within
    /// about a second.
    ///
    /// # Cancel safety
    ///
    /// All of it is told to end when the future is first polled; what is dropped is the waiting.
    pub async fn shutdown(&self) {
        self.0.refreshing.close();
        self.0.refreshing.idle().await;
    }
}

/// What is given up on runtimes that stand still.
#[derive(Default)]
struct Still {
    places: Vec<Place>,
    /// What was to run there next.
    waiting: Vec<Due>,
}

impl State {
    /// The next refresh, if there is room for it, and since when it has waited. Nobody hands out any more if there is none.
    fn next(&mut self, limit: usize) -> (Option<(Tick, Due)>, Still) {
        let is_wanted = !self.is_closed && !self.queue.is_empty();
        let still =
            if is_wanted && self.turns.held() >= limit { self.take_still() } else { Still::default() };
        let has_room = is_wanted && self.turns.held() < limit;
        let next = if has_room { self.queue.pop() } else { None };
        self.is_handing_out = next.is_some();
        (next, still)
    }

    fn take_still(&mut self) -> Still {
        let still = self.turns.take_still();
        still.iter().for_each(|(place, _)| self.queue.ended(&place.key, place.version));
        // A body may block a thread of a runtime that goes on.
        let unbegun = still.iter().filter(|(_, is_unbegun)| *is_unbegun);
        let runtimes: Vec<_> = unbegun.map(|(place, _)| place.runtime).collect();
        let waiting = if runtimes.is_empty() { Vec::new() } else { self.queue.take_of(&runtimes) };
        Still { waiting, places: still.into_iter().map(|(place, _)| place).collect() }
    }
}

impl Inner {
    /// The computation of `key` has failed: the next waits, for all callers.
    pub(super) fn set_back(&self, key: &Key) {
        let now = self.clock.now();
        let entry = self.tier.find(&key.view(), Arc::clone);
        let until = self.setbacks.failed(key, now, entry.as_deref(), self.chance.unit());
        if let Some(entry) = entry {
            entry.rest(until);
        }
    }

    /// Whether the value of `key` is fresh and was computed after `since`.
    fn is_new(&self, key: &Key, since: Tick) -> bool {
        let entry = self.tier.find(&key.view(), Arc::clone);
        let is_fresh = |entry: &Arc<StoredEntry>| entry.freshness(self.clock.now()) == Freshness::Fresh;
        entry.filter(is_fresh).is_some_and(|entry| entry.created() > since)
    }

    /// Nothing has failed, but nobody refreshes `key` either.
    fn rest_for_a_while(&self, key: &Key) {
        let now = self.clock.now();
        if let Some(entry) = self.tier.find(&key.view(), Arc::clone) {
            let rest = crate::entry::refresh::rest(1, entry.fresh_for(now), self.chance.unit());
            entry.rest(now.later(rest));
        }
    }
}

/// The right to run in the background; ends with the task, however that ends.
struct Turn {
    cache: Weak<Inner>,
    number: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade().map(Cache) else { return };
        let refreshing = &cache.0.refreshing;
        let place = refreshing.state().turns.leave(self.number);
        // The value that was to be refreshed is still the one that is there: somebody else was at it in vain, or this turn
        // was dropped before it began.
        let is_there = |place: &Place| {
            let entry = cache.0.tier.find(&place.key.view(), Arc::clone);
            entry.is_some_and(|entry| entry.upkeep().is_some_and(|upkeep| upkeep.is_asked()))
        };
        if let Some(place) = place.as_ref().filter(|place| is_there(place)) {
            cache.0.rest_for_a_while(&place.key);
        }
        {
            let mut state = refreshing.state();
            state.turns.end(self.number);
            if let Some(place) = &place {
                state.queue.ended(&place.key, place.version);
            }
        }
        refreshing.ended.notify_waiters();
        cache.hand_out();
    }
}

/// Runs one refresh, and keeps the entry warm if it is one of those. The attempt alone holds the cache.
async fn take_turn(turn: Turn, since: Tick, due: Due) {
    let Some(cache) = turn.cache.upgrade().map(Cache) else { return };
    let Due { version, refresher, .. } = due;
    let mut taken = Taken { turn: Some(turn), refresher: Some(refresher) };
    let Some(refresher) = &mut taken.refresher else { return };
    if !cache.0.is_new(&refresher.key, since) {
        refresher.begin(cache, version).await;
    }
}

/// A turn that was taken. When it ends, also by a panic, its entry is kept warm on.
struct Taken {
    turn: Option<Turn>,
    refresher: Option<Refresher>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (turn, refresher) = (self.turn.take(), self.refresher.take());
        let cache = turn.as_ref().and_then(|turn| turn.cache.upgrade()).map(Cache);
        // First: it is what says that this attempt is over.
        drop(turn);
        if let (Some(cache), Some(refresher)) = (cache, refresher) {
            cache.keep_warm(refresher);
        }
    }
}
