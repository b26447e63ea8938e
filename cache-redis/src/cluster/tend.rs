//! Keeps the map of the cluster: asks the nodes for their slots when something points to a change, and probes those
//! that are away, until all is well again.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use cache_core::Error;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::map::Map;
use super::node::Node;
use super::topology::Topology;
use super::{Cluster, Inner, nobody};
use crate::chance;
use crate::clock::Moment;
use crate::command::Command;
use crate::connection::traffic::{Lane, Way};
use crate::error;
use crate::join;

/// So many nodes are asked for the slots: what most of them say counts, since one that is cut off does not know.
const ASKED: usize = 3;
/// The pause between two rounds: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// How often the nodes are asked at least: clocks drift, and so may what is known of the slots.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// By how much the task may be late before it counts as standing still.
const STANDSTILL: Duration = Duration::from_secs(5);

/// The task, if it runs.
#[derive(Debug, Default)]
pub(super) struct Tending {
    /// The number of the task that runs.
    running: Option<u64>,
    number: u64,
    /// When it was last at work.
    last: Option<Moment>,
    /// Whether something has happened since it began its round.
    is_wanted: bool,
}

impl Cluster {
    /// Something points to a change.
    pub(super) fn attend(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut tending = self.inner.tending.lock().unwrap_or_else(PoisonError::into_inner);
        tending.is_wanted = true;
        let stands_still = tending.last.is_some_and(|last| last.elapsed() > STANDSTILL);
        if tending.running.is_some() && !stands_still {
            return;
        }
        tending.number += 1;
        tending.running = Some(tending.number);
        tending.last = Some(Moment::now());
        let running = Running { inner: Arc::downgrade(&self.inner), number: tending.number };
        drop(tending);
        runtime.spawn(tend(running));
    }

    /// Looks without a reason, if that was not done for a while.
    pub(super) fn look_now_and_then(&self) {
        let tending = self.inner.tending.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = tending.last.is_none_or(|last| last.elapsed() > LOOK_EVERY);
        drop(tending);
        if is_due {
            self.attend();
        }
    }

    /// Asks some nodes for the slots, and takes what most of them say.
    async fn refresh(&self) -> Result<(), Error> {
        let doing = "asking the cluster for its slots";
        let limit = self.inner.config.connect_limit();
        let nodes = self.to_be_asked();
        let mut asking = JoinSet::new();
        for node in &nodes {
            let node = Arc::clone(node);
            asking.spawn(async move { slots(&node, limit, doing).await });
        }
        let mut votes: Vec<(Topology, usize)> = Vec::new();
        let mut failure = None;
        while let Some(answer) = asking.join_next().await {
            match answer {
                Ok(Ok(topology)) => match votes.iter_mut().find(|(known, _)| *known == topology) {
                    Some((_, count)) => *count += 1,
                    None => votes.push((topology, 1)),
                },
                Ok(Err(error)) => failure = Some(error),
                Err(_) => {}
            }
            if votes.iter().any(|(_, count)| count * 2 > nodes.len()) {
                break;
            }
        }
        match votes.into_iter().max_by_key(|(_, count)| *count) {
            Some((topology, _)) if !topology.ranges.is_empty() => {
                self.adopt(&topology);
                Ok(())
            }
            Some(_) => Err(nobody(doing)),
            None => Err(failure.unwrap_or_else(|| nobody(doing))),
        }
    }

    /// Masters that answer, if there are any; then whoever else is known; by chance among their like.
    fn to_be_asked(&self) -> Vec<Arc<Node>> {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        if let Some(map) = self.current() {
            let (mut there, mut away): (Vec<_>, Vec<_>) =
                map.masters().iter().cloned().partition(|node| !node.is_away());
            shuffle(&mut there);
            nodes.append(&mut there);
            away.extend(map.nodes().skip(map.masters().len()).cloned());
            shuffle(&mut away);
            nodes.append(&mut away);
        }
        // Names may lead to other addresses by now.
        let mut seeds = self.inner.seeds.clone();
        shuffle(&mut seeds);
        let is_new = |address: &_| !nodes.iter().any(|node| node.address == *address);
        let seeds: Vec<_> = seeds.iter().filter(|seed| is_new(seed)).map(|seed| self.node(seed)).collect();
        // One that is not known to answer comes along, so that a cluster can be found again that has moved away.
        if nodes.len() > ASKED && nodes[..ASKED].iter().any(|node| node.is_away()) {
            nodes.truncate(ASKED);
        }
        nodes.extend(seeds);
        nodes.truncate(if nodes.iter().any(|node| node.is_away()) { ASKED + 2 } else { ASKED });
        nodes
    }

    fn adopt(&self, topology: &Topology) {
        let map = Map::new(topology, |address| self.node(address));
        // Who is not in the map any more is forgotten, with its connections.
        self.inner.nodes().retain(|address, _| map.nodes().any(|node| node.address == *address));
        self.put(|_| Some(map));
    }

