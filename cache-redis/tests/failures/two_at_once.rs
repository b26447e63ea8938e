//! A server takes the place of one that is still alive: connections that are open stay there, and new ones do not.

use std::pin::pin;

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Reply, Server};

use crate::support::*;

/// Goes by a connection of its own.
const LARGE: &[u8] = &[7; 100 << 10];

/// Two servers, and a name that leads to the first.
struct Stage {
    old: Server,
    new: Server,
    name: Proxy,
}

impl Stage {
    async fn set() -> Self {
        let (old, new) = (Server::start(), Server::start());
        let name = Proxy::start(old.port()).await;
        Self { old, new, name }
    }

    /// One connection for large values, so that it is known which.
    async fn connect(&self) -> Redis {
        let builder = Redis::builder().url(self.name.url()).large_value_connections(1).time_limit(MINUTE);
        builder.connect().await.expect("it is there")
    }

    /// The new server gets what the old one has, and the name leads there from now on.
    async fn fail_over(&self) {
        self.new.command(&["REPLICAOF", "127.0.0.1", &self.old.port().to_string()]);
        until("it has all of it", || dbsize(&self.new) == dbsize(&self.old)).await;
        self.new.command(&["REPLICAOF", "NO", "ONE"]);
        self.name.lead_to(self.new.port());
    }
}

/// `WAIT` has a connection of its own, which is made by the first invalidation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_replicas_is_not_read_at_the_old_one() {
    let stage = Stage::set().await;
    let builder = Redis::builder().url(stage.name.url()).time_limit(MINUTE).wait_replicas(1, MINUTE);
    let redis = builder.connect().await.expect("it is there");
    let key = EntryKey::from("k");
    put(&redis, &key, b"old").await;
    stage.fail_over().await;
    let replica = Server::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &stage.new.port().to_string()]);
    until("it follows", || stage.new.command(&["INFO", "replication"]).text().contains("state=online")).await;

    redis.invalidate(&key).await.expect("the new one and its replica have it");

    assert_eq!(get(&redis, &key).await, None, "it was read at the old one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_invalidated_is_not_read_where_large_values_are() {
    let stage = Stage::set().await;
    let (redis, other) = (stage.connect().await, stage.connect().await);
    let key = EntryKey::from("k");
    put(&other, &key, LARGE).await;
    // Its size is known from now on, and nothing large was under way yet.
    assert!(get(&redis, &key).await.is_some());
    stage.fail_over().await;
    assert!(get(&redis, &key).await.is_some());

    redis.invalidate(&key).await.expect("an invalidation is answered");

    assert_eq!(get(&redis, &key).await, None, "it was invalidated elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_new_one_was_found_is_not_lost_with_the_old_one() {
    let mut stage = Stage::set().await;
    let (redis, other) = (stage.connect().await, stage.connect().await);
    let (key, large) = (EntryKey::from("k"), EntryKey::from("large"));
    put(&other, &key, b"old").await;
    put(&other, &large, LARGE).await;
    assert!(get(&redis, &large).await.is_some());
    stage.fail_over().await;
    assert!(get(&redis, &large).await.is_some(), "read at the new one");

    redis.invalidate(&key).await.expect("an invalidation is answered");
    stage.old.kill();

    assert_eq!(get(&redis, &key).await, None, "it came back");
}

/// The old server answers only after the new one was found and given what it lacked by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_is_made_at_the_new_one_too() {
    let stage = Stage::set().await;
    let (redis, other) = (stage.connect().await, stage.connect().await);
    let (key, large) = (EntryKey::from("k"), EntryKey::from("large"));
    put(&other, &key, b"old").await;
    put(&other, &large, LARGE).await;
    assert!(get(&redis, &large).await.is_some());
    // So that it knows the script, and answers at once.
    other.invalidate(&"other".into()).await.expect("the old one is there");
    stage.fail_over().await;

    stage.old.pause();
    let mut invalidation = pin!(redis.invalidate(&key));
    tokio::select! {
        biased;
        _ = &mut invalidation => panic!("nobody answers"),
        () = std::future::ready(()) => {}
    }
    assert!(get(&redis, &large).await.is_some(), "read at the new one");
    stage.old.resume();
    invalidation.await.expect("an invalidation is answered");

    assert_eq!(get(&redis, &key).await, None, "it came back");
}

/// It only reads, so the server does not tell it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_leave_a_server_that_became_a_replica() {
    let stage = Stage::set().await;
    let redis = stage.connect().await;
    let large = EntryKey::from("large");
    put(&redis, &large, LARGE).await;
    // Of a master that is not there, so it keeps what it has.
    stage.old.command(&["REPLICAOF", "127.0.0.1", "1"]);
    stage.name.lead_to(stage.new.port());

    assert!(get(&redis, &large).await.is_some(), "a replica can be read");
    assert_refused(redis.invalidate(&"other".into()).await);

    assert_eq!(get(&redis, &large).await, None, "read at the old one");
    assert_eq!(dbsize(&stage.new), Reply::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_while_the_new_one_gets_the_rest_is_not_forgotten() {
    let mut stage = Stage::set().await;
    let (redis, other) = (stage.connect().await, stage.connect().await);
    let (key, large) = (EntryKey::from("k"), EntryKey::from("large"));
    put(&other, &key, b"old").await;
    put(&other, &large, LARGE).await;
    assert!(get(&redis, &large).await.is_some());
    stage.fail_over().await;
    redis.invalidate(&"other".into()).await.expect("the old one has it");

    stage.new.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let reading = tokio::spawn({
        let (redis, large) = (redis.clone(), large.clone());
        async move { get(&redis, &large).await }
    });
    until("it is repeated", || stage.new.command(&["CLIENT", "LIST"]).text().contains("cmd=eval")).await;
    redis.invalidate(&key).await.expect("the old one has it");
    stage.new.command(&["CLIENT", "UNPAUSE"]);
    assert!(reading.await.expect("it is read").is_some());
    stage.old.kill();

    assert_eq!(get(&redis, &key).await, None, "it came back");
}

/// A name may lead to a replica before that is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_what_is_repeated_takes_nobodys_place() {
    let stage = Stage::set().await;
    let (redis, other) = (stage.connect().await, stage.connect().await);
    let (key, large) = (EntryKey::from("k"), EntryKey::from("large"));
    put(&other, &key, b"v").await;
    put(&other, &large, LARGE).await;
    assert!(get(&redis, &large).await.is_some());
    redis.invalidate(&"other".into()).await.expect("the old one has it");
    stage.fail_over().await;
    stage.new.command(&["REPLICAOF", "127.0.0.1", "1"]);

    assert_refused(redis.read(&large, &[]).await);

    assert!(get(&redis, &key).await.is_some());
    redis.invalidate(&key).await.expect("the old one is there");
}
