//! Reads that are asked for at once, and sent together.
//!
//! Under load, what the client, the kernel and the server do for each command costs more than the reads themselves. So while
//! other reads are under way, those that come wait until the runtime has nothing else to do, and go as one. A read
//! that comes alone goes at once.
//!
//! What is sent for many is sent by a task of its own, so that a caller that goes away, or is kept and not polled,
//! takes nothing from the others.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::Error;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::deadline::Term;
use super::direct::Direct;
use super::runtimes::EachRuntime;
use super::{Link, Request};
use crate::clock::Moment;
use crate::command::gets::{Gets, Got};
use crate::error::{self, Verdict};
use crate::names::Names;

/// As soon as so many names wait, they are sent.
const MOST: usize = 128;

/// The reads of one link.
#[derive(Default)]
pub(super) struct Gather {
    underway: AtomicUsize,
    waiting: EachRuntime<Reads>,
}

/// The reads of several callers.
#[derive(Default)]
struct Reads {
    names: Names,
    callers: Vec<Caller>,
}

struct Caller {
    /// So many of the names are its own.
    count: usize,
    answer: oneshot::Sender<Result<Got, Error>>,
}

/// A call that is under way.
struct Underway<'a>(&'a Gather);

/// What waits on a runtime for the task that will send it.
struct ToSend(Option<(Link, Id)>);

impl ToSend {
    fn end(mut self) -> Option<(Link, Reads)> {
        let (link, id) = self.0.take()?;
        let reads = link.gather.waiting.take(id);
        Some((link, reads))
    }
}

/// The runtime has ended: whoever waits there sends for itself.
impl Drop for ToSend {
    fn drop(&mut self) {
        if let Some((link, id)) = self.0.take() {
            drop(link.gather.waiting.take(id));
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.underway.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Reads values, together with others that are read at the time, and waits for them, `limit` at most. Answers
    /// all that is asked for at once.
    pub(crate) async fn get<N: AsRef<str>>(
        &self,
        gets: Gets,
        names: &[N],
        limit: Duration,
        doing: &'static str,
    ) -> Result<Got, Error> {
        let is_alone = self.gather.underway.fetch_add(1, Ordering::Relaxed) == 0;
        let _underway = Underway(&self.gather);
        let all = || names.iter().map(AsRef::as_ref);
        if is_alone {
            return self.get_now(gets, all(), limit, doing).await;
        }
        let term = Term::of(limit);
        match term.keep(pin!(self.join(gets, all(), limit, doing))).await {
            Some(Ok(answered)) => answered,
            // The runtime that was to send it has ended.
            Some(Err(_)) => {
                let left = limit.saturating_sub(term.began.elapsed());
                Box::pin(self.get_by_client(gets, all(), left, doing)).await
            }
            None => Err(error::timed_out(doing, &self.place, limit)),
        }
    }

    /// Reads values by the socket itself, or else by the client.
    async fn get_now<'n>(
        &self,
        gets: Gets,
        names: impl ExactSizeIterator<Item = &'n str> + Clone,
        limit: Duration,
        doing: &'static str,
    ) -> Result<Got, Error> {
        let count = names.len();
        let left = match self.read_directly(&gets.packed(names.clone()), gets.answers(count), limit).await {
            Direct::Answered(answer) => return Ok(gets.got_at_once(count, answer)),
            Direct::TooLate => return Err(error::timed_out(doing, &self.place, limit)),
            Direct::NotSent => limit,
            Direct::Broken(left) => left,
        };
        Box::pin(self.get_by_client(gets, names, left, doing)).await
    }

    /// Reads values on their own, by the client.
    pub(super) async fn get_by_client<'n>(
        &self,
        gets: Gets,
        names: impl ExactSizeIterator<Item = &'n str>,
        limit: Duration,
        doing: &'static str,
    ) -> Result<Got, Error> {
        let (count, pipeline) = (names.len(), gets.pipeline(names));
        let answers = self.within(limit, doing, self.send(Request::Several(&pipeline), limit)).await?;
        Ok(gets.got(count, answers))
    }

    /// Waits for others to come, too.
    fn join<'n>(
        &self,
        gets: Gets,
        names: impl ExactSizeIterator<Item = &'n str>,
        limit: Duration,
        doing: &'static str,
    ) -> oneshot::Receiver<Result<Got, Error>> {
        let (answer, receiver) = oneshot::channel();
        let runtime = Handle::current();
        let id = runtime.id();
        let (is_first, full) = self.gather.waiting.change(id, |reads| reads.add(names, answer));
        if let Some(full) = full {
            runtime.spawn(self.clone().get_all(gets, full, limit, doing));
        }
        if is_first {
            let to_send = ToSend(Some((self.clone(), id)));
            runtime.spawn(async move {
                tokio::task::yield_now().await;
                if let Some((link, reads)) = to_send.end() {
                    link.get_all(gets, reads, limit, doing).await;
                }
            });
        }
        receiver
    }

    async fn get_all(self, gets: Gets, reads: Reads, limit: Duration, doing: &'static str) {
        let Reads { names, callers } = reads;
        if callers.is_empty() {
            return;
        }
        let (count, began) = (names.len(), Moment::now());
        let got = match self.get_now(gets, names.iter(), limit, doing).await {
            // Because of one name it answers for none: whoever asked for that one alone shall hear of it.
            Ok(Got::AtOnce(Err(error))) if callers.len() > 1 && Verdict::of(&error) == Verdict::Forbidden => {
                let left = limit.saturating_sub(began.elapsed());
                Box::pin(self.get_by_client(Gets::OneByOne, names.iter(), left, doing)).await
            }
            got => got,
        };
        // A caller that went away does not want it.
        match got {
            Ok(got) => {
                let parts = got.dealt(count, callers.iter().map(|caller| caller.count));
                for (caller, part) in callers.into_iter().zip(parts) {
                    let _ = caller.answer.send(Ok(part));
                }
            }
            Err(error) => callers.into_iter().for_each(|caller| {
                let _ = caller.answer.send(Err(error.clone()));
            }),
        }
    }
}

impl Reads {
    /// Adds those of a caller; gives back all if they are enough.
    fn add<'n>(
        &mut self,
        names: impl ExactSizeIterator<Item = &'n str>,
        answer: oneshot::Sender<Result<Got, Error>>,
    ) -> Option<Self> {
        self.callers.push(Caller { count: names.len(), answer });
        names.for_each(|name| self.names.add(name));
        (self.names.len() >= MOST).then(|| std::mem::take(self))
    }
}