    /// Asks all masters for their time.
    async fn probe(&self) {
        let Some(map) = self.current() else { return };
        let limit = self.inner.config.time_limit;
        join::all(map.masters().iter().map(|node| node.probe(limit, self.inner.origin))).await;
    }

    /// Makes the changes that slots still lack.
    async fn make_up(&self) {
        let moves = self.inner.recent.moves();
        let Some(map) = self.current() else { return };
        let lane = Lane { way: Way::Small, limit: self.inner.config.time_limit };
        for (slot, changes) in self.inner.kept.all() {
            let Some(node) = map.owner(slot).filter(|node| !node.is_away()) else { continue };
            for some in changes.chunks(100) {
                let Ok(answers) = node.run(lane, some, "repeating invalidations").await else { break };
                let made = some.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
                let made: Vec<_> = made.map(|(change, _)| change.clone()).collect();
                // If a slot has got another node meanwhile, the same is kept for that one, and stays.
                let done =
                    made.iter().inspect(|change| self.inner.kept.done(slot, std::slice::from_ref(change)));
                if !self.inner.recent.note(moves, done.cloned()) {
                    return;
                }
            }
        }
    }

    /// Whether all masters answer, have what was invalidated, and there is a map.
    fn is_sound(&self) -> bool {
        self.inner.kept.is_empty()
            && self.current().is_some_and(|map| map.masters().iter().all(|node| !node.is_away()))
    }
}

async fn slots(node: &Node, limit: Duration, doing: &str) -> Result<Topology, Error> {
    let lane = Lane { way: Way::Small, limit };
    let command = Command::plain("CLUSTER").arg("SLOTS");
    let answer = node.run(lane, &[command], doing).await?.pop();
    let failed = |failure| error::of_call(doing, &node.address, failure);
    let answer = answer.ok_or_else(|| nobody(doing))?.map_err(|error| failed(error.into()))?;
    Topology::of(&answer, &node.address).map_err(failed)
}

fn shuffle<T>(items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, chance::bits() as usize % (at + 1));
    }
}

/// The task's hold on the cluster: weak, so that it ends with it.
struct Running {
    inner: Weak<Inner>,
    number: u64,
}

impl Running {
    /// The cluster, if it is still there and no other task has taken over.
    fn begin_round(&self) -> Option<Cluster> {
        let inner = self.inner.upgrade()?;
        let mut tending = inner.tending.lock().unwrap_or_else(PoisonError::into_inner);
        if tending.running != Some(self.number) {
            return None;
        }
        tending.last = Some(Moment::now());
        tending.is_wanted = false;
        drop(tending);
        Some(Cluster { inner })
    }

    /// Ends the task, unless something has happened meanwhile.
    fn may_end(&self, cluster: &Cluster) -> bool {
        let mut tending = cluster.inner.tending.lock().unwrap_or_else(PoisonError::into_inner);
        if !tending.is_wanted && tending.running == Some(self.number) {
            tending.running = None;
        }
        tending.running != Some(self.number)
    }

    fn is_wanted(&self) -> bool {
        self.inner
            .upgrade()
            .is_some_and(|inner| inner.tending.lock().unwrap_or_else(PoisonError::into_inner).is_wanted)
    }
}

impl Drop for Running {
    /// By its end or with its runtime.
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut tending = inner.tending.lock().unwrap_or_else(PoisonError::into_inner);
        if tending.running == Some(self.number) {
            tending.running = None;
        }
    }
}

async fn tend(running: Running) {
    let mut wait = PAUSE.0;
    while let Some(cluster) = running.begin_round() {
        let refreshed = cluster.refresh().await;
        cluster.probe().await;
        cluster.make_up().await;
        let is_known = cluster.current().is_some();
        let has_failed = refreshed.is_err();
        cluster.inner.known.send_modify(|known| {
            known.rounds += 1;
            known.failure = refreshed.err();
        });
        // Without a map nobody is served: whoever asks starts it again.
        if (!is_known || (!has_failed && cluster.is_sound() && cluster.are_clocks_known()))
            && running.may_end(&cluster)
        {
            return;
        }
        let bell = Arc::clone(&cluster.inner.bell);
        drop(cluster);
        // Half of it is chance, so that processes that lost one node do not all ask at once.
        let _is_late = timeout(wait.mul_f64(0.5 + chance::unit() / 2.0), bell.notified()).await;
        wait = if running.is_wanted() { PAUSE.0 } else { (wait * 2).min(PAUSE.1) };
    }
}

impl Cluster {
    fn are_clocks_known(&self) -> bool {
        self.current().is_some_and(|map| map.masters().iter().all(|node| node.ahead().is_some()))
    }
}
