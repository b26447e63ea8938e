//! The link to the server: one connection that all calls share, made when needed and made again when it broke.

mod admit;
mod deadline;
mod dial;
mod direct;
mod gather;
pub(crate) mod links;
pub(crate) mod open;
pub(crate) mod place;
pub(crate) mod replicated;
mod room;
mod runtimes;
mod siblings;
mod silence;
mod socket;
pub(crate) mod traffic;

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::{Error, ErrorKind};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use self::deadline::Term;
use self::dial::Opened;
use self::gather::Gather;
use self::place::Place;
use self::replicated::Replicated;
use self::siblings::Siblings;
use self::silence::Silence;
use self::socket::Socket;
use crate::clock::Moment;
use crate::command::Command;
use crate::config::Config;
use crate::error::{self, Verdict};

/// A connection that works, but not as it should, is replaced at most once in this time.
const REPLACE_EVERY: Duration = Duration::from_millis(300);
/// How many time limits a connection may be silent.
const SILENT_LIMITS: u32 = 3;

/// The answers to commands, in their order.
pub(crate) type Answers = Vec<Answer>;

/// What the server answered to one.
pub(crate) type Answer = Result<Value, RedisError>;

/// One connection for many callers.
///
/// Every call has one deadline over all it waits for. A caller that goes away takes nothing with it: connecting
/// is a task of its own, and all who need the connection wait for the same attempt.
#[derive(Clone)]
pub(crate) struct Link {
    config: Arc<Config>,
    place: Place,
    siblings: Arc<Siblings>,
    slot: Arc<Mutex<Slot>>,
    gather: Arc<Gather>,
    replicated: Arc<Replicated>,
}

