//! What runs in the background now. A refresh holds one of the places until it ends, or its runtime stands still.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Id;
use tokio::task::AbortHandle;

use super::liveness::{self, STANDSTILL};
use crate::clock::{Clock, Tick};
use crate::key::Key;

/// The tasks of one cache, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Turns {
    running: HashMap<u64, Running>,
    /// Those that hold a place: few, where thousands may run beside the queue.
    holders: HashSet<u64>,
    /// The number of the last.
    last: u64,
}

#[derive(Debug)]
struct Running {
    /// What cancels it; nothing yet for one that just begins.
    task: Option<AbortHandle>,
    pulse: Arc<Pulse>,
    /// Nothing for what runs beside the queue.
    place: Option<Place>,
}

/// One of the places, and what it is held for.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: Key,
    /// The value that is to be replaced.
    pub(super) version: Option<u64>,
    pub(super) runtime: Id,
}

impl Turns {
    /// A task is about to begin: its number, and what shows that it goes on.
    pub(super) fn begin(&mut self, clock: &Clock, place: Option<Place>) -> (u64, Arc<Pulse>) {
        self.last += 1;
        let pulse = Arc::new(Pulse::new(clock.clone()));
        self.holders.extend(place.is_some().then_some(self.last));
        self.running.insert(self.last, Running { task: None, pulse: pulse.clone(), place });
        (self.last, pulse)
    }

    /// It has begun, and may have ended.
    pub(super) fn has_begun(&mut self, number: u64, task: AbortHandle) {
        if let Some(running) = self.running.get_mut(&number) {
            running.task = Some(task);
        }
    }

    /// Gives its place back, if it holds one.
    pub(super) fn leave(&mut self, number: u64) -> Option<Place> {
        self.holders.remove(&number);
        self.running.get_mut(&number)?.place.take()
    }

    /// It has ended.
    pub(super) fn end(&mut self, number: u64) {
        self.holders.remove(&number);
        self.running.remove(&number);
    }

    /// How many places are held.
    pub(super) fn held(&self) -> usize {
        self.holders.len()
    }

    /// Takes the places of those that stand still; tells which of them have not even begun, so that it is their runtimes that do. If
    /// they go on, they go on without.
    pub(super) fn take_still(&mut self) -> Vec<(Place, bool)> {
        let is_still = |number: &u64| {
            self.running.get(number).is_none_or(|running| running.pulse.silence() > STANDSTILL)
        };
        let still: Vec<u64> = self.holders.iter().copied().filter(is_still).collect();
        let taken = still.into_iter().filter_map(|number| {
            let place = self.leave(number)?;
            Some((place, !self.running.get(&number)?.pulse.has_begun()))
        });
        taken.collect()
    }

    pub(super) fn cancel_all(&self) {
        self.running.values().filter_map(|running| running.task.as_ref()).for_each(AbortHandle::abort);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether none that is left was seen to go on lately.
    pub(super) fn are_still(&self) -> bool {
        self.running.values().all(|running| running.pulse.silence_by_the_system() > STANDSTILL)
    }
}

/// When a task was last seen to go on: by the cache's clock, which may be moved by hand, and by the system's.
#[derive(Debug)]
pub(super) struct Pulse {
    clock: Clock,
    seen: AtomicU64,
    seen_by_the_system: AtomicU64,
    has_begun: AtomicBool,
}

impl Pulse {
    fn new(clock: Clock) -> Self {
        let (seen, seen_by_the_system) = (AtomicU64::new(0), AtomicU64::new(0));
        let pulse = Self { clock, seen, seen_by_the_system, has_begun: AtomicBool::new(false) };
        pulse.beat();
        pulse
    }

    /// Runs a task, which shows about once a second that it goes on.
    pub(super) async fn keep<F: Future>(self: Arc<Self>, task: F) -> F::Output {
        self.has_begun.store(true, Ordering::Relaxed);
        liveness::keep_all(&self.clock, || self.beat(), task).await
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    fn beat(&self) {
        self.seen.store(self.clock.now().raw(), Ordering::Relaxed);
        self.seen_by_the_system.store(Clock::system().now().raw(), Ordering::Relaxed);
    }

    /// For how long it was not seen, by both: a clock that is moved by hand jumps, and time that stands still wakes nobody.
    fn silence(&self) -> Duration {
        let seen = Tick::from_raw(self.seen.load(Ordering::Relaxed));
        self.clock.now().since(seen).min(self.silence_by_the_system())
    }

    fn silence_by_the_system(&self) -> Duration {
        let seen = Tick::from_raw(self.seen_by_the_system.load(Ordering::Relaxed));
        Clock::system().now().since(seen)
    }
}
