//! A Redis Cluster of a test's own.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a fixture fails the test")]

use std::time::{Duration, Instant};

use super::server::{Reply, Server};

/// How long a step of setting a cluster up may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three masters with the slots, and three replicas, each a [`Server`] on free ports of the loopback.
///
/// ```no_run
/// use cache_redis::testing::Cluster;
///
/// let mut cluster = Cluster::start();
/// let lost = cluster.master_of("app:e:{42}");
/// cluster.node(lost).kill();
/// ```
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster whose nodes find each other dead after two seconds, and serve their slots although others
    /// have lost theirs.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or the nodes do not find each other.
    pub fn start() -> Self {
        Self::with_args(&[])
    }

    /// Starts a cluster with more arguments for each node.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or the nodes do not find each other.
    pub fn with_args(arguments: &[&str]) -> Self {
        Self::of(3, 3, arguments)
    }

    /// Starts a cluster of so many masters, and so many replicas, which belong to the masters in turn.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or the nodes do not find each other.
    pub fn of(masters: usize, replicas: usize, arguments: &[&str]) -> Self {
        let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let own = [&own[..], &["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"]];
        let all: Vec<&str> = own.concat().into_iter().chain(arguments.iter().copied()).collect();
        let nodes: Vec<Server> = (0..masters + replicas).map(|_| Server::with_args(&all)).collect();
        let cluster = Self { nodes };
        cluster.join(masters);
        cluster
    }

    fn join(&self, masters: usize) {
        let ok = Reply::Text(b"OK".to_vec());
        for (at, node) in self.nodes[..masters].iter().enumerate() {
            let (first, last) = (at * 16384 / masters, (at + 1) * 16384 / masters - 1);
            // A range of slots in one command is not there before Redis 7.
            let slots: Vec<String> = (first..=last).map(|slot| slot.to_string()).collect();
            let words: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            assert_eq!(node.command(&words), ok);
            assert_eq!(node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]), ok);
        }
        for node in &self.nodes[1..] {
            let port = self.nodes[0].port().to_string();
            assert_eq!(node.command(&["CLUSTER", "MEET", "127.0.0.1", &port]), ok);
        }
        self.until("the nodes know each other", |cluster| {
            cluster.nodes.iter().all(|node| cluster.known_to(node) == cluster.nodes.len())
        });
        for (at, replica) in self.nodes[masters..].iter().enumerate() {
            let id = self.id(at % masters);
            self.until("it knows its master", |_| replica.command(&["CLUSTER", "REPLICATE", &id]) == ok);
        }
        self.until("all agree, and replicas follow", |cluster| {
            let is_well = |node: &Server| {
                let info = node.command(&["CLUSTER", "INFO"]).text();
                let slots = node.command(&["CLUSTER", "SLOTS"]);
                info.contains("cluster_state:ok") && cluster.counts(&slots) == (masters, cluster.nodes.len())
            };
            let follows = |node: &Server| {
                node.command(&["INFO", "replication"]).text().contains("master_link_status:up")
            };
            cluster.nodes.iter().all(is_well) && cluster.nodes[masters..].iter().all(follows)
        });
    }

    fn known_to(&self, node: &Server) -> usize {
        let nodes = node.command(&["CLUSTER", "NODES"]).text();
        nodes.lines().filter(|line| !line.contains("handshake")).count()
    }

    /// How many ranges an answer to `CLUSTER SLOTS` has, and how many nodes.
    fn counts(&self, slots: &Reply) -> (usize, usize) {
        let Reply::List(ranges) = slots else { return (0, 0) };
        let nodes = ranges.iter().map(|range| match range {
            Reply::List(parts) => parts.len() - 2,
            _ => 0,
        });
        (ranges.len(), nodes.sum())
    }

    fn id(&self, at: usize) -> String {
        self.nodes[at].command(&["CLUSTER", "MYID"]).text()
    }

    #[expect(clippy::disallowed_methods, reason = "nodes gossip in their own time")]
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "{what}: {self:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The URL, which names all nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        let user = self.nodes[0].url();
        let user = user.strip_prefix("redis://").and_then(|rest| rest.split_once('@')).map(|(user, _)| user);
        format!(
            "redis+cluster://{}{}",
            user.map(|user| format!("{user}@")).unwrap_or_default(),
            hosts.join(",")
        )
    }

    /// The nodes, by their places: masters first, as long as none has failed.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// A node.
    pub fn node(&mut self, at: usize) -> &mut Server {
        &mut self.nodes[at]
    }

    /// The place of the master that has the slot of a name, as `asked` knows it.
    ///
    /// # Panics
    /// If that node is not there, or knows none.
    pub fn master_as_known_to(&self, asked: usize, name: &str) -> usize {
        let Reply::Int(slot) = self.nodes[asked].command(&["CLUSTER", "KEYSLOT", name]) else {
            panic!("a slot of {name}")
        };
        let Reply::List(ranges) = self.nodes[asked].command(&["CLUSTER", "SLOTS"]) else { panic!("slots") };
        let port = ranges.iter().find_map(|range| match range {
            Reply::List(parts) => match &parts[..] {
                [Reply::Int(first), Reply::Int(last), Reply::List(master), ..]
                    if (*first..=*last).contains(&slot) =>
                {
                    Some(master[1].clone())
                }
                _ => None,
            },
            _ => None,
        });
        let at = self.nodes.iter().position(|node| port == Some(Reply::Int(i64::from(node.port()))));
        at.unwrap_or_else(|| panic!("a master for {name}"))
    }

    /// The place of the master that has the slot of a name, at the start.
    pub fn master_of(&self, name: &str) -> usize {
        self.master_as_known_to(0, name)
    }

    /// The place of a replica of the node at `master`.
    ///
    /// # Panics
    /// If there is none.
    pub fn replica_of(&self, master: usize) -> usize {
        let id = self.id(master);
        let nodes = self.nodes[master].command(&["CLUSTER", "NODES"]).text();
        let replica =
            nodes.lines().find(|line| line.split(' ').nth(3) == Some(&id)).expect("it has a replica");
        let at = self.nodes.iter().position(|node| replica.contains(&format!(":{}@", node.port())));
        at.expect("a node of ours")
    }

    /// Moves the slot of a name from one node to another, key by key, while others use it. Tells how many there were.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn migrate(&self, name: &str, from: usize, to: usize) -> usize {
        let moved = self.begin_migration(name, from, to);
        let slot = self.slot(from, name);
        for node in [to, from] {
            let given = self.nodes[node].command(&["CLUSTER", "SETSLOT", &slot, "NODE", &self.id(to)]);
            assert_eq!(given, Reply::Text(b"OK".to_vec()));
        }
        self.until("all know of it", |cluster| {
            (0..cluster.nodes.len()).all(|at| cluster.master_as_known_to(at, name) == to)
        });
        moved
    }

    fn slot(&self, asked: usize, name: &str) -> String {
        match self.nodes[asked].command(&["CLUSTER", "KEYSLOT", name]) {
            Reply::Int(slot) => slot.to_string(),
            other => panic!("a slot of {name}, not {other:?}"),
        }
    }

    /// Moves the keys of the slot of a name, and leaves the slot itself where it is: on the move. Tells how many there
    /// were.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn begin_migration(&self, name: &str, from: usize, to: usize) -> usize {
        let ok = Reply::Text(b"OK".to_vec());
        let (slot, from_id, to_id) = (self.slot(from, name), self.id(from), self.id(to));
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        assert_eq!(target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]), ok);
        assert_eq!(source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]), ok);
        let (port, mut moved) = (target.port().to_string(), 0);
        loop {
            let Reply::List(keys) = source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]) else {
                panic!("keys")
            };
            let Some(key) = keys.into_iter().next() else { break };
            source.command(&["MIGRATE", "127.0.0.1", &port, &key.text(), "0", "5000"]);
            moved += 1;
        }
        moved
    }
}
