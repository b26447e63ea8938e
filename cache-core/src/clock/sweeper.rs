//! Lets caches on the system's clock go of what has expired.
//!
//! On a thread of its own: what goes are values and arguments of the program, whose `Drop` may take its time or panic, and
//! nobody's time limit shall wait for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use once_cell::sync::Lazy;

use super::Sweep;

/// How often.
const EVERY: Duration = Duration::from_secs(30);

/// Who is to be swept.
#[derive(Default)]
struct Sweeper {
    owners: Mutex<Vec<Weak<dyn Sweep>>>,
    is_one_new: Condvar,
}

static SWEEPER: Lazy<Sweeper> = Lazy::new(|| {
    // Without the thread expired entries that nobody asks for stay until others need their room. Everything else works.
    let started = std::thread::Builder::new().name("larder-sweeper".into()).spawn(|| SWEEPER.work());
    drop(started);
    Sweeper::default()
});

/// Has `owner` swept every so often, until it is gone.
pub(super) fn sweep_regularly(owner: Weak<dyn Sweep>) {
    SWEEPER.add(owner);
}

impl Sweeper {
    fn add(&self, owner: Weak<dyn Sweep>) {
        self.lock().push(owner);
        self.is_one_new.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Sweep>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of the thread `larder-sweeper`.
    fn work(&self) -> ! {
        loop {
            let owners = self.lock();
            let waited = self.is_one_new.wait_while(owners, |owners| owners.is_empty());
            let owners = waited.unwrap_or_else(PoisonError::into_inner);
            // All of it, however many are added meanwhile.
            drop(self.is_one_new.wait_timeout_while(owners, EVERY, |_| true));
            self.sweep();
        }
    }

    fn sweep(&self) {
        let owners = {
            let mut owners = self.lock();
            owners.retain(|owner| owner.strong_count() > 0);
            owners.clone()
        };
        for owner in owners {
            // Whoever panics (its message was printed) keeps the others from nothing. The last reference may go here, too.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                if let Some(owner) = owner.upgrade() {
                    owner.sweep();
                }
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Panics when it is swept as often as it may be.
    struct Swept {
        times: AtomicUsize,
        at_most: usize,
    }

    impl Sweep for Swept {
        fn sweep(self: Arc<Self>) {
            let times = self.times.fetch_add(1, Ordering::SeqCst);
            assert!(times < self.at_most, "on purpose");
        }
    }

    #[test]
    fn who_panics_while_it_is_swept_keeps_the_others_from_nothing() {
        let sweeper = Sweeper::default();
        let owners = [0, 9].map(|at_most| Arc::new(Swept { times: AtomicUsize::new(0), at_most }));
        let weak = |owner: &Arc<Swept>| -> Weak<dyn Sweep> {
            Arc::downgrade(&(Arc::clone(owner) as Arc<dyn Sweep>))
        };
        owners.iter().for_each(|owner| sweeper.add(weak(owner)));

        sweeper.sweep();
        sweeper.sweep();

        assert_eq!(owners.each_ref().map(|owner| owner.times.load(Ordering::SeqCst)), [2, 2]);
        drop(owners);
        sweeper.sweep();
        assert!(sweeper.lock().is_empty());
    }
}
