//! What is kept warm without being asked for: one ordered map, one task.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::background::Refresher;
use super::limit::within;
use super::liveness::STANDSTILL;
use super::queue::Rank;
use super::{Cache, Inner};
use crate::clock::Tick;
use crate::entry::Freshness;
use crate::local::StoredEntry;

/// So many lines are looked through for those of entries that are gone; and then again when there are twice as many as were left.
const MANY: usize = 10_000;
/// Entries of the schedule that are seen to before others have their turn on the thread.
const AT_A_TIME: usize = 256;

/// An entry that is kept warm.
#[derive(Debug)]
pub(super) struct Warm {
    /// The entry that this was put on the schedule for.
    entry: Weak<StoredEntry>,
    refresher: Refresher,
}

/// The task that keeps the schedule.
#[derive(Debug)]
pub(super) struct Keeper {
    task: AbortHandle,
    runtime: Id,
    looks: Arc<Looks>,
}

/// When the task looks at the schedule.
#[derive(Debug)]
struct Looks {
    /// Rings for the task. Each has its own: one that stands still would take what is meant for the next.
    bell: Notify,
    /// When it looks again at the latest, in raw ticks.
    due: AtomicU64,
}

impl Keeper {
    pub(super) fn end(&self) {
        self.task.abort();
    }

    fn goes_on(&self, now: Tick) -> bool {
        !self.task.is_finished() && now.raw() <= self.looks.due.load(Ordering::Relaxed)
    }

    /// Lets it look at once.
    fn ring(&self, now: Tick) {
        self.looks.due.fetch_min(now.later(STANDSTILL).raw(), Ordering::Relaxed);
        self.looks.bell.notify_one();
    }
}

impl Looks {
    fn new(now: Tick) -> Self {
        Self { bell: Notify::new(), due: AtomicU64::new(now.later(STANDSTILL).raw()) }
    }

    /// It will look again after `pause`; without one when it is rung for.
    fn again(&self, now: Tick, pause: Option<Duration>) {
        let due = pause.map_or(u64::MAX, |pause| now.later(pause.saturating_add(STANDSTILL)).raw());
        self.due.store(due, Ordering::Relaxed);
    }
}

impl Cache {
    /// Keeps the entry that is stored under the refresher's key warm, as long as it is used.
    pub(super) fn keep_warm(&self, refresher: Refresher) {
        let Some(entry) = self.0.tier.find(&refresher.key.view(), Arc::clone) else { return };
        if entry.upkeep().is_some_and(|upkeep| upkeep.begins_schedule()) {
            self.schedule(&entry, refresher);
        }
    }

    /// Puts an entry on the schedule.
    pub(super) fn schedule(&self, entry: &Arc<StoredEntry>, refresher: Refresher) {
        let Some(upkeep) = entry.upkeep() else { return };
        let due = upkeep.due();
        let refreshing = &self.0.refreshing;
        let mut state = refreshing.state();
        if state.is_closed {
            return;
        }
        state.lines += 1;
        let place = (due, state.lines);
        state.schedule.insert(place, Warm { entry: Arc::downgrade(entry), refresher });
        let is_first = state.schedule.first_key_value().is_some_and(|(first, _)| *first == place);
        let is_long = state.schedule.len() >= MANY.max(2 * state.left);
        drop(state);
        if is_long {
            self.0.sweep_schedule();
        }
        self.see_to_keeper();
        if is_first && let Some(keeper) = &refreshing.state().keeper {
            keeper.ring(self.0.clock.now());
        }
    }

