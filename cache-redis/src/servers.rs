//! The servers behind a [`Redis`](crate::Redis): one, or a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::Error;
use redis::{RedisError, Value};

#[cfg(feature = "cluster")]
use crate::cluster::{Cluster, Part};
use crate::command::Command;
use crate::command::reply::{self, Failure};
use crate::config::{Config, WaitReplicas};
use crate::connection::Answers;
use crate::connection::links::Links;
use crate::connection::place::Place;
use crate::connection::traffic::{Lane, Way};
use crate::error;
use crate::url::Arrangement;

/// The servers, with the connections to them.
#[derive(Debug)]
pub(crate) enum Servers {
    One {
        place: Place,
        links: Links,
    },
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
}

/// What became of commands that replicas were to have.
pub(crate) struct Replicated {
    pub(crate) answers: Answers,
    /// How many replicas have them; of several servers the least.
    pub(crate) replicas: Result<i64, Failure>,
}

impl Servers {
    pub(crate) fn new(config: &Arc<Config>) -> Self {
        match &config.servers {
            Arrangement::Alone(address) => {
                let place = Place::At(address.clone());
                Self::One { links: Links::new(config, &place), place }
            }
            #[cfg(feature = "cluster")]
            Arrangement::Cluster(nodes) => Self::Cluster(Cluster::new(Arc::clone(config), nodes)),
        }
    }

    /// Makes sure that there is a connection.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        match self {
            Self::One { links, .. } => links.of(Way::Small).connect().await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.connect().await,
        }
    }

    /// Sends commands, and waits for their answers, the limit of `lane` at most. They may run in any order.
    pub(crate) async fn run(&self, lane: Lane, commands: &[Command], doing: &str) -> Result<Answers, Error> {
        match self {
            Self::One { links, .. } => links.of(lane.way).run(commands, lane.limit, doing).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                let parts = Box::pin(cluster.run(lane, commands, None, doing)).await;
                parts.into_iter().map(|part| part.outcome).collect()
            }
        }
    }

    /// Sends commands that only read; small ones together with those of others.
    pub(crate) async fn read(
        &self,
        lane: Lane,
        commands: impl Fn() -> Vec<Command>,
        doing: &'static str,
    ) -> Result<Answers, Error> {
        match self {
            Self::One { links, .. } if lane.way == Way::Small => {
                links.of(lane.way).read(commands, lane.limit, doing).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) if lane.way == Way::Small => {
                Box::pin(cluster.read(lane, commands, doing)).await
            }
            _ => Box::pin(async { self.run(lane, &commands(), doing).await }).await,
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
            Self::One { links, .. } => Ok(links.of(lane.way).run(&[command], lane.limit, doing).await?.pop()),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => Box::pin(cluster.anywhere(lane, command, doing)).await.map(Some),
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
            Self::Cluster(cluster) => {
                Box::pin(cluster.publish_by_turns(lane, command, doing)).await.map(Some)
            }
        }
    }

    /// Sends commands, and waits for replicas to have them.
    pub(crate) async fn replicate(
        &self,
        lane: Lane,
        commands: Vec<Command>,
        wait: WaitReplicas,
        doing: &str,
    ) -> Result<Replicated, Error> {
        let timeout = u64::try_from(wait.timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        // With their texts: a script that is sent again because the server forgot it would come after the `WAIT`.
        let commands: Vec<_> =
            commands.into_iter().map(|command| command.with_text().unwrap_or(command)).collect();
        let waiting = Command::plain("WAIT").arg(wait.count).arg(timeout);
        match self {
            Self::One { links, .. } => {
                let mut all = commands;
                all.push(waiting);
                let mut answers = links.of(lane.way).run(&all, lane.limit, doing).await?;
                let replicas = answers.pop().map_or(Err(Failure::Misfit), reply::count);
                Ok(Replicated { answers, replicas })
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                Replicated::of(Box::pin(cluster.run(lane, &commands, Some(&waiting), doing)).await)
            }
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
            Self::Cluster(cluster) => cluster.ear(last).await,
        }
    }

    /// By how much the clocks of two of the servers may differ.
    pub(crate) fn clock_difference(&self) -> Duration {
        match self {
            Self::One { .. } => Duration::ZERO,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.clock_difference(),
        }
    }

    /// An error of a call to them.
    pub(crate) fn failed(&self, doing: &str, failure: Failure) -> Error {
        error::of_call(doing, self, failure)
    }
}

#[cfg(feature = "cluster")]
impl Replicated {
    fn of(parts: Vec<Part>) -> Result<Self, Error> {
        let mut replicated = Self { answers: Vec::with_capacity(parts.len()), replicas: Ok(i64::MAX) };
        for part in parts {
            replicated.answers.push(part.outcome?);
            let waited = part.behind.map_or(Err(Failure::Misfit), reply::count);
            replicated.replicas = match (replicated.replicas, waited) {
                (Ok(least), Ok(count)) => Ok(least.min(count)),
                (Err(failure), _) | (_, Err(failure)) => Err(failure),
            };
        }
        Ok(replicated)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { place, .. } => place.fmt(f),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}
