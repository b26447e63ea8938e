//! A network that is slow.

use std::time::Duration;

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Server, Traffic};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_within_the_limit_succeed_and_others_do_not() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = Redis::builder().url(proxy.url()).time_limit(Duration::from_secs(2));
    let redis = builder.connect().await.expect("the proxy lets it pass");

    proxy.set(Traffic::Delay(Duration::from_millis(100)));
    redis.health().await.expect("there and back in 200 ms");
    proxy.set(Traffic::Delay(Duration::from_millis(1500)));
    let error = assert_unreachable(redis.health().await);

    assert!(error.to_string().ends_with("no answer within 2s"), "{error}");
    proxy.set(Traffic::Pass);
    until_ok(|| redis.health()).await;
}
