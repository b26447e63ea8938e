//! Caches over a cluster that loses a shard: the others serve on.
#![cfg(all(feature = "redis-cluster", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use larder::testing::redis::Cluster;
use larder::{Cache, ErrorKind, Invalidate, Key, Redis};
use support::processes::{SOON, Source, hears, hour, key};

async fn cache(cluster: &Cluster) -> Cache {
    let redis = Redis::builder().url(cluster.url()).time_limit(Duration::from_secs(1));
    Cache::builder().prefix("app").shared(redis.connect().await.unwrap()).build().unwrap()
}

/// The place of the master that neither the prefix nor the function has its epoch at.
fn shard_of_entries_alone(cluster: &Cluster) -> usize {
    let (everything, function) = (cluster.master_of("app:a-:{-}"), cluster.master_of("app:f:{dishes}"));
    (0..3).find(|at| *at != everything && *at != function).unwrap()
}

/// Waits until a process serves no more what is stored under a key. (Its local tier may not have had it: when the bus begins
/// anew meanwhile, what is read is not kept.)
async fn until_gone(process: &Cache, key: &Key) {
    let waiting = async {
        while process.get::<u64>(key, &hour()).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("it is served yet");
}

/// Some keys whose entries are at a master, or are not.
fn keys(cluster: &Cluster, count: usize, fits: impl Fn(usize) -> bool) -> Vec<Key> {
    let at = |key: &Key| cluster.master_of(&format!("app:e:{{{key}}}"));
    (0..).map(key).filter(|key| fits(at(key))).take(count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_shard_does_not_take_the_others_away() {
    let mut cluster = Cluster::start();
    let (one, two, source) = (cache(&cluster).await, cache(&cluster).await, Source::default());
    hears(&one).await;
    hears(&two).await;
    let shard = shard_of_entries_alone(&cluster);
    let (lost, kept) = (keys(&cluster, 10, |at| at == shard), keys(&cluster, 4, |at| at != shard));

    let replica = cluster.replica_of(shard);
    cluster.node(replica).kill();
    cluster.node(shard).kill();

    // The lost ones are computed, by each for itself.
    for key in &lost {
        let before = source.next().await;
        assert_eq!(one.get_or_compute(key, &hour(), || source.next()).await, before + 1);
        assert_eq!(two.get_or_compute(key, &hour(), || source.next()).await, before + 2);
    }
    let error = one.invalidate(&lost[0]).await.expect_err("it cannot be reached");
    assert_eq!(error.kind(), ErrorKind::Postponed, "{error:?}");

    // The others are shared as ever: what one computes the other finds.
    for key in &kept {
        let computed = one.get_or_compute(key, &hour(), || source.next()).await;
        let found = two.get_or_compute(key, &hour(), || async { 0 }).await;
        assert_eq!(found, computed);
    }
    one.invalidate(&kept[0]).await.expect("the others take it");
    until_gone(&two, &kept[0]).await;

    // Of a set each node is told its part: what the lost one has to be told waits.
    let set: Invalidate = kept[1..].iter().chain(&lost).map(Invalidate::key).collect();
    let error = one.apply(set).await.expect_err("a part of it cannot be reached");
    assert_eq!(error.kind(), ErrorKind::Postponed, "{error:?}");
    for key in &kept[1..] {
        until_gone(&two, key).await;
    }
    let shared = one.stats().shared.unwrap();
    assert!(!shared.is_away, "{shared:?}");
    assert_eq!(shared.queued_invalidations, 0);
}
