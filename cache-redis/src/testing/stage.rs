//! The stage on which [`Redis`] is tested.

#![allow(clippy::expect_used, reason = "a fixture fails the test")]

use std::sync::Arc;
use std::time::Duration;

use cache_core::backend::{Backend, Prefix, TagKey};
use cache_core::testing::conformance::Stage;

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
        let clients = self.server.command(&["CLIENT", "LIST", "TYPE", "PUBSUB"]).text();
        let name = format!("name={} ", self.prefix);
        for client in clients.lines().filter(|client| client.contains(&name)) {
            let id = client.split(' ').find_map(|field| field.strip_prefix("id=")).expect("each has one");
            assert_eq!(self.server.command(&["CLIENT", "KILL", "ID", id]), Reply::Int(1));
        }
    }
}
