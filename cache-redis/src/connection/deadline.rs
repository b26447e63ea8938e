//! The deadlines of calls, without a timer for each.
//!
//! Nearly every call is answered long before its deadline, and setting a timer of the runtime and taking it back
//! costs more than sending a command. So a call only leaves its deadline and its waker in a table, and a thread of
//! the process looks there when the earliest deadline that it knows of has come: mostly that call is long gone,
//! and the thread waits for the next. While calls are under way it looks once in a time limit; without any it rests.
//!
//! A thread, and no task: it also wakes calls when another runtime stands still.

use std::future::{Pending, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Timeout, timeout};

use crate::clock::Moment;

/// The table is looked through no more often than this: while a server hangs, deadlines come one after the other.
const PAUSE: Duration = Duration::from_millis(1);

static DEADLINES: Deadlines = Deadlines { table: Mutex::new(Table::new()), earlier: Condvar::new() };

/// When a call began, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub(super) began: Moment,
    pub(super) limit: Duration,
}

impl Term {
    /// Begins now.
    pub(super) fn of(limit: Duration) -> Self {
        Self { began: Moment::now(), limit }
    }

    /// What `call` answers; `None` if its time has passed before.
    pub(super) fn keep<F: Future>(self, mut call: Pin<&mut F>) -> impl Future<Output = Option<F::Output>> {
        let mut watch = Watch { term: self, place: Place::None };
        poll_fn(move |context| match call.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => watch.poll(context).map(|()| None),
        })
    }

    fn deadline(self) -> Moment {
        self.began.later(self.limit)
    }
}

/// One call's place in the table, until it is dropped.
struct Watch {
    term: Term,
    place: Place,
}

enum Place {
    None,
    InTable(usize),
    /// Where no thread could be started.
    OfRuntime(Pin<Box<Timeout<Pending<()>>>>),
}

impl Watch {
    /// Ready when the deadline has come.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.place {
            Place::InTable(at) => DEADLINES.renew(*at, context.waker()),
            Place::OfRuntime(timer) => timer.as_mut().poll(context).map(drop),
            Place::None => match DEADLINES.enter(self.term.deadline(), context.waker()) {
                Some(at) => {
                    self.place = Place::InTable(at);
                    Poll::Pending
                }
                None => {
                    let left = self.term.limit.saturating_sub(self.term.began.elapsed());
                    self.place = Place::OfRuntime(Box::pin(timeout(left, pending())));
                    self.poll(context)
                }
            },
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Place::InTable(at) = self.place {
            DEADLINES.leave(at);
        }
    }
}

/// All calls under way in this process.
struct Deadlines {
    table: Mutex<Table>,
    earlier: Condvar,
}

struct Table {
    calls: Vec<Call>,
    /// Places of calls that are over.
    free: Vec<usize>,
    /// When the thread looks next; `None` while it rests.
    next_look: Option<Moment>,
    is_started: bool,
}

struct Call {
    deadline: Moment,
    /// `None` when it was woken, or is over.
    waker: Option<Waker>,
}

impl Table {
    const fn new() -> Self {
        Self { calls: Vec::new(), free: Vec::new(), next_look: None, is_started: false }
    }

    /// Takes the wakers of all whose deadline has come, and notes when the next one comes.
    fn take_due(&mut self, now: Moment) -> Vec<Waker> {
        let (mut due, mut next) = (Vec::new(), None::<Moment>);
        for call in self.calls.iter_mut().filter(|call| call.waker.is_some()) {
            if call.deadline <= now {
                due.extend(call.waker.take());
            } else {
                next = Some(next.map_or(call.deadline, |next| next.min(call.deadline)));
            }
        }
        self.next_look = next;
        due
    }
}

impl Deadlines {
    /// Enters a call; `None` if nobody would look after it.
    fn enter(&'static self, deadline: Moment, waker: &Waker) -> Option<usize> {
        let mut table = self.lock();
        if !table.is_started {
            let thread = std::thread::Builder::new().name("larder-redis".into());
            table.is_started = thread.spawn(|| self.look_on()).is_ok();
            if !table.is_started {
                return None;
            }
        }
        let call = Call { deadline, waker: Some(waker.clone()) };
        let at = match table.free.pop() {
            Some(at) => {
                table.calls[at] = call;
                at
            }
            None => {
                table.calls.push(call);
                table.calls.len() - 1
            }
        };
        let is_earlier = table.next_look.is_none_or(|next| deadline < next);
        if is_earlier {
            table.next_look = Some(deadline);
        }
        drop(table);
        if is_earlier {
            self.earlier.notify_one();
        }
        Some(at)
    }

    /// Ready if the call was woken; else it will be by this waker.
    fn renew(&self, at: usize, waker: &Waker) -> Poll<()> {
        let mut table = self.lock();
        let Some(kept) = &mut table.calls[at].waker else { return Poll::Ready(()) };
        if kept.will_wake(waker) {
            return Poll::Pending;
        }
        let replaced = std::mem::replace(kept, waker.clone());
        drop(table);
        // Outside the lock: dropping a waker may drop a task.
        drop(replaced);
        Poll::Pending
    }

