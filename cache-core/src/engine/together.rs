//! Waiting for several futures in one task.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many run at the same time: what they ask of a server shall not keep others from it.
pub(super) const AT_ONCE: usize = 256;

/// Runs them at the same time, 256 at most, in the task of the caller, and answers in their order.
///
/// # Cancel safety
///
/// That of all of them.
pub(super) async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Wakeful<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = (0..all.len()).map(|_| None).collect();
    let (mut begun, mut ended) = (0, 0);
    poll_fn(|context| {
        for at in all.woken(context) {
            if let Some(output) = all.look(at) {
                done[at] = Some(output);
                ended += 1;
            }
        }
        while begun < done.len() && begun - ended < AT_ONCE {
            if let Some(output) = all.look(begun) {
                done[begun] = Some(output);
                ended += 1;
            }
            begun += 1;
        }
        if ended == done.len() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Waits for the turn of one of many, if they take turns at all.
pub(super) async fn turn(turns: Option<&Semaphore>) -> Option<SemaphorePermit<'_>> {
    // Closed it is never.
    turns?.acquire().await.ok()
}

/// Runs them at the same time, all of them, for as long as it is polled.
pub(super) async fn forever<F: Future<Output = Infallible> + Unpin>(
    futures: impl IntoIterator<Item = F>,
) -> Infallible {
    let mut all: Wakeful<F> = futures.into_iter().collect();
    let mut due: Vec<usize> = (0..all.len()).collect();
    poll_fn(|context| {
        due.extend(all.woken(context));
        for at in due.drain(..) {
            all.look(at);
        }
        Poll::Pending
    })
    .await
}

/// Futures of one task, each of which is looked at when it was woken, and only then. Otherwise each that is woken would
/// cost a look at all of them: of the leases of a batch, whose answers come one by one, that was half of what the batch
/// took.
pub(super) struct Wakeful<F> {
    parts: Vec<(Option<F>, Waker)>,
    bell: Arc<Bell>,
}

impl<F> Default for Wakeful<F> {
    fn default() -> Self {
        Self { parts: Vec::new(), bell: Arc::default() }
    }
}

impl<F: Future + Unpin> Wakeful<F> {
    /// Takes one in, in the place of one that has ended, or in a new one. Its place; it is to be looked at.
    pub(super) fn put(&mut self, ended: Option<usize>, future: F) -> usize {
        match ended {
            Some(at) => {
                self.parts[at].0 = Some(future);
                at
            }
            None => {
                let at = self.parts.len();
                self.parts.push((Some(future), rope(at, &self.bell)));
                at
            }
        }
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether it has not ended yet.
    pub(super) fn is_running(&self, at: usize) -> bool {
        self.parts[at].0.is_some()
    }

    /// Those that were woken since this was asked last. From now on who is woken wakes this task; it has its turn in the
    /// next poll, so that others of the runtime have theirs: a future that has used up its share of time wakes itself.
    pub(super) fn woken(&self, context: &Context<'_>) -> Vec<usize> {
        self.bell.begin(context.waker())
    }

    /// Looks at one that was woken, or for the first time; what it has ended with.
    pub(super) fn look(&mut self, at: usize) -> Option<F::Output> {
        let (future, waker) = &mut self.parts[at];
        match Pin::new(future.as_mut()?).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(output) => {
                *future = None;
                Some(output)
            }
            Poll::Pending => None,
        }
    }
}

impl<F: Future + Unpin> FromIterator<F> for Wakeful<F> {
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let bell = Arc::default();
        let parts = futures.into_iter().enumerate().map(|(at, future)| (Some(future), rope(at, &bell)));
        Self { parts: parts.collect(), bell }
    }
}

fn rope(at: usize, bell: &Arc<Bell>) -> Waker {
    Waker::from(Arc::new(Rope { at, bell: bell.clone() }))
}

/// Which of them were woken.
#[derive(Default)]
struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    places: Vec<usize>,
    task: Option<Waker>,
}

