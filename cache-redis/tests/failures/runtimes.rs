//! Programs with several runtimes, one after another: tests, mostly.

use std::time::Duration;

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::Server;
use tokio::runtime::Builder;

use crate::support::*;

#[test]
fn the_next_runtime_makes_its_own_connections() {
    let server = Server::start();
    let builder = Redis::builder().url(server.url()).time_limit(Duration::from_secs(10));
    let redis = builder.lazy().expect("no I/O yet");
    let mut ears = Vec::new();

    for _ in 0..3 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            redis.health().await.expect("it connects again");
            put(&redis, &"k".into(), &vec![7; 1 << 20]).await;
            // Who listened before is told of the gap, and hears again.
            for ear in &mut ears {
                hear_gap(ear).await;
                until_heard(&redis, ear).await;
            }
            ears.push(redis.subscribe().await.expect("a subscription is answered"));
            until_heard(&redis, ears.last_mut().unwrap()).await;
        });
    }
}

/// One that is still there, and stands still.
#[test]
fn a_runtime_that_stands_still_costs_some_calls() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).time_limit(LIMIT).lazy().expect("no I/O yet");
    let idle = Builder::new_current_thread().enable_all().build().unwrap();
    idle.block_on(redis.health()).expect("health is answered");
    // And with an attempt to connect under way there.
    let other = Redis::builder().url(server.url()).time_limit(LIMIT).lazy().expect("no I/O yet");
    idle.block_on(async {
        let mut call = std::pin::pin!(other.health());
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        assert!(!polled);
    });

    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_, failures) = until_ok(|| redis.health()).await;
        assert!(failures <= 5, "{failures}");
        let (_, failures) = until_ok(|| other.health()).await;
        assert!(failures <= 10, "{failures}");
    });
}

/// Connecting panics there. That is told, and not tried again and again.
#[test]
fn a_runtime_without_a_timer_is_told_what_it_lacks() {
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).time_limit(PATIENT).lazy().expect("no I/O yet");
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();

    let error = runtime.block_on(redis.health()).expect_err("there is no timer");

    assert_eq!(error.kind(), cache_core::ErrorKind::Configuration);
    assert!(error.to_string().contains("enable_all()"), "{error}");
    let whole = Builder::new_current_thread().enable_all().build().unwrap();
    whole.block_on(redis.health()).expect("there it can");
}
