//! The background task of a cache with a shared tier: it listens to the bus and sees to it that it hears, probes a
//! shared tier that is away, and repeats there what could not be done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

use super::Shared;
use super::unreleased::Unneeded;
use crate::clock::Tick;
use crate::engine::limit::within;
use crate::engine::liveness::STANDSTILL;
use crate::engine::{Cache, Inner};

/// How often a shared tier that is away is asked whether it is back.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// The pause before another attempt to listen: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Heartbeats within `max_local_staleness`, so that two may fail to be sent.
const BEATS: u32 = 4;
/// More often than this is no use, however small the staleness.
const SHORTEST_BEAT: Duration = Duration::from_millis(25);
/// Heartbeats between two questions for the server's time.
const BEATS_PER_TIME: u64 = 16;

/// Starts the task, and ends it with the cache.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// The number of the task that runs; 0 for none.
    running: AtomicU64,
    /// When the task looks again at the latest, in raw ticks.
    due: AtomicU64,
    tasks: Mutex<Tasks>,
    beats: Mutex<Beats>,
}

#[derive(Debug, Default)]
struct Tasks {
    /// The runtime that the task runs on, for what has to be done when no other is at hand.
    runtime: Option<Handle>,
    keeping: Option<AbortHandle>,
    /// How many there were.
    number: u64,
    /// What wakes the task. Each has its own: one that stands still would take what is meant for the next.
    bell: Arc<Notify>,
}

/// The heartbeats of this process.
#[derive(Debug, Default)]
struct Beats {
    last: u64,
    /// The last few that were not heard yet.
    sent: Vec<Beat>,
    /// Since when beats are sent and not heard.
    silent_since: Option<Tick>,
}

#[derive(Debug)]
struct Beat {
    nonce: u64,
    sent: Tick,
    /// Whether the shared tier answered that it has sent it on.
    has_left: bool,
}

/// A heartbeat that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BeatHeard {
    pub(super) sent: Tick,
    /// Whether an earlier one did not: what else was on the way with it may be lost, too.
    pub(super) is_one_missing: bool,
}

impl Keeper {
    /// Sees to it that the task runs: on the runtime of the first call, and when that has ended or stands still, on
    /// that of the next.
    #[inline]
    pub(super) fn ensure(&self, cache: &Cache) {
        if !self.is_running() || self.stands_still(cache.0.clock.now()) {
            self.start(cache);
        }
    }

    #[cold]
    fn start(&self, cache: &Cache) {
        let mut tasks = self.tasks();
        let Ok(runtime) = Handle::try_current() else { return };
        let now = cache.0.clock.now();
        if self.is_running() {
            // On this runtime it has its turn soon, if time has not been moved by hand.
            let is_here = tasks.runtime.as_ref().is_some_and(|other| other.id() == runtime.id());
            if is_here || !self.stands_still(now) {
                return;
            }
        }
        if let Some(before) = tasks.keeping.take() {
            before.abort();
        }
        tasks.number += 1;
        tasks.bell = Arc::default();
        self.looks(now, Duration::ZERO);
        // First: where the runtime is about to end, the task is dropped at once, and takes this back.
        self.running.store(tasks.number, Ordering::Release);
        let running = Running { cache: Arc::downgrade(&cache.0), number: tasks.number };
        tasks.keeping = Some(runtime.spawn(keep(running, tasks.bell.clone())).abort_handle());
        tasks.runtime = Some(runtime);
    }

