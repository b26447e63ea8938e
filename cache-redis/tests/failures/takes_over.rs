//! Another server takes the place of one, under the same name, and lacks the last invalidations.

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Reply, Server};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_lacks_is_repeated_before_anything_is_read() {
    let (mut old, new) = (Server::start(), Server::start());
    let proxy = Proxy::start(old.port()).await;
    let redis = Redis::builder().url(proxy.url()).time_limit(MINUTE).connect().await.expect("it is there");
    let (key, stale) = (EntryKey::from("k"), EntryKey::from("expired"));
    let tags = [tag("t")];
    let tags = Tags { keys: &tags, life: MINUTE };
    put(&redis, &key, b"old").await;
    put(&redis, &stale, b"old").await;
    let before = redis.epochs(tags).await.unwrap();
    new.command(&["REPLICAOF", "127.0.0.1", &old.port().to_string()]);
    until("it has all of it", || dbsize(&new) == Reply::Int(3)).await;
    new.command(&["REPLICAOF", "NO", "ONE"]);

    redis.invalidate(&key).await.expect("the old one has it");
    redis.expire(&stale, MINUTE).await.expect("the old one has it");
    redis.invalidate_tags(tags).await.expect("the old one has it");
    proxy.lead_to(new.port());
    old.kill();

    let read = redis.read(&key, tags.keys).await.expect("the new one answers");
    assert_eq!(read.found, None, "it came back");
    assert!(read.epochs[0].expect("it is there") > before[0], "its epoch came back");
    let read = redis.read(&stale, &[]).await.expect("the new one answers");
    assert!(read.found.is_some_and(|found| found.is_expired));
}

/// A restart of one server that was told to keep what it has: its snapshot is older than the invalidations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_lacks_it_is_made_up_for() {
    let mut server = Server::start();
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    put(&redis, &key, b"old").await;
    assert_eq!(server.command(&["SAVE"]), Reply::Text(b"OK".to_vec()));

    redis.invalidate(&key).await.expect("an invalidation is answered");
    server.restart();

    assert_eq!(get(&redis, &key).await, None);
}