impl Bell {
    /// Whose turn it is. From now on this task is woken.
    fn begin(&self, task: &Waker) -> Vec<usize> {
        let mut rung = self.lock();
        let places = std::mem::take(&mut rung.places);
        let is_known = rung.task.as_ref().is_some_and(|known| known.will_wake(task));
        let before = if is_known { None } else { rung.task.replace(task.clone()) };
        drop(rung);
        // Outside the lock: dropping a waker may drop a task.
        drop(before);
        places
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one of them is woken by.
struct Rope {
    at: usize,
    bell: Arc<Bell>,
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut rung = self.bell.lock();
        // It may be woken twice before its turn; then its second poll finds nothing to do.
        rung.places.push(self.at);
        // The first that rings wakes the task for all.
        let task = if rung.places.len() == 1 { rung.task.clone() } else { None };
        drop(rung);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Futures that end when they are opened, and who looked at them how often.
    #[derive(Default)]
    struct Gates {
        open: Mutex<Vec<(bool, Option<Waker>)>>,
        polls: AtomicUsize,
    }

    impl Gates {
        fn of(count: usize) -> Self {
            Self { open: Mutex::new(vec![(false, None); count]), ..Self::default() }
        }

        fn open(&self, at: usize) {
            let mut open = self.open.lock().unwrap();
            open[at].0 = true;
            let waker = open[at].1.clone();
            drop(open);
            waker.expect("it was looked at").wake();
        }

        fn wait(&self, at: usize) -> impl Future<Output = usize> {
            poll_fn(move |context| {
                self.polls.fetch_add(1, Ordering::Relaxed);
                let mut open = self.open.lock().unwrap();
                open[at].1 = Some(context.waker().clone());
                if open[at].0 { Poll::Ready(at) } else { Poll::Pending }
            })
        }

        fn polls(&self) -> usize {
            self.polls.load(Ordering::Relaxed)
        }
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_is_looked_at_when_it_is_woken_and_no_other() {
        let gates = Gates::of(AT_ONCE);
        let task = Arc::new(Task::default());
        let waker = Waker::from(task.clone());
        let mut context = Context::from_waker(&waker);
        let mut all = pin!(together((0..AT_ONCE).map(|at| gates.wait(at))));
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert_eq!(gates.polls(), AT_ONCE);

        for at in (1..AT_ONCE).rev() {
            let woken = task.0.load(Ordering::Relaxed);
            gates.open(at);
            assert_eq!(task.0.load(Ordering::Relaxed), woken + 1);
            assert!(all.as_mut().poll(&mut context).is_pending());
        }
        gates.open(0);

        assert_eq!(all.as_mut().poll(&mut context), Poll::Ready((0..AT_ONCE).collect::<Vec<_>>()));
        assert_eq!(gates.polls(), 2 * AT_ONCE);
    }

    #[test]
    fn of_those_that_go_on_for_ever_each_is_looked_at_when_it_is_woken() {
        let gates = Gates::of(9);
        let mut context = Context::from_waker(Waker::noop());
        let endless = |at| {
            let gates = &gates;
            Box::pin(async move {
                gates.wait(at).await;
                std::future::pending().await
            })
        };
        let mut all = pin!(forever((0..9).map(endless)));
        assert!(all.as_mut().poll(&mut context).is_pending());

        gates.open(3);
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert!(all.as_mut().poll(&mut context).is_pending());

        assert_eq!(gates.polls(), 9 + 1);
    }

    #[test]
    fn no_more_run_than_go_at_once_and_the_others_follow() {
        let gates = Gates::of(AT_ONCE + 2);
        let mut context = Context::from_waker(Waker::noop());
        let mut all = pin!(together((0..AT_ONCE + 2).map(|at| gates.wait(at))));
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert_eq!(gates.polls(), AT_ONCE);

        gates.open(7);
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert_eq!(gates.polls(), AT_ONCE + 2, "one ended, one began");
        for at in (0..AT_ONCE).filter(|at| *at != 7) {
            gates.open(at);
        }
        assert!(all.as_mut().poll(&mut context).is_pending());
        gates.open(AT_ONCE);
        gates.open(AT_ONCE + 1);

        assert_eq!(all.as_mut().poll(&mut context), Poll::Ready((0..AT_ONCE + 2).collect::<Vec<_>>()));
    }

    #[test]
    fn who_is_woken_while_others_are_looked_at_has_the_next_turn() {
        let mut rung = 3;
        let busy = poll_fn(|context| {
            // As a future does that has used up its share of time.
            rung -= 1;
            if rung == 0 {
                return Poll::Ready(1);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let task = Arc::new(Task::default());
        let waker = Waker::from(task.clone());
        let mut context = Context::from_waker(&waker);
        let mut all = pin!(together([busy]));

        assert!(all.as_mut().poll(&mut context).is_pending());
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        assert!(all.as_mut().poll(&mut context).is_pending());
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
        assert_eq!(all.as_mut().poll(&mut context), Poll::Ready(vec![1]));
    }

    #[test]
    fn none_are_done_at_once() {
        let none: [std::future::Ready<()>; 0] = [];
        let mut context = Context::from_waker(Waker::noop());

        assert_eq!(pin!(together(none)).poll(&mut context), Poll::Ready(Vec::new()));
    }
}
