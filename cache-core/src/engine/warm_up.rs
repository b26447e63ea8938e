//! Filling a cache before it is asked: a function called for many arguments, some at a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::together::Wakeful;

/// How many calls run at once, unless it is said.
const AT_ONCE: usize = 8;
/// Calls that are looked at before others have their turn on the thread: what is there ends at once.
const LOOKS: usize = 128;

/// Calls a function for many arguments, [some at a time](WarmUp::at_once): to fill a cache before it is asked.
///
/// ```
/// # async fn menu_of(_: u64) -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn example() {
/// let warmed = cache_core::warm_up(1..=1_000)
///     .at_once(16)
///     .progress(|so_far| println!("{} of {:?}", so_far.done, so_far.total))
///     .try_run(|id| menu_of(id))
///     .await;
/// println!("{} failed, the first with {:?}", warmed.progress.failed, warmed.first_error);
/// # }
/// ```
///
/// A warm-up is a call like any other: what is there is not computed, and several processes that warm up the same share
/// the work.
pub fn warm_up<I: IntoIterator>(arguments: I) -> WarmUp<I::IntoIter> {
    WarmUp { arguments: arguments.into_iter(), at_once: AT_ONCE, progress: Box::new(|_| ()) }
}

/// A warm-up that has not begun: see [`warm_up`].
#[must_use = "nothing is called before `run` or `try_run` is awaited"]
pub struct WarmUp<I> {
    arguments: I,
    at_once: usize,
    progress: Box<dyn FnMut(&Progress) + Send>,
}

/// How far a warm-up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Calls that have ended, well or not.
    pub done: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// How many calls it will be, where the iterator knows.
    pub total: Option<usize>,
}

/// What came of a warm-up whose calls can fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed<E> {
    /// All calls.
    pub progress: Progress,
    /// What the first call that failed said.
    pub first_error: Option<E>,
}

impl<I: Iterator> WarmUp<I> {
    /// How many calls run at once: 8, unless it is said; at least 1.
    pub fn at_once(mut self, count: usize) -> Self {
        self.at_once = count.max(1);
        self
    }

    /// Is told after each call how far it has come.
    pub fn progress(mut self, tell: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.progress = Box::new(tell);
        self
    }

    /// Makes the calls, all in the task of the caller.
    ///
    /// # Panics
    ///
    /// When a call does; the calls that run are dropped then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the calls that run; what was stored stays.
    pub async fn run<F: Future>(self, mut call: impl FnMut(I::Item) -> F) -> Progress {
        let call = move |argument| {
            let call = call(argument);
            async move {
                call.await;
                Ok::<(), Infallible>(())
            }
        };
        self.try_run(call).await.progress
    }

    /// The same for calls that can fail: the others are made all the same.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn try_run<T, E, F>(self, mut call: impl FnMut(I::Item) -> F) -> Warmed<E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let Self { mut arguments, at_once, mut progress } = self;
        let mut so_far = Progress { total: exactly(&arguments), ..Progress::default() };
        let mut first_error = None;
        let mut calls: Wakeful<Pin<Box<F>>> = Wakeful::default();
        // Places of calls that have ended, and of those that are to be looked at.
        let (mut ended, mut due) = (Vec::new(), VecDeque::new());
        let mut is_exhausted = false;
        poll_fn(|context| {
            due.extend(calls.woken(context));
            for _ in 0..LOOKS {
                while !is_exhausted && calls.len() - ended.len() < at_once {
                    match arguments.next() {
                        Some(argument) => due.push_back(calls.put(ended.pop(), Box::pin(call(argument)))),
                        None => is_exhausted = true,
                    }
                }
                let Some(at) = due.pop_front() else {
                    let is_over = calls.len() == ended.len();
                    return if is_over { Poll::Ready(()) } else { Poll::Pending };
                };
                if let Some(output) = calls.look(at) {
                    ended.push(at);
                    so_far.done += 1;
                    if let Err(error) = output {
                        so_far.failed += 1;
                        first_error.get_or_insert(error);
                    }
                    progress(&so_far);
                }
            }
            // Others have their turn on this thread, too.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        Warmed { progress: so_far, first_error }
    }
}

fn exactly(arguments: &impl Iterator) -> Option<usize> {
    match arguments.size_hint() {
        (least, Some(most)) if least == most => Some(most),
        _ => None,
    }
}

impl<I> fmt::Debug for WarmUp<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmUp").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}
