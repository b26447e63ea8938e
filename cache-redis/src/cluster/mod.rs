//! A cluster: each command goes to the node that has its slot.
//!
//! The client's own cluster connection is not used: it repeats what the server has run, gives up no node that
//! hangs, and sends each command on its own. Here a node has the same connections as a server on its own, with
//! their limits and their reads that go together; on top there is the map of slots, the redirections, and one guard
//! for each node, so that a node which is away delays nobody who does not need it.

mod guard;
mod kept;
mod map;
mod node;
mod put;
mod reads;
mod redirect;
mod slot;
mod tend;
mod topology;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::{Error, ErrorKind};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::kept::Kept;
use self::map::Map;
use self::node::{Ahead, Node};
use self::tend::Tending;
use crate::address::Address;
use crate::chance;
use crate::clock::Moment;
use crate::command::Command;
use crate::config::Config;
use crate::connection::Answer;
use crate::connection::place::Place;
use crate::connection::replicated::Answered;
use crate::connection::traffic::Lane;
use crate::error;
use crate::join;
use crate::recent::Recent;

/// By how much the clocks of two nodes may differ that have not been asked yet.
const UNKNOWN_DIFFERENCE: Duration = Duration::from_secs(1);
/// By how much clocks may have drifted apart since they were asked.
const DRIFT: Duration = Duration::from_millis(5);

/// The connections to a cluster. Cloned for tasks.
#[derive(Clone)]
pub(crate) struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    seeds: Vec<Address>,
    known: watch::Sender<Known>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    tending: Mutex<Tending>,
    /// Rung when there is something to be made up for at once.
    bell: Arc<Notify>,
    /// What slots still lack.
    kept: Kept,
    recent: Arc<Recent>,
    /// Whose turn it is to carry a heartbeat.
    turn: AtomicUsize,
    /// What the clocks of nodes are compared with.
    origin: Moment,
}

/// What is known of the cluster.
#[derive(Default)]
struct Known {
    map: Option<Arc<Map>>,
    /// Why there is no newer map.
    failure: Option<Error>,
    /// How often the nodes were asked.
    rounds: u64,
}

/// The answer, or why there is none.
pub(crate) type Outcome = Result<Answer, Error>;

/// What became of one command.
pub(crate) struct Part {
    pub(crate) outcome: Outcome,
    /// The answer to what was sent behind it to the same node, on the same connection.
    pub(crate) behind: Option<Answer>,
}

