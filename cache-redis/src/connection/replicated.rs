//! Changes that wait for replicas, and are sent together.
//!
//! `WAIT` counts for all that its connection wrote before, and holds up what comes behind it: while replicas are missing,
//! for its whole timeout. So those that come while others wait are sent together when these are answered, with one `WAIT`
//! behind all of them, and nobody waits for more than two.
//!
//! What is sent for many is sent by a task of its own, so that a caller that goes away, or is kept and not polled,
//! takes nothing from the others. Where its runtime has ended or stands still, a caller on another one takes over.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::Error;
use tokio::sync::oneshot;

use super::deadline::Term;
use super::{Answer, Answers, Link};
use crate::clock::Moment;
use crate::command::Command;
use crate::error;

/// What changes were answered.
pub(crate) struct Answered {
    pub(crate) answers: Answers,
    /// The answer to what was sent behind them.
    pub(crate) behind: Option<Answer>,
}

/// The changes of one caller.
struct Changes {
    commands: Vec<Command>,
    term: Term,
    answer: oneshot::Sender<Result<Answered, Error>>,
}

/// The changes that wait for those under way.
#[derive(Default)]
pub(super) struct Replicated(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Changes>,
    sender: Option<Sender>,
    /// How many there were.
    senders: u64,
}

/// The task that sends.
struct Sender {
    number: u64,
    /// When it sent last, and how long that may take.
    sends: Term,
}

impl Replicated {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes changes in; the number of a new sender, if one is needed.
    fn add(&mut self, changes: Changes) -> Option<u64> {
        let term = changes.term;
        self.waiting.push(changes);
        let goes_on = |sender: &Sender| sender.sends.began.elapsed() <= sender.sends.limit;
        if self.sender.as_ref().is_some_and(goes_on) {
            return None;
        }
        self.senders += 1;
        self.sender = Some(Sender { number: self.senders, sends: term });
        Some(self.senders)
    }

    /// What the sender of this number sends next, and how long that may take. `None` if there is nothing, or if another one has
    /// taken over.
    fn next(&mut self, number: u64) -> Option<(Vec<Changes>, Duration)> {
        let sender = self.sender.as_mut().filter(|sender| sender.number == number)?;
        let left = |changes: &Changes| changes.term.limit.saturating_sub(changes.term.began.elapsed());
        let Some(limit) = self.waiting.iter().map(left).max() else {
            self.sender = None;
            return None;
        };
        sender.sends = Term { began: Moment::now(), limit };
        Some((std::mem::take(&mut self.waiting), limit))
    }
}

/// A sender at work.
struct Sending {
    link: Link,
    number: u64,
}

/// Its runtime has ended: whoever waits joins anew.
impl Drop for Sending {
    fn drop(&mut self) {
        let mut state = self.link.replicated.lock();
        let left = match state.sender.take_if(|sender| sender.number == self.number) {
            Some(_) => std::mem::take(&mut state.waiting),
            None => Vec::new(),
        };
        drop(state);
        drop(left);
    }
}

impl Link {
    /// Makes changes, with `wait` behind them and those of others; waits for the answers, `limit` at most.
    pub(super) async fn change(
        &self,
        commands: &[Command],
        wait: &Command,
        limit: Duration,
        doing: &str,
    ) -> Result<Answered, Error> {
        let term = Term::of(limit);
        let answered = async {
            // Once more where the runtime that was to send has ended; and where this one is about to, it sends for itself.
            for _ in 0..2 {
                if let Ok(answered) = self.join_changes(commands.to_vec(), wait, term).await {
                    return answered;
                }
            }
            let sent: Vec<_> = commands.iter().chain([wait]).cloned().collect();
            let mut answers = self.run(&sent, limit.saturating_sub(term.began.elapsed()), doing).await?;
            let behind = answers.pop();
            Ok(Answered { answers, behind })
        };
        match term.keep(pin!(answered)).await {
            Some(answered) => answered,
            None => Err(error::timed_out(doing, &self.place, limit)),
        }
    }

    fn join_changes(
        &self,
        commands: Vec<Command>,
        wait: &Command,
        term: Term,
    ) -> oneshot::Receiver<Result<Answered, Error>> {
        let (answer, receiver) = oneshot::channel();
        let new = self.replicated.lock().add(Changes { commands, term, answer });
        if let Some(number) = new {
            let (sending, wait) = (Sending { link: self.clone(), number }, wait.clone());
            tokio::spawn(async move {
                // Those that come at once go together.
                tokio::task::yield_now().await;
                let link = &sending.link;
                loop {
                    let next = link.replicated.lock().next(number);
                    let Some((some, limit)) = next else { return };
                    link.change_all(some, &wait, limit).await;
                }
            });
        }
        receiver
    }

    async fn change_all(&self, waiting: Vec<Changes>, wait: &Command, limit: Duration) {
        let commands = waiting.iter().flat_map(|changes| &changes.commands);
        let commands: Vec<_> = commands.chain([wait]).cloned().collect();
        let answered = self.run(&commands, limit, "invalidating in Redis").await;
        // A caller that went away does not want it.
        match answered {
            Ok(mut answers) => {
                let behind = answers.pop();
                let mut answers = answers.into_iter();
                for changes in waiting {
                    let answers = answers.by_ref().take(changes.commands.len()).collect();
                    let _ = changes.answer.send(Ok(Answered { answers, behind: behind.clone() }));
                }
            }
            Err(error) => waiting.into_iter().for_each(|changes| {
                let _ = changes.answer.send(Err(error.clone()));
            }),
        }
    }
}