/// What is sent at once.
#[derive(Clone, Copy)]
enum Request<'a> {
    One(&'a Cmd),
    Several(&'a Pipeline),
}

#[derive(Default)]
struct Slot {
    current: Option<Arc<Live>>,
    attempt: Option<Attempt>,
    replaced: Option<Moment>,
}

/// A connection that was made.
struct Live {
    opened: Opened,
    silence: Silence,
    /// It is not used beyond it.
    era: u64,
}

/// A connection in the making.
#[derive(Clone)]
struct Attempt {
    outcome: watch::Receiver<Option<Result<Arc<Live>, Error>>>,
    began: Moment,
    runtime: Id,
}

impl Link {
    fn new(config: Arc<Config>, place: Place, siblings: Arc<Siblings>) -> Self {
        Self {
            config,
            place,
            siblings,
            slot: Arc::default(),
            gather: Arc::default(),
            replicated: Arc::default(),
        }
    }

    /// Sends commands and waits for their answers, `limit` at most.
    ///
    /// Several go as a pipeline. In a cluster each goes to the node of its keys, so they may run in any order, and
    /// each of them runs or not.
    ///
    /// What was lost with its connection is sent once more: every call of the contract may be repeated.
    pub(crate) async fn run(
        &self,
        commands: &[Command],
        limit: Duration,
        doing: &str,
    ) -> Result<Answers, Error> {
        self.within(limit, doing, self.send_scripts(commands, limit)).await
    }

    /// Waits for answers, `limit` at most.
    async fn within(
        &self,
        limit: Duration,
        doing: &str,
        answers: impl Future<Output = Result<Answers, Lost>>,
    ) -> Result<Answers, Error> {
        match Term::of(limit).keep(pin!(answers)).await {
            Some(Ok(answers)) => Ok(answers),
            Some(Err(Lost::ByClient(error))) => Err(error::of(&format!("{doing} at {}", self.place), error)),
            Some(Err(Lost::Connecting(error))) => Err(error),
            None => Err(error::timed_out(doing, &self.place, limit)),
        }
    }

    /// Makes sure that there is a connection.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        self.live().await.map(|_| ())
    }

    async fn send_scripts(&self, commands: &[Command], limit: Duration) -> Result<Answers, Lost> {
        let mut answers = self.send_commands(commands, limit).await?;
        // The server forgets its scripts when it restarts, and when told to.
        let forgotten = |answer: &Result<Value, RedisError>| {
            answer.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"))
        };
        let places: Vec<usize> = (0..answers.len()).filter(|&at| forgotten(&answers[at])).collect();
        if !places.is_empty() {
            let again: Vec<Command> = places.iter().filter_map(|&at| commands[at].with_text()).collect();
            let repeated = self.send_commands(&again, limit).await?;
            for (at, answer) in places.into_iter().zip(repeated) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }

    async fn send_commands(&self, commands: &[Command], limit: Duration) -> Result<Answers, Lost> {
        if let [one] = commands {
            return self.send(Request::One(one.cmd()), limit).await;
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.cmd().clone());
        }
        self.send(Request::Several(&pipeline), limit).await
    }

    async fn send(&self, request: Request<'_>, limit: Duration) -> Result<Answers, Lost> {
        match self.send_once(request, limit).await {
            Err(Lost::ByClient(error)) if error::is_dropped(&error) => {
                Box::pin(self.send_once(request, limit)).await
            }
            other => other,
        }
    }

    async fn send_once(&self, request: Request<'_>, limit: Duration) -> Result<Answers, Lost> {
        let live = match self.current() {
            Some(live) => live,
            None => Box::pin(self.live()).await.map_err(Lost::Connecting)?,
        };
        let mut waiting =
            Waiting { link: self, live: &live, began: Moment::now(), limit, is_answered: false };
        let (count, answered) = live.answer(request).await;
        waiting.is_answered = true;
        match answered {
            Ok(values) if values.len() == count => {
                live.silence.ends();
                let answers: Answers = values.into_iter().map(split).collect();
                // After a fail-over the name may lead to another server.
                if answers.iter().any(|a| a.as_ref().is_err_and(|e| self.is_elsewhere(e))) {
                    self.leave(&live);
                }
                Ok(answers)
            }
            Ok(_) => {
                self.discard(&live);
                let short = (redis::ErrorKind::Parse, "the server gave fewer answers than asked for");
                Err(Lost::ByClient(short.into()))
            }
            Err(error) => {
                // The client gives such an error when the connection is lost, or out of step.
                self.discard(&live);
                Err(Lost::ByClient(error))
            }
        }
    }

    /// Whether another connection may lead to another server. A node of a cluster names it instead.
    fn is_elsewhere(&self, error: &RedisError) -> bool {
        Verdict::of(error) == Verdict::Elsewhere
            && !(self.config.is_cluster() && error.redirect_node().is_some())
    }

    /// The connection, if there is one that leads where the others do.
    fn current(&self) -> Option<Arc<Live>> {
        lock(&self.slot).of_era(self.siblings.era())
    }

    /// The connection; waits for it to be made.
    async fn live(&self) -> Result<Arc<Live>, Error> {
        loop {
            let mut attempt = {
                let mut slot = lock(&self.slot);
                if let Some(live) = slot.of_era(self.siblings.era()) {
                    return Ok(live);
                }
                // An attempt can outlast its own limit if the runtime that makes it stands still.
                let too_long = self.config.connect_limit() + self.config.time_limit;
                match &slot.attempt {
                    Some(attempt) if attempt.began.elapsed() < too_long => attempt.clone(),
                    _ => slot.attempt.insert(self.begin()).clone(),
                }
            };
            let outcome =
                attempt.outcome.wait_for(Option::is_some).await.ok().and_then(|known| known.clone());
            match outcome {
                // Meanwhile another one has found another server.
                Some(Ok(live)) if live.era != self.siblings.era() => continue,
                Some(outcome) => return outcome,
                None => {}
            }
            // The task is gone without an outcome: so is the runtime that drove it. This one makes another.
            {
                let mut slot = lock(&self.slot);
                if slot.attempt.as_ref().is_some_and(|it| it.outcome.same_channel(&attempt.outcome)) {
                    slot.attempt = None;
                }
            }
            if attempt.runtime == Handle::current().id() {
                return Err(self.cannot_connect());
            }
        }
    }

    /// A task that connects has ended on this very runtime, by a panic.
    #[cold]
    fn cannot_connect(&self) -> Error {
        let what = format!(
            "connecting to Redis at {}: it panicked; it needs a tokio runtime with I/O and time, so build that with `enable_all()`",
            self.place
        );
        Error::new(ErrorKind::Configuration, what)
    }

    /// Begins an attempt, in a task of its own.
    fn begin(&self) -> Attempt {
        let (sender, outcome) = watch::channel(None);
        let (config, place) = (Arc::clone(&self.config), self.place.clone());
        let siblings = Arc::clone(&self.siblings);
        let (slot, own) = (Arc::downgrade(&self.slot), outcome.clone());
        tokio::spawn(async move {
            let opened = open::for_commands(&config, &place, &siblings)
                .await
                .map(|(opened, era)| Arc::new(Live { opened, silence: Silence::new(Moment::now()), era }));
            if let Some(slot) = slot.upgrade() {
                let mut slot = lock(&slot);
                if slot.attempt.as_ref().is_some_and(|current| current.outcome.same_channel(&own)) {
                    slot.attempt = None;
                    slot.current = opened.as_ref().ok().map(Arc::clone);
                }
            }
            sender.send_replace(Some(opened));
        });
        Attempt { outcome, began: Moment::now(), runtime: Handle::current().id() }
    }

    /// Lets go of a connection that is lost.
    fn discard(&self, live: &Arc<Live>) {
        let mut slot = lock(&self.slot);
        if slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live)) {
            slot.current = None;
        }
    }

    /// Lets go of a connection that works, but not as it should; not too often, since the next may be no better.
    /// Tells whether it has.
    fn replace(&self, live: &Arc<Live>) -> bool {
        let mut slot = lock(&self.slot);
        if slot.replaced.is_some_and(|last| last.elapsed() < REPLACE_EVERY) {
            return false;
        }
        let is_current = slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live));
        if is_current {
            slot.current = None;
            slot.replaced = Some(Moment::now());
        }
        is_current
    }

    /// Lets go of a connection whose server says that another one is to be asked, and of those beside it.
    fn leave(&self, live: &Arc<Live>) {
        if self.replace(live) {
            self.siblings.leave(live.era);
        }
    }
}

