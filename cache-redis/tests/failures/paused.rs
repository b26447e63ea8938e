//! A server that hangs: it keeps its connections and answers nothing.

use std::time::{Duration, Instant};

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::Server;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_takes_longer_than_its_limit() {
    let server = Server::start();
    let redis = connect(&server).await;
    put(&redis, &"k".into(), b"v").await;

    server.pause();
    for _ in 0..6 {
        #[expect(clippy::disallowed_methods, reason = "how long it takes is the question")]
        let began = Instant::now();
        assert_unreachable(redis.read(&"k".into(), &[]).await);
        // Two seconds for a machine that does other things too.
        assert!(began.elapsed() < LIMIT + Duration::from_secs(2), "{:?}", began.elapsed());
    }
    server.resume();

    until_ok(|| redis.health()).await;
    assert_eq!(get(&redis, &"k".into()).await, Some(b"v".to_vec()));
}

/// What timed out runs when the server goes on. The fence holds against it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_that_runs_late_is_refused_after_an_invalidation() {
    let server = Server::start();
    let (slow, other) = (connect(&server).await, patient(&server).await);
    let key = EntryKey::from("k");
    let (grant, _) = granted(&slow, request(&key, Tags::NONE)).await;

    server.pause();
    // The invalidation is in the server's queue first.
    let invalidating = tokio::spawn({
        let (other, key) = (other.clone(), key.clone());
        async move { other.invalidate(&key).await }
    });
    assert_unreachable(fill(&slow, &key, &grant, b"old").await);
    assert_unreachable(slow.lease(LeaseRequest { token: grant.token, ..request(&key, Tags::NONE) }).await);
    assert_unreachable(fill(&slow, &key, &grant, b"old").await);
    server.resume();
    invalidating.await.unwrap().expect("the invalidation is answered");
    until_ok(|| slow.health()).await;

    // Whatever of the late calls has run: none before the invalidation is left, and the grant is not current.
    other.invalidate(&key).await.expect("the invalidation is answered");
    assert_eq!(fill(&other, &key, &grant, b"old").await.unwrap(), Fill::Refused);
    assert_eq!(get(&other, &key).await, None);
}

/// The client would keep such a connection for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_only_times_out_is_replaced() {
    let server = Server::start();
    let redis = connect(&server).await;
    let id = |line: &str| line.split(' ').next().map(str::to_owned);
    let ids = || {
        let list = server.command(&["CLIENT", "LIST"]).text();
        list.lines().filter(|line| line.contains("name=larder ")).filter_map(id).collect::<Vec<_>>()
    };
    let before = ids();

    server.pause();
    for _ in 0..5 {
        // Callers have deadlines of their own, a little shorter.
        let call = tokio::time::timeout(LIMIT * 9 / 10, redis.health()).await;
        assert!(call.is_err() || call.is_ok_and(|answer| answer.is_err()));
    }
    server.resume();
    until_ok(|| redis.health()).await;

    until("there is one connection again", || ids().len() == 1).await;
    assert_ne!(ids(), before);
}

/// A caller that gives up early says nothing about the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_early_breaks_nothing() {
    let server = Server::start();
    let redis = patient(&server).await;

    for _ in 0..100 {
        let mut call = Box::pin(redis.health());
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        drop((polled, call));
    }

    redis.health().await.expect("health is answered");
    assert_eq!(connections(&server), 1);
}

/// "No limit" is a limit, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_limit_is_answered_or_given_up_by_its_caller() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).time_limit(Duration::MAX).connect().await;
    let redis = redis.expect("the server is there");
    put(&redis, &"k".into(), b"v").await;

    server.pause();
    let call = tokio::time::timeout(Duration::from_millis(10), redis.health()).await;
    server.resume();

    assert!(call.is_err(), "the server answers nothing");
    assert_eq!(get(&redis, &"k".into()).await, Some(b"v".to_vec()));
}