    /// Sees to it that somebody keeps the schedule: on the runtime of the first call, and when that has ended or stands still, on
    /// that of the next.
    pub(super) fn see_to_keeper(&self) {
        let now = self.0.clock.now();
        let mut state = self.0.refreshing.state();
        let is_kept = state.keeper.as_ref().is_some_and(|keeper| keeper.goes_on(now));
        if is_kept || state.is_closed || state.schedule.is_empty() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if let Some(before) = &state.keeper {
            // On this runtime it has its turn soon, if time has not been moved by hand.
            if before.runtime == runtime.id() && !before.task.is_finished() {
                return;
            }
            before.end();
        }
        let looks = Arc::new(Looks::new(now));
        let task = runtime.spawn(keep_schedule(Arc::downgrade(&self.0), looks.clone())).abort_handle();
        state.keeper = Some(Keeper { task, runtime: runtime.id(), looks });
    }

    /// Does what the schedule says for now, some of it at a time; tells when the next is due.
    fn keep_to_schedule(&self) -> Option<Duration> {
        let refreshing = &self.0.refreshing;
        for _ in 0..AT_A_TIME {
            let now = self.0.clock.now();
            let warm = {
                let mut state = refreshing.state();
                let (&(due, _), _) = state.schedule.first_key_value()?;
                if due > now {
                    return Some(due.since(now));
                }
                state.schedule.pop_first()
            };
            if let Some((_, warm)) = warm {
                self.attend(warm, now);
            }
        }
        Some(Duration::ZERO)
    }

    /// Refreshes what is due and used, puts back what is not due yet, and lets go of the rest.
    fn attend(&self, warm: Warm, now: Tick) {
        let Some(entry) = self.0.tier.find(&warm.refresher.key.view(), Arc::clone) else { return };
        let Some(upkeep) = entry.upkeep() else { return };
        let is_its_own = std::ptr::addr_eq(Arc::as_ptr(&entry), warm.entry.as_ptr());
        let is_awaited = entry.is_awaited(now);
        if is_its_own {
            upkeep.leaves_schedule();
        }
        if !(is_awaited || self.0.may_stand_in(&entry)) || !upkeep.is_in_use(now) {
            return;
        }
        if (is_awaited || entry.freshness(now) == Freshness::Fresh) && now < upkeep.due() {
            return self.keep_warm(warm.refresher);
        }
        // A read may have asked for it; then that goes on with the schedule.
        if upkeep.begins_refresh() {
            let rank = Rank { priority: upkeep.refresh().priority, gain: upkeep.gain() };
            self.refresh_soon(rank, upkeep.version(), warm.refresher);
        }
    }
}

impl Inner {
    /// Drops what the schedule keeps for entries that are gone. Where another one took the place of its entry, a line goes on with
    /// that when it is due.
    pub(super) fn sweep_schedule(&self) {
        let gone: Vec<Warm> = {
            let state = &mut *self.refreshing.state();
            let schedule = &mut state.schedule;
            let is_replaced = |warm: &Warm| self.tier.find(&warm.refresher.key.view(), |_| ()).is_some();
            let is_gone = |(place, warm): (&(Tick, u64), &Warm)| {
                (warm.entry.strong_count() == 0 && !is_replaced(warm)).then_some(*place)
            };
            let places: Vec<_> = schedule.iter().filter_map(is_gone).collect();
            let gone = places.iter().filter_map(|place| schedule.remove(place)).collect();
            state.left = schedule.len();
            gone
        };
        // Outside the lock: they hold arguments of the user's.
        drop(gone);
    }
}

/// Sees to it that entries are refreshed on schedule, as long as the cache lives.
async fn keep_schedule(cache: Weak<Inner>, looks: Arc<Looks>) {
    loop {
        let Some(cache) = cache.upgrade().map(Cache) else { return };
        let next = cache.keep_to_schedule();
        let clock = cache.0.clock.clone();
        drop(cache);
        looks.again(clock.now(), next);
        match next {
            // Others have their turn on this thread, too.
            Some(Duration::ZERO) => tokio::task::yield_now().await,
            Some(pause) => {
                within(&clock, pause, looks.bell.notified()).await;
            }
            None => looks.bell.notified().await,
        }
    }
}
