//! Waiting on a clock, without asking anything of the runtime.
//!
//! A cached function may run under a runtime that has no timer, or under none. So one thread of the process
//! keeps the deadlines of all sleeps and wakes their tasks; a manual clock does the same when it is moved.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use once_cell::sync::Lazy;

use super::Tick;

/// The sleeps of one clock, by deadline.
#[derive(Default)]
pub(super) struct Timer {
    sleeps: Mutex<Sleeps>,
    earlier: Condvar,
}

#[derive(Default)]
struct Sleeps {
    by_deadline: BTreeMap<Tick, Together>,
    /// All whose deadline came up to here were woken.
    fired: Tick,
}

/// The sleeps with one deadline, each by its place.
#[derive(Default)]
struct Together {
    wakers: Vec<Option<Waker>>,
    left: usize,
}

/// Where the timer holds the waker of a sleep.
type Place = (Tick, usize);

impl Sleeps {
    /// Keeps a waker, in the place of another one of the same sleep. Tells where it is.
    fn keep(&mut self, deadline: Tick, place: Option<Place>, waker: Waker) -> (Place, Option<Waker>) {
        let together = self.by_deadline.entry(deadline).or_default();
        if let Some(place) = place
            && let Some(kept) = together.wakers.get_mut(place.1)
        {
            return (place, kept.replace(waker));
        }
        together.wakers.push(Some(waker));
        together.left += 1;
        ((deadline, together.wakers.len() - 1), None)
    }

    fn forget(&mut self, (deadline, at): Place) -> Option<Waker> {
        let together = self.by_deadline.get_mut(&deadline)?;
        let waker = together.wakers.get_mut(at)?.take()?;
        together.left -= 1;
        if together.left == 0 {
            self.by_deadline.remove(&deadline);
        } else if at + 1 == together.wakers.len() {
            // Short ones that come and go behind a long one leave no holes.
            let kept = together.wakers.iter().rposition(Option::is_some);
            together.wakers.truncate(kept.map_or(0, |kept| kept + 1));
        }
        Some(waker)
    }
}

impl Timer {
    fn lock(&self) -> MutexGuard<'_, Sleeps> {
        self.sleeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all whose deadline has come.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn fire(&self, now: Tick) {
        self.take_due(now).for_each(Waker::wake);
    }