    #[inline]
    fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) != 0
    }

    /// Whether the runtime that the task runs on does not let it go on.
    fn stands_still(&self, now: Tick) -> bool {
        now.raw() > self.due.load(Ordering::Relaxed)
    }

    /// The task goes on, and will look again after `pause`.
    fn looks(&self, now: Tick, pause: Duration) {
        self.due.store(now.later(pause.saturating_add(STANDSTILL)).raw(), Ordering::Relaxed);
    }

    /// The task of this number has ended; tells whether it was the one that runs.
    fn ended(&self, number: u64) -> bool {
        self.running.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Lets the task look at once.
    pub(super) fn wake(&self) {
        self.bell().notify_one();
    }

    /// What lets the task look at once.
    pub(super) fn bell(&self) -> Arc<Notify> {
        self.tasks().bell.clone()
    }

    /// Runs `task` in the background; gives it back where there is no runtime.
    pub(super) fn spawn<F>(&self, task: F) -> Result<JoinHandle<F::Output>, F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match Handle::try_current().ok().or_else(|| self.tasks().runtime.clone()) {
            Some(runtime) => Ok(runtime.spawn(task)),
            None => Err(task),
        }
    }

    /// A heartbeat came back. `None` for one that was sent before messages were known to be missing.
    pub(super) fn beat_heard(&self, nonce: u64) -> Option<BeatHeard> {
        let mut beats = self.beats();
        let sent = beats.sent.iter().find(|beat| beat.nonce == nonce)?.sent;
        // Each is sent when the one before was answered, so their order is that of the bus.
        let is_one_missing = beats.sent.iter().any(|beat| beat.nonce < nonce && beat.has_left);
        beats.sent.retain(|beat| beat.nonce > nonce);
        beats.silent_since = None;
        Some(BeatHeard { sent, is_one_missing })
    }

    /// A heartbeat is about to be sent.
    fn beat(&self, now: Tick) -> u64 {
        let mut beats = self.beats();
        beats.last += 1;
        let nonce = beats.last;
        if beats.sent.len() >= 16 {
            beats.sent.remove(0);
        }
        beats.sent.push(Beat { nonce, sent: now, has_left: false });
        nonce
    }

    /// A heartbeat has left, and should come back, unless it has.
    fn beat_left(&self, nonce: u64) {
        let Beats { sent, silent_since, .. } = &mut *self.beats();
        if let Some(beat) = sent.iter_mut().find(|beat| beat.nonce == nonce) {
            beat.has_left = true;
            silent_since.get_or_insert(beat.sent);
        }
    }

    fn is_silent(&self, now: Tick, patience: Duration) -> bool {
        self.beats().silent_since.is_some_and(|since| now > since.later(patience))
    }

    /// What was sent up to now may not come back.
    pub(super) fn forget_beats(&self) {
        let mut beats = self.beats();
        *beats = Beats { last: beats.last, ..Beats::default() };
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(keeping) = self.tasks().keeping.take() {
            keeping.abort();
        }
    }
}

/// The task's hold on its cache: weak, so that it ends with it.
struct Running {
    cache: Weak<Inner>,
    number: u64,
}

impl Running {
    fn cache(&self) -> Option<Cache> {
        self.cache.upgrade().map(Cache)
    }
}

impl Drop for Running {
    /// By its end or with its runtime.
    fn drop(&mut self) {
        if let Some(cache) = self.cache()
            && let Some(shared) = cache.0.shared.as_deref()
            && shared.keeper.ended(self.number)
        {
            cache.0.trust.withdraw();
        }
    }
}

