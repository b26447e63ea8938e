//! Reads that are asked for at once, and sent together.
//!
//! The client carries each command to the task that drives the connection, and each answer back: under load that
//! costs more than the server. So while other reads are under way, those that come wait until the runtime has
//! nothing else to do, and go as one pipeline. A read that comes alone goes at once.
//!
//! What is sent for many is sent by a task of its own, so that a caller that goes away, or is kept and not polled,
//! takes nothing from the others.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::Error;
use redis::{Pipeline, RedisError, Value};
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::alone::Alone;
use super::deadline::Term;
use super::{Answers, Link, Request};
use crate::command::Command;
use crate::command::gets::Gets;
use crate::error;

/// So many calls are sent at once, however many wait.
const MOST: usize = 128;

/// The reads of one link.
#[derive(Default)]
pub(super) struct Gather {
    underway: AtomicUsize,
    /// What waits on each runtime: a task on one that stands still sends nothing, also not for others.
    waiting: Mutex<Vec<(Id, Vec<Read>)>>,
}

/// The commands of one call.
struct Read {
    commands: Vec<Command>,
    answer: oneshot::Sender<Result<Answers, Error>>,
}

/// A call that is under way.
struct Underway<'a>(&'a Gather);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.underway.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Reads values, together with others that are read at the time, and waits for them, `limit` at most. Answers
    /// all that is asked for at once.
    pub(crate) async fn get(
        &self,
        gets: Gets<'_>,
        limit: Duration,
        doing: &'static str,
    ) -> Result<Result<Value, RedisError>, Error> {
        let is_alone = self.gather.underway.fetch_add(1, Ordering::Relaxed) == 0;
        let _underway = Underway(&self.gather);
        let mut left = limit;
        if is_alone {
            match self.read_alone(&gets.packed(), limit).await {
                Alone::Answered(answer) => return Ok(answer),
                Alone::TooLate => return Err(error::timed_out(doing, &self.place, limit)),
                Alone::NotSent => {}
                Alone::Broken(Duration::ZERO) => return Err(error::timed_out(doing, &self.place, limit)),
                Alone::Broken(for_another) => left = for_another,
            }
        }
        // In a box, so that a read that is alone is small.
        Box::pin(async move {
            let commands = || vec![gets.command()];
            let answer = match is_alone {
                true => self.within(left, doing, self.send_commands(&commands(), left)).await,
                false => self.read_together(commands, limit, doing).await,
            };
            Ok(answer?.pop().unwrap_or(Ok(Value::Nil)))
        })
        .await
    }

    /// Sends commands that only read, together with those of others, and waits for their answers, `limit` at most.
    #[cfg(feature = "cluster")]
    pub(crate) async fn read(
        &self,
        commands: impl Fn() -> Vec<Command>,
        limit: Duration,
        doing: &'static str,
    ) -> Result<Answers, Error> {
        let is_alone = self.gather.underway.fetch_add(1, Ordering::Relaxed) == 0;
        let _underway = Underway(&self.gather);
        if is_alone {
            let (commands, mut left) = (commands(), limit);
            if let [one] = &commands[..] {
                match self.read_alone(&one.cmd().get_packed_command(), limit).await {
                    Alone::Answered(answer) => return Ok(vec![answer]),
                    Alone::TooLate => return Err(error::timed_out(doing, &self.place, limit)),
                    Alone::NotSent => {}
                    Alone::Broken(Duration::ZERO) => return Err(error::timed_out(doing, &self.place, limit)),
                    Alone::Broken(for_another) => left = for_another,
                }
            }
            return self.within(left, doing, self.send_commands(&commands, left)).await;
        }
        self.read_together(commands, limit, doing).await
    }

    async fn read_together(
        &self,
        commands: impl Fn() -> Vec<Command>,
        limit: Duration,
        doing: &'static str,
    ) -> Result<Answers, Error> {
        match Term::of(limit).keep(pin!(self.join(commands(), limit, doing))).await {
            Some(Ok(answered)) => answered,
            // The runtime that was to send it has ended.
            Some(Err(_)) => Box::pin(self.run(&commands(), limit, doing)).await,
            None => Err(error::timed_out(doing, &self.place, limit)),
        }
    }

    /// Waits for others to come, too.
    fn join(
        &self,
        commands: Vec<Command>,
        limit: Duration,
        doing: &'static str,
    ) -> oneshot::Receiver<Result<Answers, Error>> {
        let (answer, receiver) = oneshot::channel();
        let runtime = Handle::current();
        let id = runtime.id();
        let (is_first, full) = self.gather.add(id, Read { commands, answer });
        if let Some(full) = full {
            runtime.spawn(self.clone().send_all(full, limit, doing));
        }
        if is_first {
            let link = self.clone();
            runtime.spawn(async move {
                tokio::task::yield_now().await;
                let reads = link.gather.take(id);
                link.send_all(reads, limit, doing).await;
            });
        }
        receiver
    }

    async fn send_all(self, reads: Vec<Read>, limit: Duration, doing: &'static str) {
        if reads.is_empty() {
            return;
        }
        let mut pipeline = Pipeline::with_capacity(reads.iter().map(|read| read.commands.len()).sum());
        let mut callers = Vec::with_capacity(reads.len());
        for Read { commands, answer } in reads {
            callers.push((commands.len(), answer));
            for command in commands {
                pipeline.add_command(command.into_cmd());
            }
        }
        let answered = self.within(limit, doing, self.send(Request::Several(&pipeline), limit)).await;
        match answered {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for (count, caller) in callers {
                    // A caller that went away does not want it.
                    let _ = caller.send(Ok(answers.by_ref().take(count).collect()));
                }
            }
            Err(error) => callers.into_iter().for_each(|(_, caller)| {
                let _ = caller.send(Err(error.clone()));
            }),
        }
    }
}

impl Gather {
    /// Adds a read; tells whether it is the first that waits, and gives back all if they are enough.
    fn add(&self, id: Id, read: Read) -> (bool, Option<Vec<Read>>) {
        let mut waiting = self.lock();
        let place = waiting.iter().position(|(other, _)| *other == id);
        let reads = match place {
            Some(place) => &mut waiting[place].1,
            None => {
                waiting.push((id, Vec::with_capacity(MOST / 4)));
                let last = waiting.len() - 1;
                &mut waiting[last].1
            }
        };
        reads.push(read);
        let full = (reads.len() >= MOST).then(|| std::mem::take(reads));
        (place.is_none(), full)
    }

    /// Takes all that wait on a runtime.
    fn take(&self, id: Id) -> Vec<Read> {
        let mut waiting = self.lock();
        let place = waiting.iter().position(|(other, _)| *other == id);
        place.map_or_else(Vec::new, |place| waiting.swap_remove(place).1)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Id, Vec<Read>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