    /// The same for wakers of whatever runtime: one that panics (its message was printed) takes no deadline from the others.
    fn fire_each(&self, now: Tick) {
        for waker in self.take_due(now) {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    /// The wakers of all whose deadline has come.
    fn take_due(&self, now: Tick) -> impl Iterator<Item = Waker> + use<> {
        let mut sleeps = self.lock();
        let later = sleeps.by_deadline.split_off(&Tick::from_raw(now.raw().saturating_add(1)));
        let due = std::mem::replace(&mut sleeps.by_deadline, later);
        sleeps.fired = sleeps.fired.max(now);
        drop(sleeps);
        due.into_values().flat_map(|together| together.wakers).flatten()
    }

    /// Ready when `deadline` has come; until then keeps the waker at `place`.
    fn poll(&self, deadline: Tick, place: &mut Option<Place>, waker: &Waker) -> Poll<()> {
        let mut sleeps = self.lock();
        // Under the lock: between a look at the time and the keeping of the waker the deadline could come, and
        // nobody would wake for it.
        if deadline <= sleeps.fired {
            drop(sleeps);
            // `fire` took the waker off.
            *place = None;
            return Poll::Ready(());
        }
        let (kept, replaced) = sleeps.keep(deadline, *place, waker.clone());
        *place = Some(kept);
        let is_first = sleeps
            .by_deadline
            .first_key_value()
            .is_some_and(|(first, together)| *first == deadline && together.left == 1);
        drop(sleeps);
        // Outside the lock: dropping a waker may drop a task.
        drop(replaced);
        if is_first {
            self.earlier.notify_one();
        }
        Poll::Pending
    }

    fn forget(&self, place: Place) {
        let waker = self.lock().forget(place);
        // Outside the lock: dropping a waker may drop a task.
        drop(waker);
    }
}

/// Completes at a point in time.
pub(crate) struct Sleep {
    timer: Arc<Timer>,
    deadline: Tick,
    /// Set while the timer holds a waker of ours.
    place: Option<Place>,
}

impl Sleep {
    pub(super) fn new(timer: Arc<Timer>, deadline: Tick) -> Self {
        Self { timer, deadline, place: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { timer, deadline, place } = &mut *self;
        timer.poll(*deadline, place, context.waker())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.timer.forget(place);
        }
    }
}

struct System {
    origin: Instant,
    timer: Arc<Timer>,
}

static SYSTEM: Lazy<System> = Lazy::new(|| {
    #[expect(clippy::disallowed_methods, reason = "the clock's own origin")]
    let origin = Instant::now();
    // Without the thread nothing that only waits for time ends, as followers of a leader that is never polled again do.
    // Everything else works.
    let started = std::thread::Builder::new().name("larder-timer".into()).spawn(keep_time);
    drop(started);
    System { origin, timer: Arc::default() }
});

/// The timer of the system's clock.
pub(super) fn system() -> Arc<Timer> {
    SYSTEM.timer.clone()
}

/// The time on the line of [`system`].
pub(super) fn system_now() -> Tick {
    Tick::from_raw(0).later(SYSTEM.origin.elapsed())
}

/// The life of the thread `larder-timer`.
fn keep_time() {
    let timer = &*SYSTEM.timer;
    loop {
        timer.fire_each(system_now());
        let sleeps = timer.lock();
        let woken = match sleeps.by_deadline.keys().next() {
            None => timer.earlier.wait(sleeps).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let wait = until.since(system_now());
                timer.earlier.wait_timeout(sleeps, wait).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        drop(woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_though_its_time_came_before_it_was_polled() {
        let timer = Arc::<Timer>::default();
        let mut sleep = Sleep::new(timer.clone(), Tick::from_raw(7));

        timer.fire(Tick::from_raw(7));

        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_ready());
    }

    #[test]
    fn a_sleep_ends_at_its_time_and_leaves_nothing_behind() {
        let timer = Arc::<Timer>::default();
        let mut sleep = Sleep::new(timer.clone(), Tick::from_raw(7));
        let mut context = Context::from_waker(Waker::noop());

        timer.fire(Tick::from_raw(6));
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        assert_eq!(timer.lock().by_deadline.len(), 1);
        timer.fire(Tick::from_raw(7));

        assert!(Pin::new(&mut sleep).poll(&mut context).is_ready());
        assert!(timer.lock().by_deadline.is_empty());
    }

    #[test]
    fn a_waker_that_panics_takes_no_deadline_from_the_others() {
        struct Bell {
            panics: bool,
            has_rung: std::sync::atomic::AtomicBool,
        }
        impl std::task::Wake for Bell {
            fn wake(self: Arc<Self>) {
                assert!(!self.panics, "on purpose");
                self.has_rung.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let timer = Arc::<Timer>::default();
        let bells = [true, false].map(|panics| Arc::new(Bell { panics, has_rung: false.into() }));
        let mut sleeps = [(); 2].map(|()| Sleep::new(timer.clone(), Tick::from_raw(7)));
        for (sleep, bell) in sleeps.iter_mut().zip(&bells) {
            let waker = bell.clone().into();
            assert!(Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_pending());
        }

        timer.fire_each(Tick::from_raw(7));

        assert!(bells[1].has_rung.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[test]
    fn sleeps_that_end_together_are_woken_all_and_forgotten_one_by_one() {
        struct Bell(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Bell {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let timer = Arc::<Timer>::default();
        let bell = Arc::new(Bell(0.into()));
        let rung = || bell.0.load(std::sync::atomic::Ordering::SeqCst);
        let waker = Arc::clone(&bell).into();
        let mut context = Context::from_waker(&waker);
        let mut sleeps: Vec<_> = (0..5).map(|_| Sleep::new(timer.clone(), Tick::from_raw(7))).collect();
        for _ in 0..2 {
            sleeps.iter_mut().for_each(|sleep| assert!(Pin::new(sleep).poll(&mut context).is_pending()));
        }

        drop(sleeps.remove(1));
        drop(sleeps.remove(3));
        timer.fire(Tick::from_raw(7));

        assert_eq!(rung(), 3);
        assert!(sleeps.iter_mut().all(|sleep| Pin::new(sleep).poll(&mut context).is_ready()));
        // One that stays keeps no room for others that came and went.
        let mut stays = Sleep::new(timer.clone(), Tick::from_raw(8));
        assert!(Pin::new(&mut stays).poll(&mut context).is_pending());
        for _ in 0..10 {
            let mut pair = [(); 2].map(|()| Sleep::new(timer.clone(), Tick::from_raw(8)));
            pair.iter_mut().for_each(|sleep| assert!(Pin::new(sleep).poll(&mut context).is_pending()));
        }
        assert_eq!(timer.lock().by_deadline[&Tick::from_raw(8)].wakers.len(), 1);
        drop(stays);
        // The last of those that end together takes all of it along.
        let mut next: Vec<_> = (0..3).map(|_| Sleep::new(timer.clone(), Tick::from_raw(9))).collect();
        next.iter_mut().for_each(|sleep| assert!(Pin::new(sleep).poll(&mut context).is_pending()));
        drop(next);
        assert!(timer.lock().by_deadline.is_empty());
    }
}
