//! The servers behind a [`Redis`](crate::Redis): one, or a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::Error;
#[cfg(feature = "cluster")]
use cache_core::ErrorKind;
use redis::{RedisError, Value};

use crate::clock::Moment;
#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::command::Command;
use crate::command::gets::{Gets, Got};
use crate::command::reply::{self, Failure};
use crate::config::{Config, WaitReplicas};
use crate::connection::links::Links;
use crate::connection::place::Place;
use crate::connection::replicated::Answered;
use crate::connection::traffic::Lane;
use crate::connection::{Answer, Answers};
use crate::error;
use crate::join;
use crate::recent::{Recent, Share};
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinels;
use crate::url::Arrangement;

/// So many values are asked for in one command, of several that go at once: a server does nothing else meanwhile.
const AT_ONCE: usize = 64;

/// The servers, with the connections to them.
#[derive(Debug)]
pub(crate) enum Servers {
    One {
        place: Place,
        links: Links,
        recent: Arc<Recent>,
    },
    #[cfg(feature = "cluster")]
    Cluster {
        cluster: Cluster,
        recent: Arc<Recent>,
    },
}

/// What became of changes.
pub(crate) struct Changed {
    pub(crate) answers: Answers,
    /// How many replicas have them, if that was asked for; of several servers the least.
    pub(crate) replicas: Option<i64>,
}

impl Servers {
    pub(crate) fn new(config: &Arc<Config>) -> Self {
        let recent = Arc::<Recent>::default();
        match &config.servers {
            Arrangement::Alone(address) => {
                let place = Place::At(address.clone());
                Self::One { links: Links::new(config, &place, Share::all(&recent)), place, recent }
            }
            #[cfg(feature = "sentinel")]
            Arrangement::Sentinels { sentinels, primary } => {
                let sentinels = Sentinels::new(sentinels.clone(), primary.clone());
                let place = Place::Primary(Arc::new(sentinels));
                Self::One { links: Links::new(config, &place, Share::all(&recent)), place, recent }
            }
            #[cfg(feature = "cluster")]
            Arrangement::Cluster(nodes) => {
                let cluster = Cluster::new(Arc::clone(config), nodes, Arc::clone(&recent));
                Self::Cluster { cluster, recent }
            }
        }
    }

