//! Who refreshes what: the queue of what is due, and the tasks that do it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

use super::background::Refresher;
use super::queue::{Due, Queue, Rank};
use super::schedule::Warm;
use super::{Cache, Inner};
use crate::clock::Tick;
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
    /// Wakes the task that keeps the schedule.
    pub(super) bell: Arc<Notify>,
    /// Told when a refresh has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    queue: Queue,
    /// What cancels those that run; nothing yet for one that just begins.
    running: HashMap<u64, Option<AbortHandle>>,
    /// What cancels computations that a caller waits for, beside the queue.
    apart: HashMap<u64, Option<AbortHandle>>,
    /// Turns given out; the number of the last.
    turns: u64,
    is_handing_out: bool,
    pub(super) is_closed: bool,
    pub(super) schedule: BTreeMap<(Tick, u64), Warm>,
    /// The number of the last line of the schedule.
    pub(super) lines: u64,
    /// The task that keeps the schedule.
    pub(super) keeper: Option<AbortHandle>,
}

impl Refreshing {
    /// `limit` refreshes at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit: limit.max(1), bell: Arc::default(), ended: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, now: Tick) -> RefreshStats {
        let state = self.state();
        RefreshStats {
            queued: state.queue.len() as u64,
            oldest: state.queue.oldest().map_or(Duration::ZERO, |since| now.since(since)),
            running: state.running.len() as u64,
            dropped: state.queue.dropped(),
            scheduled: state.schedule.len() as u64,
        }
    }

    /// Ends all of it: what waits is dropped, what runs is cancelled.
    pub(super) fn close(&self) {
        let (waiting, schedule, keeper) = {
            let mut state = self.state();
            state.is_closed = true;
            state.running.values().chain(state.apart.values()).flatten().for_each(AbortHandle::abort);
            (state.queue.clear(), std::mem::take(&mut state.schedule), state.keeper.take())
        };
        keeper.iter().for_each(AbortHandle::abort);
        // Outside the lock: they hold arguments of the user's.
        drop((waiting, schedule));
    }

    /// Waits until no refresh runs.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            let is_idle = {
                let state = self.state();
                state.running.is_empty() && state.apart.is_empty()
            };
            if is_idle {
                return;
            }
            ended.await;
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
        let due = Due { rank, version, refresher };
        let left = {
            let mut state = self.0.refreshing.state();
            if state.is_closed { Some(due) } else { state.queue.push(due, now) }
        };
        // Somebody else refreshes it, or nobody does for now: reads, or the schedule, ask again after a rest.
        if let Some(left) = left {
            self.0.rest_for_a_while(&left.refresher.key);
            self.keep_warm(left.refresher);
        }
        self.hand_out();
    }

    /// Begins refreshes as long as there is room for more at once.
    fn hand_out(&self) {
        let refreshing = &self.0.refreshing;
        {
            let mut state = refreshing.state();
            // One at a time: where the runtime is gone, each ends while it begins, and would begin the next.
            if std::mem::replace(&mut state.is_handing_out, true) {
                return;
            }
        }
        loop {
            let Ok(runtime) = Handle::try_current() else {
                refreshing.state().is_handing_out = false;
                return;
            };
            let mut state = refreshing.state();
            let due = match state.running.len() < refreshing.limit && !state.is_closed {
                true => state.queue.pop(),
                false => None,
            };
            let Some((since, due)) = due else {
                state.is_handing_out = false;
                return;
            };
            state.turns += 1;
            let number = state.turns;
            state.running.insert(number, None);
            drop(state);
            let (key, version) = (due.refresher.key.clone(), due.version);
            let turn = Turn { cache: Arc::downgrade(&self.0), number, key, version };
            // Outside the lock: where the runtime is about to end, the task is dropped at once, and its turn ends.
            let task = runtime.spawn(take_turn(turn, self.clone(), since, due)).abort_handle();
            let mut state = refreshing.state();
            let is_closed = state.is_closed;
            match state.running.get_mut(&number) {
                Some(_) if is_closed => task.abort(),
                Some(running) => *running = Some(task),
                None => {}
            }
        }
    }

    /// Runs a computation that a caller waits for: beside the queue, and ended with all others. `None` without a runtime, and
    /// after a shutdown.
    pub(super) fn run_apart<F>(&self, task: impl FnOnce(Cache) -> F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let runtime = Handle::try_current().ok()?;
        let refreshing = &self.0.refreshing;
        let number = {
            let mut state = refreshing.state();
            if state.is_closed {
                return None;
            }
            state.turns += 1;
            let number = state.turns;
            state.apart.insert(number, None);
            number
        };
        let (apart, task) = (Apart { cache: Arc::downgrade(&self.0), number }, task(self.clone()));
        let task = runtime.spawn(async move {
            let output = task.await;
            drop(apart);
            output
        });
        let mut state = refreshing.state();
        let is_closed = state.is_closed;
        match state.apart.get_mut(&number) {
            Some(_) if is_closed => task.abort(),
            Some(running) => *running = Some(task.abort_handle()),
            None => {}
        }
        drop(state);
        Some(task)
    }

    /// Ends what this cache does in the background: refreshes that wait are dropped, those that run are cancelled, and entries are kept
    /// warm no longer. Waits until nothing of it runs.
    ///
    /// The cache can be used on; nothing is refreshed then. Dropping the last handle to a cache does the same, within
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

/// The right to run one refresh; ends with it, however that ends.
struct Turn {
    cache: Weak<Inner>,
    number: u64,
    key: Key,
    version: Option<u64>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade().map(Cache) else { return };
        // The value that was to be refreshed is still the one that is there: somebody else was at it in vain, or this turn
        // was dropped before it began.
        let entry = cache.0.tier.find(&self.key.view(), Arc::clone);
        if entry.is_some_and(|entry| entry.upkeep().is_some_and(|upkeep| upkeep.is_asked())) {
            cache.0.rest_for_a_while(&self.key);
        }
        {
            let mut state = cache.0.refreshing.state();
            state.running.remove(&self.number);
            state.queue.ended(&self.key, self.version);
        }
        cache.0.refreshing.ended.notify_waiters();
        cache.hand_out();
    }
}

/// Takes a computation beside the queue off when it ends, however that is.
struct Apart {
    cache: Weak<Inner>,
    number: u64,
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.refreshing.state().apart.remove(&self.number);
            cache.refreshing.ended.notify_waiters();
        }
    }
}

/// Runs one refresh, and keeps the entry warm if it is one of those.
async fn take_turn(turn: Turn, cache: Cache, since: Tick, due: Due) {
    let Due { version, mut refresher, .. } = due;
    if !cache.0.is_new(&refresher.key, since) {
        // From here on the attempt alone holds the cache.
        refresher.begin(cache, version).await;
    } else {
        drop(cache);
    }
    let Some(cache) = turn.cache.upgrade().map(Cache) else { return };
    drop(turn);
    cache.keep_warm(refresher);
}
