//! Waiting on a clock, without asking anything of the runtime.
//!
//! A cached function may run under a runtime that has no timer, or under none. So one thread of the process
//! keeps the deadlines of all sleeps and wakes their tasks; a manual clock does the same when it is moved.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

use super::{Sweep, Tick};

/// How often caches on the system's clock let go of what has expired.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// The sleeps of one clock, by deadline.
#[derive(Default)]
pub(super) struct Timer {
    sleeps: Mutex<Sleeps>,
    earlier: Condvar,
}

#[derive(Default)]
struct Sleeps {
    by_deadline: BTreeMap<(Tick, u64), Waker>,
    next_id: u64,
    /// All whose deadline came up to here were woken.
    fired: Tick,
}

impl Timer {
    fn lock(&self) -> MutexGuard<'_, Sleeps> {
        self.sleeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all whose deadline has come.
    pub(super) fn fire(&self, now: Tick) {
        let mut sleeps = self.lock();
        let later = sleeps.by_deadline.split_off(&(Tick(now.raw().saturating_add(1)), 0));
        let due = std::mem::replace(&mut sleeps.by_deadline, later);
        sleeps.fired = sleeps.fired.max(now);
        drop(sleeps);
        due.into_values().for_each(Waker::wake);
    }

    /// Ready when `deadline` has come; until then keeps the waker under `key`.
    fn poll(&self, deadline: Tick, key: &mut Option<(Tick, u64)>, waker: &Waker) -> Poll<()> {
        let mut sleeps = self.lock();
        // Under the lock: between a look at the time and the keeping of the waker the deadline could come, and
        // nobody would wake for it.
        if deadline <= sleeps.fired {
            drop(sleeps);
            // `fire` took the waker off.
            *key = None;
            return Poll::Ready(());
        }
        let key = *key.get_or_insert_with(|| {
            sleeps.next_id += 1;
            (deadline, sleeps.next_id)
        });
        let replaced = sleeps.by_deadline.insert(key, waker.clone());
        let is_first = sleeps.by_deadline.keys().next() == Some(&key);
        drop(sleeps);
        // Outside the lock: dropping a waker may drop a task.
        drop(replaced);
        if is_first {
            self.earlier.notify_one();
        }
        Poll::Pending
    }

    fn forget(&self, key: (Tick, u64)) {
        let waker = self.lock().by_deadline.remove(&key);
        // Outside the lock: dropping a waker may drop a task.
        drop(waker);
    }
}

/// Completes at a point in time.
pub(crate) struct Sleep {
    timer: Arc<Timer>,
    deadline: Tick,
    /// Set while the timer holds a waker of ours.
    key: Option<(Tick, u64)>,
}

impl Sleep {
    pub(super) fn new(timer: Arc<Timer>, deadline: Tick) -> Self {
        Self { timer, deadline, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { timer, deadline, key } = &mut *self;
        timer.poll(*deadline, key, context.waker())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.timer.forget(key);
        }
    }
}

struct System {
    origin: Instant,
    timer: Arc<Timer>,
    sweeps: Mutex<Vec<Weak<dyn Sweep>>>,
}

static SYSTEM: Lazy<System> = Lazy::new(|| {
    #[expect(clippy::disallowed_methods, reason = "the clock's own origin")]
    let origin = Instant::now();
    let system = System { origin, timer: Arc::default(), sweeps: Mutex::default() };
    // Without the thread nothing that only waits for time ends: followers of a leader that is never polled
    // again, and expired entries that nobody asks for. Everything else works.
    let started = std::thread::Builder::new().name("larder-timer".into()).spawn(keep_time);
    drop(started);
    system
});

/// The timer of the system's clock.
pub(super) fn system() -> Arc<Timer> {
    SYSTEM.timer.clone()
}

/// The time on the line of [`system`].
pub(super) fn system_now() -> Tick {
    Tick(0).later(SYSTEM.origin.elapsed())
}

pub(super) fn sweep_on_system_time(owner: Weak<dyn Sweep>) {
    let mut sweeps = SYSTEM.sweeps.lock().unwrap_or_else(PoisonError::into_inner);
    sweeps.push(owner);
    drop(sweeps);
    drop(SYSTEM.timer.lock());
    SYSTEM.timer.earlier.notify_one();
}

/// The life of the thread `larder-timer`.
fn keep_time() {
    let system = &*SYSTEM;
    let mut next_sweep = system_now().later(SWEEP_EVERY);
    loop {
        let now = system_now();
        system.timer.fire(now);
        if now >= next_sweep {
            sweep_all(system);
            next_sweep = system_now().later(SWEEP_EVERY);
        }
        let sleeps = system.timer.lock();
        // Looked at under the lock that whoever notifies has held, so that no notification is missed.
        let next = sleeps.by_deadline.keys().next().map(|(deadline, _)| *deadline);
        let idle = system.sweeps.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let wait = match next {
            None if idle => None,
            None => Some(next_sweep),
            Some(next) => Some(next.min(next_sweep)),
        };
        let woken = match wait {
            None => system.timer.earlier.wait(sleeps).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let wait = until.since(system_now());
                system.timer.earlier.wait_timeout(sleeps, wait).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        drop(woken);
    }
}

fn sweep_all(system: &System) {
    let sweeps = {
        let mut sweeps = system.sweeps.lock().unwrap_or_else(PoisonError::into_inner);
        sweeps.retain(|owner| owner.strong_count() > 0);
        sweeps.clone()
    };
    for owner in sweeps.iter().filter_map(Weak::upgrade) {
        owner.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_though_its_time_came_before_it_was_polled() {
        let timer = Arc::<Timer>::default();
        let mut sleep = Sleep::new(timer.clone(), Tick(7));

        timer.fire(Tick(7));

        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_ready());
    }

    #[test]
    fn a_sleep_ends_at_its_time_and_leaves_nothing_behind() {
        let timer = Arc::<Timer>::default();
        let mut sleep = Sleep::new(timer.clone(), Tick(7));
        let mut context = Context::from_waker(Waker::noop());

        timer.fire(Tick(6));
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        assert_eq!(timer.lock().by_deadline.len(), 1);
        timer.fire(Tick(7));

        assert!(Pin::new(&mut sleep).poll(&mut context).is_ready());
        assert!(timer.lock().by_deadline.is_empty());
    }
}