impl Cluster {
    pub(crate) fn new(config: Arc<Config>, seeds: &[Address], recent: Arc<Recent>) -> Self {
        let inner = Inner {
            config,
            seeds: seeds.to_vec(),
            known: watch::Sender::default(),
            nodes: Mutex::default(),
            tending: Mutex::default(),
            bell: Arc::default(),
            kept: Kept::default(),
            recent,
            turn: AtomicUsize::new(0),
            origin: Moment::now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Keeps changes that failed, and makes them before anything else is asked of their slots. Answers why, or the
    /// failure itself if that cannot be done here: all nodes are away, or there are too many.
    pub(crate) fn postpone(&self, doing: &str, changes: &[(&Command, Error)]) -> Error {
        let is_one_there = self.current().is_some_and(|map| map.masters().iter().any(|node| !node.is_away()));
        for (change, error) in changes {
            let can_wait = error.kind() == ErrorKind::Refused && is_one_there;
            if !can_wait || !self.inner.kept.push(change) {
                return error.clone();
            }
        }
        self.attend();
        let first = changes.first().map(|(_, error)| error.clone()).unwrap_or_else(|| nobody(doing));
        first.with_kind(ErrorKind::Postponed)
    }

    /// A change was made.
    pub(crate) fn is_made(&self, change: &Command) {
        self.inner.kept.is_made(change);
    }

    /// Makes sure that the nodes are known.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        self.map("connecting to the cluster", self.inner.config.connect_limit()).await.map(drop)
    }

    /// Sends commands, and waits for their answers, the limit of `lane` at most. They run in any order. To each node
    /// that gets any, `behind` is sent after them.
    pub(crate) async fn run(
        &self,
        lane: Lane,
        commands: &[Command],
        behind: Option<&Command>,
        doing: &str,
    ) -> Vec<Part> {
        let began = Moment::now();
        let map = match self.map(doing, lane.limit).await {
            Ok(map) => map,
            Err(error) => return commands.iter().map(|_| Part::failed(&error)).collect(),
        };
        let lane = Lane { limit: lane.limit.saturating_sub(began.elapsed()), ..lane };
        let sent =
            self.grouped(&map, commands.iter().map(Asked::by), doing).into_iter().map(|group| async move {
                let answered = match &group.node {
                    Ok(node) => {
                        let own: Vec<_> = group.commands.iter().map(|&at| commands[at].clone()).collect();
                        self.known(node.change(lane, &own, behind, doing).await)
                    }
                    Err(error) => Err(error.clone()),
                };
                (group.commands, answered)
            });
        let parts = in_order(commands.len(), join::all(sent).await);
        self.redirected(lane, began, Sent { commands, behind }, parts, doing).await
    }

    /// Sends a command that any node can answer; to the first that is there.
    pub(crate) async fn anywhere(&self, lane: Lane, command: Command, doing: &str) -> Outcome {
        self.by_turns(0, lane, command, doing).await
    }

    /// Sends a message by one node after the other, so that in time each shows that it is heard.
    pub(crate) async fn publish_by_turns(&self, lane: Lane, command: Command, doing: &str) -> Outcome {
        self.look_now_and_then();
        self.by_turns(self.inner.turn.fetch_add(1, Ordering::Relaxed), lane, command, doing).await
    }

    async fn by_turns(&self, turn: usize, lane: Lane, command: Command, doing: &str) -> Outcome {
        let map = self.map(doing, lane.limit).await?;
        let there: Vec<_> = map.masters().iter().filter(|node| !node.is_away()).collect();
        // With all of them away, one is asked all the same: this is how it is found out that they are back.
        let nodes = if there.is_empty() { map.masters().iter().collect() } else { there };
        let mut last = None;
        for step in 0..nodes.len().min(2) {
            let node = nodes[(turn + step) % nodes.len()];
            match self.known(node.run(lane, std::slice::from_ref(&command), doing).await) {
                Ok(mut answers) => return answers.pop().ok_or_else(|| misfit(doing, node)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| nobody(doing)))
    }

    /// A node to listen at: one that is there, and another one than `last`, if there is any.
    pub(crate) async fn ear(&self, last: Option<&Place>) -> Result<Place, Error> {
        let map = self.map("listening to the bus", self.inner.config.connect_limit()).await?;
        let places =
            || map.nodes().filter(|node| !node.is_away()).map(|node| Place::At(node.address.clone()));
        let mut others: Vec<_> = places().filter(|place| Some(place) != last).collect();
        if others.is_empty() {
            others = places().collect();
        }
        if others.is_empty() {
            others = self.inner.seeds.iter().cloned().map(Place::At).collect();
        }
        let at = chance::bits() as usize % others.len().max(1);
        others.into_iter().nth(at).ok_or_else(|| nobody("listening to the bus"))
    }

    /// By how much the clock of a node may be ahead of that of another.
    pub(crate) fn clock_difference(&self) -> Duration {
        let Some(map) = self.current() else { return UNKNOWN_DIFFERENCE };
        let aheads: Option<Vec<Ahead>> = map.masters().iter().map(|node| node.ahead()).collect();
        aheads.map_or(UNKNOWN_DIFFERENCE, |aheads| Ahead::difference(&aheads) + DRIFT)
    }

    /// Which commands go to which node.
    fn grouped(&self, map: &Map, asked: impl Iterator<Item = Asked>, doing: &str) -> Vec<Group> {
        let (mut groups, mut failed) = (Vec::<Group>::new(), Vec::new());
        for (at, Asked { slot, is_change }) in asked.enumerate() {
            let owner = match slot {
                Some(slot) => map.owner(slot),
                None => map.masters().first(),
            };
            let lacks = !is_change && slot.is_some_and(|slot| self.inner.kept.concerns(slot));
            let node = match owner {
                Some(_) if lacks => Err(self.softened(map, lacking(doing))),
                Some(node) => {
                    node.is_there(doing).map(|()| Arc::clone(node)).map_err(|e| self.softened(map, e))
                }
                None => {
                    self.attend();
                    Err(self.softened(map, nobody(doing)))
                }
            };
            let Ok(asked) = &node else {
                failed.push(Group { node, commands: vec![at] });
                continue;
            };
            let is_it = |group: &&mut Group| group.node.as_ref().is_ok_and(|node| Arc::ptr_eq(node, asked));
            match groups.iter_mut().find(is_it) {
                Some(group) => group.commands.push(at),
                None => groups.push(Group { node, commands: vec![at] }),
            }
        }
        groups.append(&mut failed);
        groups
    }

    /// What a call to a node says of the cluster.
    fn known<T>(&self, answered: Result<T, Error>) -> Result<T, Error> {
        answered.map_err(|error| {
            self.attend();
            match self.current() {
                Some(map) => self.softened(&map, error),
                None => error,
            }
        })
    }

    /// One node is not the cluster: as long as another answers, what failed is refused, and not unreachable. So the
    /// cache goes on to ask.
    fn softened(&self, map: &Map, error: Error) -> Error {
        let is_one_there = map.masters().iter().any(|node| !node.is_away());
        match error.kind() {
            ErrorKind::Unreachable if is_one_there => error.with_kind(ErrorKind::Refused),
            _ => error,
        }
    }

    fn current(&self) -> Option<Arc<Map>> {
        self.inner.known.borrow().map.clone()
    }

    /// The map; asks for it if there is none yet.
    async fn map(&self, doing: &str, limit: Duration) -> Result<Arc<Map>, Error> {
        match self.current() {
            Some(map) => Ok(map),
            None => Box::pin(self.first_map(doing, limit)).await,
        }
    }

    async fn first_map(&self, doing: &str, limit: Duration) -> Result<Arc<Map>, Error> {
        let mut known = self.inner.known.subscribe();
        let before = known.borrow().rounds;
        self.attend();
        let waited =
            timeout(limit, known.wait_for(|known| known.map.is_some() || known.rounds > before)).await;
        match waited {
            Ok(Ok(known)) => match (&known.map, &known.failure) {
                (Some(map), _) => Ok(Arc::clone(map)),
                (None, Some(failure)) => Err(failure.clone()),
                (None, None) => Err(nobody(doing)),
            },
            Ok(Err(_)) => Err(nobody(doing)),
            Err(_) => Err(error::timed_out(doing, self, limit)),
        }
    }

    /// The node at an address.
    fn node(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.inner.nodes();
        let node = nodes.entry(address.clone());
        let new = || Arc::new(Node::new(&self.inner.config, address.clone(), self.share_of(address.clone())));
        Arc::clone(node.or_insert_with(new))
    }
}

impl Inner {
    fn nodes(&self) -> MutexGuard<'_, HashMap<Address, Arc<Node>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The commands of one node, by their places.
struct Group {
    /// It, or why it is not asked.
    node: Result<Arc<Node>, Error>,
    commands: Vec<usize>,
}

/// What decides who is asked.
struct Asked {
    slot: Option<u16>,
    is_change: bool,
}

impl Asked {
    fn by(command: &Command) -> Self {
        Self { slot: command.key().map(slot::of), is_change: command.is_change() }
    }

    fn to_read(name: &str) -> Self {
        Self { slot: Some(slot::of(name.as_bytes())), is_change: false }
    }
}

/// What was sent.
#[derive(Clone, Copy)]
struct Sent<'a> {
    commands: &'a [Command],
    behind: Option<&'a Command>,
}

impl Part {
    fn failed(error: &Error) -> Self {
        Self { outcome: Err(error.clone()), behind: None }
    }
}

/// Puts the answers of groups back into the order of the commands.
fn in_order(count: usize, groups: Vec<(Vec<usize>, Result<Answered, Error>)>) -> Vec<Part> {
    let mut parts: Vec<Option<Part>> = (0..count).map(|_| None).collect();
    for (places, answered) in groups {
        match answered {
            Ok(Answered { answers, behind }) => {
                for (at, answer) in places.into_iter().zip(answers) {
                    parts[at] = Some(Part { outcome: Ok(answer), behind: behind.clone() });
                }
            }
            Err(error) => places.into_iter().for_each(|at| parts[at] = Some(Part::failed(&error))),
        }
    }
    let missing = || Part::failed(&nobody("asking the cluster"));
    parts.into_iter().map(|part| part.unwrap_or_else(missing)).collect()
}

/// No node can be asked.
fn nobody(doing: &str) -> Error {
    let what = format!("{doing}: no node of the cluster is known that could do it; see `CLUSTER SLOTS`");
    Error::new(ErrorKind::Unreachable, what)
}

/// A slot lacks invalidations.
fn lacking(doing: &str) -> Error {
    let what = format!("{doing}: what was invalidated there is to be repeated first");
    Error::new(ErrorKind::Unreachable, what)
}

fn misfit(doing: &str, node: &Node) -> Error {
    error::of_call(doing, &node.address, crate::command::reply::Failure::Misfit)
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cluster of ")?;
        for (at, seed) in self.inner.seeds.iter().enumerate() {
            write!(f, "{}{seed}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("map", &self.current()).finish_non_exhaustive()
    }
}
