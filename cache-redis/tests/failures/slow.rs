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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_invalidations_are_one_round_trip() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let redis = Redis::builder().url(proxy.url()).time_limit(PATIENT).connect().await.expect("it passes");
    let keys: Vec<_> = (0..500).map(|n| EntryKey::from(format!("k{n}"))).collect();
    let expired: Vec<_> = (0..100).map(|n| (EntryKey::from(format!("x{n}")), MINUTE)).collect();
    let names: Vec<_> = (0..100).map(|n| tag(&format!("t{n}"))).collect();
    put(&redis, &keys[7], b"v").await;
    // The scripts are known to the server then.
    let some = InvalidateRequest { keys: &keys[..1], expired: &expired[..1], tags: Tags::NONE };
    redis.invalidate_many(some).await.expect("an invalidation is answered");
    redis
        .invalidate_tags(Tags { keys: &names[..1], life: MINUTE })
        .await
        .expect("an invalidation is answered");

    // 700 of them one after the other would take 140 s.
    proxy.set(Traffic::Delay(Duration::from_millis(100)));
    let tags = Tags { keys: &names, life: MINUTE };
    let all = redis.invalidate_many(InvalidateRequest { keys: &keys, expired: &expired, tags });
    let epochs = tokio::time::timeout(Duration::from_secs(2), all).await.expect("one round trip");

    assert_eq!(epochs.expect("an invalidation is answered").len(), 100);
    proxy.set(Traffic::Pass);
    assert_eq!(get(&redis, &keys[7]).await, None);
}