    /// Makes sure that there is a connection.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        match self {
            Self::One { links, .. } => links.connect().await,
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => cluster.connect().await,
        }
    }

    /// Sends commands, and waits for their answers, the limit of `lane` at most. They may run in any order.
    pub(crate) async fn run(&self, lane: Lane, commands: &[Command], doing: &str) -> Result<Answers, Error> {
        match self {
            Self::One { links, .. } => links.run(lane, commands, doing).await,
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => {
                let parts = Box::pin(cluster.run(lane, commands, None, doing)).await;
                parts.into_iter().map(|part| part.outcome).collect()
            }
        }
    }

    /// Reads values, together with those of others.
    pub(crate) async fn get(&self, lane: Lane, names: &[&str], doing: &'static str) -> Result<Got, Error> {
        match self {
            Self::One { links, .. } => links.get(lane, Gets::AtOnce, names, doing).await,
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => cluster.get(lane, names, doing).await,
        }
    }

    /// Reads what is stored under many names, and answers for each of them.
    pub(crate) async fn get_many(
        &self,
        lane: Lane,
        names: &[&str],
        doing: &'static str,
    ) -> Vec<Result<Answer, Error>> {
        match self {
            Self::One { .. } => {
                let some = names.chunks(AT_ONCE);
                let got = join::all(some.clone().map(|some| self.get(lane, some, doing))).await;
                let each = some.zip(got).flat_map(|(some, got)| {
                    let count = some.len();
                    let answers =
                        got.and_then(|got| got.each(count).map_err(|failure| self.failed(doing, failure)));
                    match answers {
                        Ok(answers) => answers.into_iter().map(Ok).collect::<Vec<_>>(),
                        Err(error) => some.iter().map(|_| Err(error.clone())).collect(),
                    }
                });
                each.collect()
            }
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => {
                let commands: Vec<_> = names.iter().map(|name| Command::on_key("GET", name)).collect();
                let parts = Box::pin(cluster.run(lane, &commands, None, doing)).await;
                parts.into_iter().map(|part| part.outcome).collect()
            }
        }
    }

    /// Sends a command that any of the servers can answer.
    pub(crate) async fn anywhere(
        &self,
        lane: Lane,
        command: Command,
        doing: &str,
    ) -> Result<Option<Result<Value, RedisError>>, Error> {
        match self {
            Self::One { links, .. } => Ok(links.run(lane, &[command], doing).await?.pop()),
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => Box::pin(cluster.anywhere(lane, command, doing)).await.map(Some),
        }
    }

    /// Sends a message, by one server after the other.
    pub(crate) async fn publish(
        &self,
        lane: Lane,
        command: Command,
        doing: &str,
    ) -> Result<Option<Result<Value, RedisError>>, Error> {
        match self {
            Self::One { .. } => self.anywhere(lane, command, doing).await,
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => {
                Box::pin(cluster.publish_by_turns(lane, command, doing)).await.map(Some)
            }
        }
    }

    /// Makes changes that keep old values from being served, and waits for replicas to have them. What is made is
    /// remembered, for the case that another server takes over.
    pub(crate) async fn change(
        &self,
        lane: Lane,
        commands: &[Command],
        wait: Option<WaitReplicas>,
        doing: &str,
    ) -> Result<Changed, Error> {
        let waiting = wait.map(|wait| {
            let timeout = u64::try_from(wait.timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            Command::plain("WAIT").arg(wait.count).arg(timeout.max(1))
        });
        let began = Moment::now();
        loop {
            let limit = lane.limit.saturating_sub(began.elapsed());
            let sending = self.change_once(Lane { limit, ..lane }, commands, waiting.as_ref(), doing);
            if let Some(changed) = sending.await? {
                return Ok(changed);
            }
        }
    }

    /// Makes changes. `None` if another server was found meanwhile, which may lack them.
    async fn change_once(
        &self,
        lane: Lane,
        commands: &[Command],
        waiting: Option<&Command>,
        doing: &str,
    ) -> Result<Option<Changed>, Error> {
        let sent = match waiting {
            // With their texts: a script that is sent again because the server forgot it would come after the `WAIT`.
            Some(_) => commands
                .iter()
                .map(|command| command.with_text().unwrap_or_else(|| command.clone()))
                .collect(),
            None => commands.to_vec(),
        };
        match self {
            Self::One { links, recent, .. } => {
                let moves = recent.moves();
                let Answered { answers, behind: waited } = links.change(lane, &sent, waiting, doing).await?;
                let made = commands.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
                if !recent.note(moves, made.map(|(command, _)| command.clone())) {
                    return Ok(None);
                }
                // What was not made says so itself: it is to be repeated, and replicas have nothing to wait for.
                let waited = waited.filter(|_| answers.iter().all(Result::is_ok));
                let replicas = waited.map(reply::count).transpose().map_err(|e| self.failed(doing, e))?;
                Ok(Some(Changed { answers, replicas }))
            }
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, recent } => {
                let moves = recent.moves();
                let parts = Box::pin(cluster.run(lane, &sent, waiting, doing)).await;
                let made = commands.iter().zip(&parts).filter(|(_, part)| matches!(part.outcome, Ok(Ok(_))));
                // Both at the same moment: what is kept for a node that takes over is not superfluous.
                let made = made.map(|(command, _)| command).inspect(|command| cluster.is_made(command));
                if !recent.note(moves, made.cloned()) {
                    return Ok(None);
                }
                let (mut changed, mut failed) = (Changed { answers: Vec::new(), replicas: None }, Vec::new());
                for (command, part) in commands.iter().zip(parts) {
                    match part.outcome {
                        Err(error) => failed.push((command, error)),
                        Ok(Err(error)) if error::of(doing, error.clone()).kind() == ErrorKind::Refused => {
                            failed.push((command, self.failed(doing, error.into())));
                        }
                        Ok(answer) => {
                            let waited = part.behind.map(reply::count).transpose();
                            let waited = waited.map_err(|e| self.failed(doing, e))?;
                            changed.replicas = changed.replicas.into_iter().chain(waited).min();
                            changed.answers.push(answer);
                        }
                    }
                }
                if failed.is_empty() { Ok(Some(changed)) } else { Err(cluster.postpone(doing, &failed)) }
            }
        }
    }

    /// Messages that were sent are not heard. So what sends may be at another server than what listens: all
    /// connections are made anew. In a cluster each node passes them on to all.
    pub(crate) fn leave(&self) {
        match self {
            Self::One { links, .. } => links.leave(),
            #[cfg(feature = "cluster")]
            Self::Cluster { .. } => {}
        }
    }

    /// Where to listen to the bus; not where it was done last, if there is a choice.
    pub(crate) async fn ear(&self, last: Option<&Place>) -> Result<Place, Error> {
        match self {
            Self::One { place, .. } => {
                let _no_choice = last;
                Ok(place.clone())
            }
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => cluster.ear(last).await,
        }
    }

    /// By how much the clocks of two of the servers may differ.
    pub(crate) fn clock_difference(&self) -> Duration {
        match self {
            Self::One { .. } => Duration::ZERO,
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => cluster.clock_difference(),
        }
    }

    /// An error of a call to them.
    pub(crate) fn failed(&self, doing: &str, failure: Failure) -> Error {
        error::of_call(doing, self, failure)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { place, .. } => place.fmt(f),
            #[cfg(feature = "cluster")]
            Self::Cluster { cluster, .. } => cluster.fmt(f),
        }
    }
}
