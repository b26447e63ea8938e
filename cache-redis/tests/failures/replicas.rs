//! Invalidations that wait for replicas.

use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Reply, Server};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_than_asked_for_is_an_error() {
    let server = Server::start();
    let builder = Redis::builder().url(server.url()).wait_replicas(1, Duration::from_millis(50));
    let redis = builder.time_limit(PATIENT).connect().await.expect("the server is there");
    let key = EntryKey::from("k");
    let keys = [tag("a"), tag("b")];
    let tags = Tags { keys: &keys, life: MINUTE };
    let before = redis.epochs(tags).await.unwrap();
    put(&redis, &key, b"v").await;

    for answer in [
        redis.expire(&key, MINUTE).await,
        redis.invalidate(&key).await,
        redis.invalidate_tags(tags).await.map(drop),
    ] {
        let error = answer.expect_err("no replica is there");
        assert_eq!(error.kind(), ErrorKind::NotReplicated);
        assert!(error.to_string().contains("0 of 1 replicas have it"), "{error}");
    }
    // They were made all the same.
    assert_eq!(get(&redis, &key).await, None);
    assert!(
        redis.read(&key, &keys).await.unwrap().epochs.iter().zip(before).all(|(now, old)| now.unwrap() > old)
    );

    // Nobody would repeat what comes after the first thousand of many.
    let many: Vec<_> = (0..2_500).map(|n| EntryKey::from(format!("k{n}"))).collect();
    put(&redis, &many[2_499], b"v").await;
    let request = InvalidateRequest { keys: &many, ..InvalidateRequest::NOTHING };
    let error = redis.invalidate_many(request).await.expect_err("no replica is there");
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    assert_eq!(get(&redis, &many[2_499]).await, None);

    let replica = Server::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    // A replica may take its time.
    let redis = Redis::builder().url(server.url()).wait_replicas(1, MINUTE).time_limit(PATIENT);
    let redis = redis.connect().await.expect("the server is there");
    until_ok(|| redis.invalidate(&key)).await;
    redis.expire(&key, MINUTE).await.expect("the replica has it");
    let epochs = redis.invalidate_tags(tags).await.expect("the replica has it");
    assert_eq!(epochs.len(), 2);
    let stored = replica.command(&["EXISTS", "larder:t:{a}", "larder:t:{b}"]);
    assert_eq!(stored, Reply::Int(2));
}

/// One `WAIT` is for all who come while another holds the connection up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_timeouts_of_all_others() {
    const LIMIT: Duration = Duration::from_millis(500);
    let server = Server::start();
    let builder = Redis::builder().url(server.url()).wait_replicas(1, LIMIT).time_limit(LIMIT * 4);
    let redis = builder.connect().await.expect("the server is there");
    let waits = || {
        let stats = server.command(&["INFO", "commandstats"]);
        let text = stats.text();
        let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_wait:calls="));
        calls.map_or(0, |calls| calls.split(',').next().unwrap().parse::<u32>().expect("a number"))
    };
    let invalidate = |n: u32| {
        let redis = redis.clone();
        tokio::spawn(async move { redis.invalidate(&format!("k{n}").into()).await })
    };

    let first = invalidate(0);
    until("it waits", || server.command(&["CLIENT", "LIST"]).text().contains("cmd=wait")).await;
    let others: Vec<_> = (1..100).map(invalidate).collect();

    for one in [first].into_iter().chain(others) {
        let error = one.await.expect("a task").expect_err("no replica is there");
        assert_eq!(error.kind(), ErrorKind::NotReplicated, "{error}");
    }
    assert!(waits() < 10, "{} for 100 invalidations", waits());
}

/// A caller that goes away takes nothing from those whose changes are sent with its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_away_has_sent_for_the_others() {
    let server = Server::start();
    let builder = Redis::builder().url(server.url()).wait_replicas(1, Duration::from_millis(300));
    let redis = builder.time_limit(PATIENT).connect().await.expect("the server is there");
    let keys: Vec<EntryKey> = (0..3).map(|n| EntryKey::from(format!("k{n}"))).collect();
    for key in &keys {
        put(&redis, key, b"v").await;
    }

    let mut calls: Vec<_> = keys.iter().map(|key| Box::pin(redis.invalidate(key))).collect();
    for call in &mut calls {
        let is_ready =
            std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        assert!(!is_ready, "it waits");
    }
    drop(calls.remove(0));

    for call in calls {
        assert_eq!(call.await.expect_err("no replica is there").kind(), ErrorKind::NotReplicated);
    }
    for key in &keys {
        assert_eq!(get(&redis, key).await, None);
    }
}

