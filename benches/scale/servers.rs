//! What the servers of a cluster say of themselves.

use std::ops::{Add, Sub};

use larder::testing::redis::{Cluster, Reply, Server};

/// The counters of a server, or of several together, or of what came in between.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Bytes, as the server counts them.
    pub(crate) memory: f64,
    /// Seconds of a processor.
    pub(crate) busy: f64,
    /// `GET`s and `MGET`s.
    pub(crate) reads: f64,
    pub(crate) keys: f64,
}

impl Figures {
    fn of(server: &Server) -> Self {
        let report = server.command(&["INFO", "ALL"]).text();
        let after = |what: &str| report.lines().find_map(|line| line.strip_prefix(what));
        let number = |what: &str| -> f64 {
            let text = after(what).unwrap_or("0").split(',').next().unwrap();
            text.trim().parse().unwrap()
        };
        let Reply::Int(keys) = server.command(&["DBSIZE"]) else { panic!("a number of keys") };
        Self {
            memory: number("used_memory:"),
            busy: number("used_cpu_user:") + number("used_cpu_sys:"),
            reads: number("cmdstat_get:calls=") + number("cmdstat_mget:calls="),
            keys: keys as f64,
        }
    }

    pub(crate) fn of_each(cluster: &Cluster) -> Vec<Self> {
        cluster.nodes().iter().map(Self::of).collect()
    }

    pub(crate) fn of_all(cluster: &Cluster) -> Self {
        Self::of_each(cluster).into_iter().fold(Self::default(), Self::add)
    }
}

impl Add for Figures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            memory: self.memory + other.memory,
            busy: self.busy + other.busy,
            reads: self.reads + other.reads,
            keys: self.keys + other.keys,
        }
    }
}

impl Sub for Figures {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            memory: self.memory - other.memory,
            busy: self.busy - other.busy,
            reads: self.reads - other.reads,
            keys: self.keys - other.keys,
        }
    }
}

/// A number that the server at the slot of a name answers.
pub(crate) fn number(cluster: &Cluster, words: &[&str]) -> i64 {
    let at = cluster.master_of(words[words.len() - 1]);
    match cluster.nodes()[at].command(words) {
        Reply::Int(number) => number,
        other => panic!("{words:?}: {other:?}"),
    }
}
