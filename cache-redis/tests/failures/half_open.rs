//! A connection that takes bytes and brings none.

use cache_core::ErrorKind;
use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Server, Traffic};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_replaced_and_the_gap_is_told() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = Redis::builder().url(proxy.url()).time_limit(LIMIT);
    let redis = builder.connect().await.expect("the proxy lets it pass");
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;

    proxy.set(Traffic::Swallow);
    for _ in 0..4 {
        assert_unreachable(redis.invalidate(&"k".into()).await);
    }
    // What listens asks the other end, and hears nothing.
    hear_gap(&mut ear).await;
    proxy.set(Traffic::Pass);

    let key = "k".into();
    until_ok(|| redis.invalidate(&key)).await;
    until_heard(&redis, &mut ear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_is_made_again() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = Redis::builder().url(proxy.url()).time_limit(MINUTE);
    let redis = builder.connect().await.expect("the proxy lets it pass");
    let mut ear = redis.subscribe().await.expect("a subscription is answered");

    for _ in 0..5 {
        proxy.cut();
        redis.health().await.expect("it is sent again");
    }
    hear_gap(&mut ear).await;
    until_heard(&redis, &mut ear).await;

    proxy.set(Traffic::Refuse);
    proxy.cut();
    // A call may be answered yet before the cut is made.
    let refused = async {
        loop {
            if let Err(error) = redis.health().await {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(MINUTE, refused).await.expect("it is cut");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
}
