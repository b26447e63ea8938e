//! A server takes the place of one that is still alive: connections that are open stay there, and new ones do not.

use std::pin::pin;

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Reply, Server};

use crate::support::*;

/// Goes by a connection of its own.
const LARGE: &[u8] = &[7; 100 << 10];

/// One connection for large values, so that it is known which.
async fn connect_to(two: &Two) -> Redis {
    let builder = Redis::builder().url(two.name.url()).large_value_connections(1).time_limit(MINUTE);
    builder.connect().await.expect("it is there")
}

/// The new server gets what the old one has, and the name leads there from now on.
async fn fail_over(two: &Two) {
    two.new.command(&["REPLICAOF", "127.0.0.1", &two.old.port().to_string()]);
    until("it has all of it", || dbsize(&two.new) == dbsize(&two.old)).await;
    two.new.command(&["REPLICAOF", "NO", "ONE"]);
    two.name.lead_to(two.new.port());
}

/// A process that knows how large a value is, and another one that has put it and a small one.
struct Readers {
    redis: Redis,
    other: Redis,
    key: EntryKey,
    large: EntryKey,
}

impl Readers {
    async fn of(two: &Two) -> Self {
        let (redis, other) = (connect_to(two).await, connect_to(two).await);
        let (key, large) = (EntryKey::from("k"), EntryKey::from("large"));
        put(&other, &key, b"old").await;
        put(&other, &large, LARGE).await;
        assert!(get(&redis, &large).await.is_some());
        Self { redis, other, key, large }
    }
}

/// `WAIT` has a connection of its own, which is made by the first invalidation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_replicas_is_not_read_at_the_old_one() {
    let two = Two::start().await;
    let builder = Redis::builder().url(two.name.url()).time_limit(MINUTE).wait_replicas(1, MINUTE);
    let redis = builder.connect().await.expect("it is there");
    let key = EntryKey::from("k");
    put(&redis, &key, b"old").await;
    fail_over(&two).await;
    let replica = Server::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &two.new.port().to_string()]);
    until("it follows", || two.new.command(&["INFO", "replication"]).text().contains("state=online")).await;

    redis.invalidate(&key).await.expect("the new one and its replica have it");

    assert_eq!(get(&redis, &key).await, None, "it was read at the old one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_invalidated_is_not_read_where_large_values_are() {
    let two = Two::start().await;
    let (redis, other) = (connect_to(&two).await, connect_to(&two).await);
    let key = EntryKey::from("k");
    put(&other, &key, LARGE).await;
    // Its size is known from now on, and nothing large was under way yet.
    assert!(get(&redis, &key).await.is_some());
    fail_over(&two).await;
    assert!(get(&redis, &key).await.is_some());

    redis.invalidate(&key).await.expect("an invalidation is answered");

    assert_eq!(get(&redis, &key).await, None, "it was invalidated elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_new_one_was_found_is_not_lost_with_the_old_one() {
    let mut two = Two::start().await;
    let Readers { redis, key, large, .. } = Readers::of(&two).await;
    fail_over(&two).await;
    assert!(get(&redis, &large).await.is_some(), "read at the new one");

    redis.invalidate(&key).await.expect("an invalidation is answered");
    two.old.kill();

    assert_eq!(get(&redis, &key).await, None, "it came back");
}

/// The old server answers only after the new one was found and given what it lacked by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_is_made_at_the_new_one_too() {
    let two = Two::start().await;
    let Readers { redis, other, key, large } = Readers::of(&two).await;
    // So that it knows the script, and answers at once.
    other.invalidate(&"other".into()).await.expect("the old one is there");
    fail_over(&two).await;

    two.old.pause();
    let mut invalidation = pin!(redis.invalidate(&key));
    tokio::select! {
        biased;
        _ = &mut invalidation => panic!("nobody answers"),
        () = std::future::ready(()) => {}
    }
    assert!(get(&redis, &large).await.is_some(), "read at the new one");
    two.old.resume();
    invalidation.await.expect("an invalidation is answered");

    assert_eq!(get(&redis, &key).await, None, "it came back");
}

/// It only reads, so the server does not tell it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_leave_a_server_that_became_a_replica() {
    let two = Two::start().await;
    let redis = connect_to(&two).await;
    let large = EntryKey::from("large");
    put(&redis, &large, LARGE).await;
    // Of a master that is not there, so it keeps what it has.
    two.old.command(&["REPLICAOF", "127.0.0.1", "1"]);
    two.name.lead_to(two.new.port());

    assert!(get(&redis, &large).await.is_some(), "a replica can be read");
    assert_refused(redis.invalidate(&"other".into()).await);

    assert_eq!(get(&redis, &large).await, None, "read at the old one");
    assert_eq!(dbsize(&two.new), Reply::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_while_the_new_one_gets_the_rest_is_not_forgotten() {
    let mut two = Two::start().await;
    let Readers { redis, key, large, .. } = Readers::of(&two).await;
    fail_over(&two).await;
    redis.invalidate(&"other".into()).await.expect("the old one has it");

    two.new.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let reading = tokio::spawn({
        let (redis, large) = (redis.clone(), large.clone());
        async move { get(&redis, &large).await }
    });
    until("it is repeated", || two.new.command(&["CLIENT", "LIST"]).text().contains("cmd=eval")).await;
    redis.invalidate(&key).await.expect("the old one has it");
    two.new.command(&["CLIENT", "UNPAUSE"]);
    assert!(reading.await.expect("it is read").is_some());
    two.old.kill();

    assert_eq!(get(&redis, &key).await, None, "it came back");
}

/// A name may lead to a replica before that is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_what_is_repeated_takes_nobodys_place() {
    let two = Two::start().await;
    let Readers { redis, key, large, .. } = Readers::of(&two).await;
    redis.invalidate(&"other".into()).await.expect("the old one has it");
    fail_over(&two).await;
    two.new.command(&["REPLICAOF", "127.0.0.1", "1"]);

    assert_refused(redis.read(&large, &[]).await);

    assert!(get(&redis, &key).await.is_some());
    redis.invalidate(&key).await.expect("the old one is there");
}