impl Slot {
    /// The connection, if it is of this era. One of another is let go: calls under way end on it.
    fn of_era(&mut self, era: u64) -> Option<Arc<Live>> {
        self.current.take_if(|live| live.era != era);
        self.current.clone()
    }
}

impl Live {
    /// Sends a request and waits for its answers: so many, if all is well.
    async fn answer(&self, request: Request<'_>) -> (usize, Result<Vec<Value>, RedisError>) {
        let carried = self.opened.socket.as_deref().map(Socket::carry);
        let mut connection = self.opened.connection.clone();
        let (count, answered) = match request {
            Request::One(cmd) => (1, connection.send_packed_command(cmd).await.map(|answer| vec![answer])),
            Request::Several(pipeline) => {
                let count = pipeline.len();
                (count, connection.send_packed_commands(pipeline, 0, count).await)
            }
        };
        if answered.is_ok()
            && let Some(carried) = carried
        {
            carried.answered();
        }
        (count, answered)
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer, or the error that it is.
pub(crate) fn split(value: Value) -> Answer {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// Why nothing was answered.
enum Lost {
    /// There was no connection to be had.
    Connecting(Error),
    /// There was one, and it broke.
    ByClient(RedisError),
}

/// A call under way. Whether it ends by the deadline or is dropped by its caller at about that time, it has waited
/// in vain.
struct Waiting<'a> {
    link: &'a Link,
    live: &'a Arc<Live>,
    began: Moment,
    limit: Duration,
    is_answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let now = Moment::now();
        // Callers have deadlines of their own, of about the same length.
        if now.since(self.began) < self.limit * 4 / 5 {
            return;
        }
        // A little less, since the third call in vain ends at about three limits.
        if self.live.silence.lasts(self.began, now) >= self.limit * SILENT_LIMITS * 9 / 10 {
            self.link.replace(self.live);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("place", &self.place)
            .field("is_connected", &lock(&self.slot).current.is_some())
            .finish_non_exhaustive()
    }
}
