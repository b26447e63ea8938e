//! A server that is killed and comes back.

use std::time::{Duration, Instant};

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Server, Traffic};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_fail_at_once_and_succeed_again() {
    let mut server = Server::start();
    let redis = patient(&server).await;
    put(&redis, &"k".into(), b"v").await;

    server.kill();
    #[expect(clippy::disallowed_methods, reason = "how long it takes is the question")]
    let began = Instant::now();
    for _ in 0..20 {
        assert_unreachable(redis.read(&"k".into(), &[]).await);
        assert_unreachable(redis.invalidate(&"k".into()).await);
        assert_unreachable(redis.health().await);
    }
    // A closed port refuses at once: no call of the sixty has waited for its limit.
    assert!(began.elapsed() < PATIENT, "{:?}", began.elapsed());
    server.restart();

    let (_, failures) = until_ok(|| redis.health()).await;
    assert_eq!(failures, 0);
    assert_eq!(get(&redis, &"k".into()).await, None);
    put(&redis, &"k".into(), b"w").await;
}

/// The first call after a restart finds its connection closed, and is sent again on a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_calls_is_not_seen() {
    let mut server = Server::start();
    let redis = patient(&server).await;
    let key = "k".into();

    for _ in 0..3 {
        put(&redis, &key, b"v").await;
        server.restart();
        redis.invalidate(&key).await.expect("an invalidation is answered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_told_and_messages_come_again() {
    let mut server = Server::start();
    let redis = connect(&server).await;
    let (mut ear, mut other) = (redis.subscribe().await.unwrap(), redis.subscribe().await.unwrap());
    until_heard(&redis, &mut ear).await;

    server.kill();
    hear_gap(&mut ear).await;
    hear_gap(&mut other).await;
    server.restart();

    // Once more when messages arrive again: something may have come between.
    hear_gap(&mut ear).await;
    until_heard(&redis, &mut ear).await;
    until_heard(&redis, &mut other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_starts_although_the_server_is_down() {
    let mut server = Server::start();
    server.kill();
    let redis = Redis::builder().url(server.url()).time_limit(PATIENT).lazy().expect("no I/O yet");

    assert_unreachable(Redis::connect(&server.url()).await.map(drop));
    assert_unreachable(redis.read(&"k".into(), &[]).await);
    assert_unreachable(redis.subscribe().await.map(drop));
    server.restart();

    let key = "k".into();
    until_ok(|| redis.read(&key, &[])).await;
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_at_once_shares_one_connection() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).time_limit(MINUTE).lazy().expect("no I/O yet");

    let calls: Vec<_> = (0..100)
        .map(|n| {
            let redis = redis.clone();
            tokio::spawn(async move { redis.read(&EntryKey::from(n.to_string()), &[]).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a read is answered");
    }

    assert_eq!(connections(&server), 1);
    drop(redis);
    until("the connection is closed", || connections(&server) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listens_and_nothing_is_left() {
    let server = Server::start();
    let redis = patient(&server).await;

    let ears =
        [redis.subscribe().await.unwrap(), redis.view(&Prefix::new("b").unwrap()).subscribe().await.unwrap()];
    assert_eq!(clients(&server, "PUBSUB"), 1);
    drop(ears);
    until("the connection for messages is closed", || clients(&server, "PUBSUB") == 0).await;

    let mut again = redis.subscribe().await.expect("it listens again");
    until_heard(&redis, &mut again).await;
    drop(redis);
    until("all is closed", || connections(&server) == 0).await;
    while again.hear().await.is_some() {}
}

/// What it repeats at the server takes longer than a connection may take to open, the more so the slower the way there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_invalidated_much_comes_back_soon() {
    let mut server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = Redis::builder().url(proxy.url()).time_limit(Duration::from_millis(150));
    let redis = builder.connect().await.unwrap();
    for thousand in 0..10 {
        let keys: Vec<EntryKey> =
            (0..1_000).map(|n| EntryKey::from(format!("f:v0:{thousand}-{n}"))).collect();
        let request = InvalidateRequest { keys: &keys, ..InvalidateRequest::NOTHING };
        until_ok(|| redis.invalidate_many(request)).await;
    }

    proxy.set(Traffic::Delay(Duration::from_millis(25)));
    server.restart();

    let key = "k".into();
    let coming_back = until_ok(|| redis.read(&key, &[]));
    tokio::time::timeout(Duration::from_secs(20), coming_back)
        .await
        .expect("not before what it repeats is too old");
}
