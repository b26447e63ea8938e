//! The connections for commands to one server, all made when needed.

use std::sync::Arc;

use cache_core::Error;

use super::place::Place;
use super::replicated::Answered;
use super::siblings::Siblings;
use super::traffic::{Lane, Way};
use super::{Answers, Link};
use crate::command::Command;
use crate::command::gets::{Gets, Got};
use crate::config::Config;
use crate::recent::Share;

/// The connections for commands to one server.
#[derive(Debug)]
pub(crate) struct Links {
    siblings: Arc<Siblings>,
    main: Link,
    large: Vec<Link>,
    waiting: Option<Link>,
}

impl Links {
    /// With the changes to be repeated on a server that takes the place of another.
    pub(crate) fn new(config: &Arc<Config>, place: &Place, recent: Share) -> Self {
        let siblings = Arc::new(Siblings::new(recent));
        let link = || Link::new(Arc::clone(config), place.clone(), Arc::clone(&siblings));
        Self {
            main: link(),
            large: (0..config.large_value_connections).map(|_| link()).collect(),
            waiting: config.wait_replicas.map(|_| link()),
            siblings,
        }
    }

    /// Uses no connection any more that is open now.
    pub(crate) fn leave(&self) {
        self.siblings.leave(self.siblings.era());
    }

    /// Makes sure that there is a connection for small values.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        self.main.connect().await
    }

    /// Sends commands and waits for their answers, the limit of `lane` at most.
    pub(crate) async fn run(&self, lane: Lane, commands: &[Command], doing: &str) -> Result<Answers, Error> {
        self.of(lane.way).run(commands, lane.limit, doing).await
    }

    /// The same for changes, with `wait` behind them if they are to wait for replicas.
    pub(crate) async fn change(
        &self,
        lane: Lane,
        commands: &[Command],
        wait: Option<&Command>,
        doing: &str,
    ) -> Result<Answered, Error> {
        let link = self.of(lane.way);
        match wait {
            Some(wait) => link.change(commands, wait, lane.limit, doing).await,
            None => {
                let answers = link.run(commands, lane.limit, doing).await?;
                Ok(Answered { answers, behind: None })
            }
        }
    }

    /// The connection of a kind.
    fn of(&self, way: Way) -> &Link {
        match way {
            Way::Small => &self.main,
            Way::Large(turn) => self.large.get(turn % self.large.len().max(1)).unwrap_or(&self.main),
            Way::Waiting => self.waiting.as_ref().unwrap_or(&self.main),
        }
    }

    /// Reads values: small ones together with those of others, large ones by themselves.
    pub(crate) async fn get<N: AsRef<str>>(
        &self,
        lane: Lane,
        gets: Gets,
        names: &[N],
        doing: &'static str,
    ) -> Result<Got, Error> {
        let link = self.of(lane.way);
        match lane.way {
            Way::Small => link.get(gets, names, lane.limit, doing).await,
            Way::Large(_) | Way::Waiting => {
                let names = names.iter().map(AsRef::as_ref);
                Box::pin(link.get_by_client(gets, names, lane.limit, doing)).await
            }
        }
    }
}
