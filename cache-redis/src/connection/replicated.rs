//! Changes that wait for replicas, and are sent together.
//!
//! `WAIT` counts for all that its connection wrote before, and holds up what comes behind it: while replicas are missing,
//! for its whole timeout. So those that come while others wait are sent together when these are answered, with one `WAIT`
//! behind all of them, and nobody waits for more than two.
//!
//! What is sent for many is sent by a task of its own, so that a caller that goes away, or is kept and not polled,
//! takes nothing from the others.

use std::pin::pin;
use std::time::Duration;

use cache_core::Error;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::deadline::Term;
use super::runtimes::EachRuntime;
use super::{Answer, Answers, Link};
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
    answer: oneshot::Sender<Result<Answered, Error>>,
}

/// The changes that wait for those under way.
#[derive(Default)]
pub(super) struct Replicated(EachRuntime<Vec<Changes>>);

/// The place of the task that sends for a runtime.
struct Sending {
    link: Link,
    id: Id,
}

/// The runtime has ended: whoever waits there sends for itself.
impl Drop for Sending {
    fn drop(&mut self) {
        drop(self.link.replicated.0.take(self.id));
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
        match term.keep(pin!(self.join_changes(commands.to_vec(), wait, limit))).await {
            Some(Ok(answered)) => answered,
            // The runtime that was to send it has ended.
            Some(Err(_)) => {
                let left = limit.saturating_sub(term.began.elapsed());
                let sent: Vec<_> = commands.iter().chain([wait]).cloned().collect();
                let mut answers = self.run(&sent, left, doing).await?;
                let behind = answers.pop();
                Ok(Answered { answers, behind })
            }
            None => Err(error::timed_out(doing, &self.place, limit)),
        }
    }

    fn join_changes(
        &self,
        commands: Vec<Command>,
        wait: &Command,
        limit: Duration,
    ) -> oneshot::Receiver<Result<Answered, Error>> {
        let (answer, receiver) = oneshot::channel();
        let runtime = Handle::current();
        let id = runtime.id();
        let changes = Changes { commands, answer };
        let (is_first, ()) = self.replicated.0.change(id, |waiting| waiting.push(changes));
        if is_first {
            let (sending, wait) = (Sending { link: self.clone(), id }, wait.clone());
            runtime.spawn(async move {
                // Those that come at once go together.
                tokio::task::yield_now().await;
                let Sending { link, .. } = &sending;
                while let Some(waiting) = link.replicated.0.take_turn(id, Vec::is_empty) {
                    link.change_all(waiting, &wait, limit).await;
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
