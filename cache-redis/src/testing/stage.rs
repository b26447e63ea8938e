//! The stage on which [`Redis`] is tested.

#![allow(clippy::expect_used, reason = "a fixture fails the test")]

use std::sync::Arc;
use std::time::Duration;

use cache_core::backend::{Backend, Prefix, TagKey};
use cache_core::testing::conformance::Stage;

#[cfg(feature = "cluster")]
use super::Cluster;
use super::{Reply, Server};
use crate::{Redis, chance, names};

/// A prefix of its own on a server, for one test of the conformance suite.
#[derive(Debug)]
pub struct RedisStage {
    server: Arc<Server>,
    prefix: Prefix,
}

impl RedisStage {
    /// Sets the stage on a server, which other tests may share.
    pub fn new(server: Arc<Server>) -> Self {
        let prefix = Prefix::new(&format!("conformance-{:016x}", chance::bits())).expect("a good text");
        Self { server, prefix }
    }
}

impl Stage for RedisStage {
    type Backend = Redis;

    /// With connections of its own, which bear the name of the prefix.
    async fn process(&self) -> Redis {
        let builder = Redis::builder().url(self.server.url()).client_name(self.prefix.as_str());
        // Many tests share one processor.
        let redis = builder.time_limit(Duration::from_secs(10)).connect().await;
        redis.expect("the server is there").view(&self.prefix)
    }

    fn prefix(&self) -> Prefix {
        self.prefix.clone()
    }

    fn tick(&self) -> Duration {
        Duration::from_millis(100)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "lives are counted by the server's clock, which nobody moves"
    )]
    async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn lose_tags(&self, tags: &[TagKey]) {
        for tag in tags {
            self.server.command(&["DEL", &names::tag(&self.prefix, tag)]);
        }
    }

    /// Lets the server close the connections for messages of this stage.
    async fn cut_bus(&self) {
        cut_bus(&self.server, &self.prefix);
    }
}

fn cut_bus(server: &Server, prefix: &Prefix) {
    let clients = server.command(&["CLIENT", "LIST", "TYPE", "PUBSUB"]).text();
    let name = format!("name={prefix} ");
    for client in clients.lines().filter(|client| client.contains(&name)) {
        let id = client.split(' ').find_map(|field| field.strip_prefix("id=")).expect("each has one");
        assert_eq!(server.command(&["CLIENT", "KILL", "ID", id]), Reply::Int(1));
    }
}

/// A prefix of its own on a cluster, for one test of the conformance suite.
#[cfg(feature = "cluster")]
#[derive(Debug)]
pub struct ClusterStage {
    cluster: Arc<Cluster>,
    prefix: Prefix,
}

#[cfg(feature = "cluster")]
impl ClusterStage {
    /// Sets the stage on a cluster, which other tests may share.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let prefix = Prefix::new(&format!("conformance-{:016x}", chance::bits())).expect("a good text");
        Self { cluster, prefix }
    }
}

#[cfg(feature = "cluster")]
impl Stage for ClusterStage {
    type Backend = Redis;

    /// With connections of its own, which bear the name of the prefix.
    async fn process(&self) -> Redis {
        let builder = Redis::builder().url(self.cluster.url()).client_name(self.prefix.as_str());
        let redis = builder.time_limit(Duration::from_secs(10)).connect().await;
        let redis = redis.expect("the cluster is there").view(&self.prefix);
        redis.until_clocks_are_known().await;
        redis
    }

    fn prefix(&self) -> Prefix {
        self.prefix.clone()
    }

    fn tick(&self) -> Duration {
        Duration::from_millis(100)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "lives are counted by the server's clock, which nobody moves"
    )]
    async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn lose_tags(&self, tags: &[TagKey]) {
        for tag in tags {
            let name = names::tag(&self.prefix, tag);
            let master = self.cluster.master_of(&name);
            self.cluster.nodes()[master].command(&["DEL", &name]);
        }
    }

    async fn cut_bus(&self) {
        self.cluster.nodes().iter().for_each(|node| cut_bus(node, &self.prefix));
    }
}