    /// The call is over.
    fn leave(&self, at: usize) {
        let mut table = self.lock();
        let waker = table.calls[at].waker.take();
        table.free.push(at);
        drop(table);
        // Outside the lock: dropping a waker may drop a task.
        drop(waker);
    }

    /// The life of the thread.
    fn look_on(&self) {
        loop {
            let mut table = self.lock();
            let now = Moment::now();
            let due = table.take_due(now);
            if !due.is_empty() {
                drop(table);
                // Of whatever runtime: one that panics (its message was printed) takes no deadline from the others.
                for waker in due {
                    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
                }
                continue;
            }
            let rested = match table.next_look {
                Some(next) => {
                    self.earlier
                        .wait_timeout(table, next.since(now).max(PAUSE))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.earlier.wait(table).unwrap_or_else(PoisonError::into_inner),
            };
            drop(rested);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(40);
    /// Longer than it takes, if it works.
    const LONG: Duration = Duration::from_secs(20);

    /// Remembers that it was woken.
    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn a_call_without_an_answer_ends_at_its_deadline_and_not_before() {
        for _ in 0..3 {
            let term = Term::of(LIMIT);

            let kept = term.keep(pin!(pending::<()>())).await;

            assert_eq!(kept, None);
            assert!(term.began.elapsed() >= LIMIT);
        }
    }

    #[test]
    fn a_shorter_call_does_not_wait_for_the_deadline_of_a_longer_one() {
        static OWN: Deadlines = Deadlines { table: Mutex::new(Table::new()), earlier: Condvar::new() };
        let long =
            OWN.enter(Moment::now().later(Duration::from_secs(3600)), Waker::noop()).expect("a thread");

        // Several times, as the thread may not wait for the long one yet.
        for _ in 0..5 {
            let (bell, began) = (Arc::<Bell>::default(), Moment::now());
            (0..1_000).for_each(|_| std::thread::yield_now());
            let short = OWN.enter(began.later(LIMIT), &Arc::clone(&bell).into()).expect("a thread");
            while !bell.0.load(Ordering::SeqCst) && began.elapsed() < LONG {
                std::thread::yield_now();
            }

            assert!(OWN.renew(short, Waker::noop()).is_ready());
            OWN.leave(short);
        }

        assert!(OWN.renew(long, Waker::noop()).is_pending());
    }

    #[tokio::test]
    async fn a_call_that_is_answered_gets_its_answer() {
        let yielding = async {
            tokio::task::yield_now().await;
            7
        };

        assert_eq!(Term::of(LIMIT).keep(pin!(yielding)).await, Some(7));
        assert_eq!(Term::of(Duration::MAX).keep(pin!(std::future::ready(8))).await, Some(8));
    }

    #[test]
    fn wakers_are_taken_when_they_are_due_and_the_next_look_is_for_the_earliest_of_the_others() {
        let start = Moment::now();
        let at = |ms| start.later(Duration::from_millis(ms));
        let bells: [Arc<Bell>; 3] = Default::default();
        let mut table = Table::new();
        for (bell, ms) in bells.iter().zip([20, 30, 10]) {
            table.calls.push(Call { deadline: at(ms), waker: Some(Arc::clone(bell).into()) });
        }
        let rung = || bells.each_ref().map(|bell| bell.0.load(Ordering::SeqCst));

        assert!(table.take_due(at(9)).is_empty());
        assert_eq!(table.next_look, Some(at(10)));
        table.take_due(at(20)).into_iter().for_each(Waker::wake);
        assert_eq!((rung(), table.next_look), ([true, false, true], Some(at(30))));
        table.take_due(at(30)).into_iter().for_each(Waker::wake);
        assert_eq!((rung(), table.next_look), ([true; 3], None));
    }

    #[test]
    fn the_waker_of_the_last_poll_is_woken() {
        let (first, last) = (Arc::<Bell>::default(), Arc::<Bell>::default());
        let mut call = pin!(pending::<()>());
        let mut kept = Box::pin(Term::of(LIMIT).keep(call.as_mut()));
        let mut poll = |bell: &Arc<Bell>| {
            let waker = Arc::clone(bell).into();
            kept.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };

        assert!(!poll(&first));
        assert!(!poll(&last));
        let began = Moment::now();
        while !last.0.load(Ordering::SeqCst) && began.elapsed() < LONG {
            std::thread::yield_now();
        }

        let rung = [&first, &last].map(|bell| bell.0.load(Ordering::SeqCst));
        assert_eq!(rung, [false, true]);
        assert!(poll(&last));
    }

    #[test]
    fn the_table_grows_with_the_calls_at_once_and_not_with_all_calls() {
        static OWN: Deadlines = Deadlines { table: Mutex::new(Table::new()), earlier: Condvar::new() };

        for _ in 0..100 {
            let at =
                [(); 3].map(|()| OWN.enter(Moment::now().later(LIMIT), Waker::noop()).expect("a thread"));
            at.into_iter().for_each(|at| OWN.leave(at));
        }

        assert_eq!(OWN.lock().calls.len(), 3);
    }
}