/// The server refuses a time that its clock cannot hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_can_be_waited_for_without_end() {
    let (server, replica) = (Server::start(), Server::start());
    replica.command(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    let builder = Redis::builder().url(server.url()).wait_replicas(1, Duration::MAX);
    let redis = builder.time_limit(PATIENT).connect().await.expect("the server is there");

    let keys = [tag("a")];
    let made = redis.invalidate_tags(Tags { keys: &keys, life: MINUTE }).await;

    made.expect("the replica has it");
    assert_eq!(replica.command(&["EXISTS", "larder:t:{a}"]), Reply::Int(1));
}

/// A server that wants replicas itself refuses to write without them: then nothing was made, and it must be repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refused_is_not_taken_for_made() {
    let server = Server::start();
    let builder = Redis::builder().url(server.url()).wait_replicas(1, Duration::from_millis(50));
    let redis = builder.time_limit(PATIENT).connect().await.expect("the server is there");
    let key = EntryKey::from("k");
    let keys = [tag("a")];
    let tags = Tags { keys: &keys, life: MINUTE };
    put(&redis, &key, b"v").await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);

    for answer in [
        redis.expire(&key, MINUTE).await,
        redis.invalidate(&key).await,
        redis.invalidate_tags(tags).await.map(drop),
    ] {
        assert_eq!(answer.expect_err("it may not write").kind(), ErrorKind::Refused);
    }
    assert!(get(&redis, &key).await.is_some(), "it is still there");
}

/// `WAIT` holds up what comes behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_calls_do_not_wait() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).wait_replicas(1, MINUTE).time_limit(PATIENT);
    let redis = redis.connect().await.expect("the server is there");

    let waiting = tokio::spawn({
        let redis = redis.clone();
        async move { redis.invalidate(&"k".into()).await }
    });
    until("it waits", || server.command(&["CLIENT", "LIST"]).text().contains("cmd=wait")).await;
    redis.health().await.expect("health is answered");

    assert!(!waiting.is_finished());
    waiting.abort();
}

/// All of them share the connection that waits.
#[test]
fn callers_on_many_runtimes_wait_together() {
    const LIMIT: Duration = Duration::from_millis(400);
    let server = Server::start();
    let builder = Redis::builder().url(server.url()).wait_replicas(1, LIMIT).time_limit(LIMIT * 4);
    let redis = builder.lazy().expect("no I/O yet");
    // Each goes on to the end: the connection, and who sends, live on one of them.
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtimes: Vec<_> = (0..8).map(|_| runtime().expect("a runtime")).collect();

    let calls = runtimes.iter().enumerate().map(|(n, runtime)| {
        let redis = redis.clone();
        runtime.spawn(async move {
            for times in 0..3 {
                let key = EntryKey::from(format!("{n}:{times}"));
                let error = redis.invalidate(&key).await.expect_err("no replica is there");
                assert_eq!(error.kind(), ErrorKind::NotReplicated, "{error}");
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        runtimes[0].block_on(call).expect("a task");
    }
}

/// The next caller sends in the place of one whose runtime has ended while it waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_ends_takes_no_others_changes_along() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).wait_replicas(1, Duration::from_millis(500));
    let redis = redis.time_limit(PATIENT).connect().await.expect("the server is there");
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    other.spawn({
        let redis = redis.clone();
        async move { redis.invalidate(&"k".into()).await }
    });
    until("it waits", || server.command(&["CLIENT", "LIST"]).text().contains("cmd=wait")).await;
    let waiting = tokio::spawn({
        let redis = redis.clone();
        async move { redis.invalidate(&"l".into()).await }
    });

    other.shutdown_background();

    let error = waiting.await.expect("a task").expect_err("no replica is there");
    assert_eq!(error.kind(), ErrorKind::NotReplicated, "{error}");
}

/// Nobody waits for what is made once more; and before all of it is made the shared tier is not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_repeated_waits_for_no_replica() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).wait_replicas(1, MINUTE).time_limit(PATIENT);
    let redis = redis.connect().await.expect("the server is there");
    let keys = [EntryKey::from("k")];
    let request = InvalidateRequest { keys: &keys, ..InvalidateRequest::NOTHING };
    put(&redis, &keys[0], b"v").await;

    redis.repeat_many(request).await.expect("it is made");

    assert_eq!(get(&redis, &keys[0]).await, None);
}