/// A task that ends with its owner.
struct Owned(JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(running: Running, bell: Arc<Notify>) {
    let mut listening: Option<Owned> = None;
    loop {
        let Some(cache) = running.cache() else { return };
        let Some(shared) = cache.0.shared.as_deref() else { return };
        shared.keeper.looks(cache.0.clock.now(), Duration::ZERO);
        let patience = cache.0.trust.staleness();
        // Messages that are sent and do not arrive: the connection is not what it seems.
        if shared.keeper.is_silent(cache.0.clock.now(), patience) {
            crate::event::log::warn!("the bus is silent; listening anew");
            listening = None;
        }
        if listening.as_ref().is_none_or(|task| task.0.is_finished()) {
            shared.keeper.forget_beats();
            listening = Some(Owned(tokio::spawn(listen(running.cache.clone()))));
        }
        let pause = shared.tend(&cache).await;
        shared.keeper.looks(cache.0.clock.now(), pause);
        let clock = cache.0.clock.clone();
        drop(cache);
        within(&clock, pause, bell.notified()).await;
    }
}

/// Whether a change that failed is in other hands now: of the server, which lacks replicas, or of the backend.
fn is_taken_over(error: &crate::Error) -> bool {
    matches!(error.kind(), crate::ErrorKind::NotReplicated | crate::ErrorKind::Postponed)
}

/// Listens to the bus, for ever.
async fn listen(cache: Weak<Inner>) {
    let mut pause = RETRY.0;
    loop {
        let Some((backend, clock)) = cache
            .upgrade()
            .and_then(|cache| Some((cache.shared.as_deref()?.backend.clone(), cache.clock.clone())))
        else {
            return;
        };
        let subscribed = backend.subscribe().await;
        if let Some(shared) = cache.upgrade().as_ref().and_then(|cache| cache.shared.as_deref()) {
            match &subscribed {
                Ok(_) => shared.counters.listens(),
                Err(error) => shared.counters.deaf(error),
            }
        }
        if let Ok(mut subscription) = subscribed {
            pause = RETRY.0;
            // Whatever happened before this subscription was not heard.
            let mut heard = Some(crate::backend::Heard::Gap);
            while let Some(next) = heard {
                let Some(cache) = cache.upgrade().map(Cache) else { return };
                let Some(shared) = cache.0.shared.as_deref() else { return };
                shared.hear(&cache, next);
                drop(cache);
                heard = subscription.hear().await;
            }
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

impl Shared {
    /// Does what is due; tells when to look again.
    async fn tend(&self, cache: &Cache) -> Duration {
        if self.is_away() && !self.is_back(cache).await {
            return PROBE_EVERY.mul_f64(0.75 + cache.0.chance.unit() / 2.0);
        }
        self.beat(cache).await;
        let now = cache.0.clock.now();
        self.release_all(cache, self.unreleased.take_due(now));
        let pause = (cache.0.trust.staleness() / BEATS).max(SHORTEST_BEAT);
        self.unreleased.pause(now).map_or(pause, |due| pause.min(due))
    }

    /// Asks whether the shared tier is back, and repeats there what could not be done before anything is read.
    async fn is_back(&self, cache: &Cache) -> bool {
        let asked = cache.0.clock.now();
        match self.backend.health().await {
            Ok(time) => self.server_clock.told(time, asked, cache.0.clock.now()),
            Err(_) => return false,
        }
        loop {
            let changes = self.undone.next();
            if changes.is_empty() {
                break;
            }
            match self.repeat(&changes).await {
                Err(error) if !is_taken_over(&error) => return false,
                _ => self.counters.repeated(changes.len() as u64),
            }
            self.undone.done(&changes);
            self.keeper.looks(cache.0.clock.now(), Duration::ZERO);
        }
        if self.breaker.close() {
            self.counters.closed();
            crate::event::log::info!("the shared tier answers again");
        }
        self.release_all(cache, self.unreleased.take_all(cache.0.clock.now()));
        self.waiters.wake_all();
        true
    }

    fn release_all(&self, cache: &Cache, leases: Vec<Unneeded>) {
        leases.into_iter().for_each(|lease| self.release(&cache.0.clock, lease));
    }

    async fn beat(&self, cache: &Cache) {
        let clock = &cache.0.clock;
        let sent = clock.now();
        let nonce = self.keeper.beat(sent);
        if self.ask(self.backend.heartbeat(nonce)).await.is_err() {
            return;
        }
        self.keeper.beat_left(nonce);
        if nonce % BEATS_PER_TIME == 1 {
            let asked = clock.now();
            if let Ok(time) = self.ask(self.backend.health()).await {
                self.server_clock.told(time, asked, clock.now());
            }
        }
    }
}
