//! One node of a cluster: its connections, whether it answers, and how its clock goes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::backend::ServerTime;
use cache_core::{Error, ErrorKind};

use super::guard::Guard;
use crate::address::Address;
use crate::clock::Moment;
use crate::command::Command;
use crate::command::gets::{Gets, Got};
use crate::command::reply;
use crate::config::Config;
use crate::connection::Answers;
use crate::connection::links::Links;
use crate::connection::place::Place;
use crate::connection::replicated::Answered;
use crate::connection::traffic::{Lane, Way};
use crate::recent::Share;

/// One node of a cluster.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    links: Links,
    guard: Guard,
    ahead: Mutex<Option<Ahead>>,
}

/// By how many µs a node's clock is ahead of this process's: at least, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Node {
    /// With the changes that it lacks when it comes back with an old snapshot.
    pub(super) fn new(config: &Arc<Config>, address: Address, recent: Share) -> Self {
        let links = Links::new(config, &Place::At(address.clone()), recent);
        Self { address, links, guard: Guard::default(), ahead: Mutex::default() }
    }

    /// Whether it has not answered lately, and is left alone.
    pub(super) fn is_away(&self) -> bool {
        self.guard.is_open()
    }

    /// Fails at once while the node is away.
    pub(super) fn is_there(&self, doing: &str) -> Result<(), Error> {
        if !self.is_away() {
            return Ok(());
        }
        let what = format!("{doing} at {}: it has not answered lately, and is left alone", self.address);
        Err(Error::new(ErrorKind::Unreachable, what))
    }

    /// Sends commands, and remembers how that went.
    pub(super) async fn run(&self, lane: Lane, commands: &[Command], doing: &str) -> Result<Answers, Error> {
        self.judged(self.links.run(lane, commands, doing).await)
    }

    /// The same for changes, with `wait` behind them if they are to wait for replicas.
    pub(super) async fn change(
        &self,
        lane: Lane,
        commands: &[Command],
        wait: Option<&Command>,
        doing: &str,
    ) -> Result<Answered, Error> {
        self.judged(self.links.change(lane, commands, wait, doing).await)
    }

    /// Reads values, together with those of others.
    pub(super) async fn get<N: AsRef<str>>(
        &self,
        lane: Lane,
        names: &[N],
        doing: &'static str,
    ) -> Result<Got, Error> {
        self.judged(self.links.get(lane, Gets::OneByOne, names, doing).await)
    }

    fn judged<T>(&self, answered: Result<T, Error>) -> Result<T, Error> {
        match &answered {
            Ok(_) => self.guard.succeeded(),
            Err(_) => self.guard.failed(),
        }
        answered
    }

    /// Asks for the node's time: whether it is there, and how its clock goes.
    pub(super) async fn probe(&self, limit: Duration, since: Moment) -> Result<(), Error> {
        let lane = Lane { way: Way::Small, limit };
        let asked = since.elapsed();
        let doing = "asking a node for its time";
        let answer = self.run(lane, &[Command::plain("TIME")], doing).await?.pop();
        let answered = since.elapsed();
        if let Some(Ok(time)) = answer.map(reply::time) {
            *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Ahead::between(time, asked, answered));
        }
        self.guard.close();
        Ok(())
    }

    /// How its clock goes, if that is known.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ahead {
    /// The clock showed `time` at some moment from `asked` to `answered`.
    fn between(time: ServerTime, asked: Duration, answered: Duration) -> Self {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let time = i64::try_from(time.micros()).unwrap_or(i64::MAX);
        Self {
            least: time.saturating_sub(micros(answered)),
            most: time.saturating_sub(micros(asked)).saturating_add(1),
        }
    }

    /// By how much two of these clocks may differ.
    pub(super) fn difference(aheads: &[Self]) -> Duration {
        let least = aheads.iter().map(|ahead| ahead.least).min().unwrap_or(0);
        let most = aheads.iter().map(|ahead| ahead.most).max().unwrap_or(0);
        Duration::from_micros(most.saturating_sub(least).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_differ_by_no_more_than_their_bounds() {
        let ms = Duration::from_millis;
        let at = |ms: u64| ServerTime::from_micros(ms * 1000);

        // Asked at 1 and answered at 3: 97 to 99 ms ahead; and 10 to 20 ms ahead.
        let aheads = [Ahead::between(at(100), ms(1), ms(3)), Ahead::between(at(30), ms(10), ms(20))];

        assert_eq!(Ahead::difference(&aheads), ms(89) + Duration::from_micros(1));
        assert_eq!(Ahead::difference(&aheads[..1]), ms(2) + Duration::from_micros(1));
        assert_eq!(Ahead::difference(&[]), ms(0));
    }
}
