//! What a cluster that fails, and one that changes, does to the calls.
#![cfg(all(feature = "cluster", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod bus;
mod clocks;
mod lost;
mod migration;
mod refused;
mod replicas;
#[allow(dead_code, reason = "shared with the tests of one server")]
#[path = "../failures/support.rs"]
mod support;
mod takes_over;

use std::time::{Duration, Instant};

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::Cluster;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::*;

/// What one test of this binary may take of the machine: each starts several servers.
static ROOM: Semaphore = Semaphore::const_new(2);

/// For tests whose calls have time limits: nobody else delays them.
async fn alone() -> SemaphorePermit<'static> {
    ROOM.acquire_many(2).await.expect("it is never closed")
}

async fn with_another() -> SemaphorePermit<'static> {
    ROOM.acquire().await.expect("it is never closed")
}

/// A Redis with the usual limit, connected.
async fn join(cluster: &Cluster) -> Redis {
    let builder = Redis::builder().url(cluster.url()).time_limit(LIMIT);
    let redis = builder.connect().await.expect("the cluster is there");
    // The limit is for connections that are there: on a busy machine making them can take as long.
    for n in 0..24 {
        let key = EntryKey::from(n.to_string());
        until_ok(|| redis.read(&key, &[])).await;
    }
    redis
}

/// The same with time enough on a busy machine.
async fn patiently(cluster: &Cluster) -> Redis {
    let builder = Redis::builder().url(cluster.url()).time_limit(Duration::from_secs(10));
    builder.connect().await.expect("the cluster is there")
}

/// A key whose entry the master at a place has, by the slots as they are at the start.
fn key_at(cluster: &Cluster, master: usize) -> EntryKey {
    let keys = (0..).map(|n: u32| n.to_string());
    let mut keys = keys.filter(|key| cluster.master_of(&format!("larder:e:{{{key}}}")) == master);
    keys.next().expect("one of many").as_str().into()
}

/// A tag whose epoch the master at a place has.
fn tag_at(cluster: &Cluster, master: usize) -> TagKey {
    let tags = (0..).map(|n: u32| n.to_string());
    let mut tags = tags.filter(|tag| cluster.master_of(&format!("larder:t:{{{tag}}}")) == master);
    tag(&tags.next().expect("one of many"))
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is the question")]
fn now() -> Instant {
    Instant::now()
}
