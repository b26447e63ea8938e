//! A call that is kept, and not polled while its value is on its way to Redis, keeps no others from storing theirs.

#![cfg(all(unix, feature = "redis", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use larder::testing::redis::Server;
use larder::{Cache, Redis, cached};
use support::processes::{SOON, hears};
use support::source::waits;
use tokio::sync::Semaphore;

#[cached(ttl = 3600, name = "room/big", skip(cache, begun, gate), cache = cache)]
async fn big(cache: &Cache, begun: &Semaphore, gate: &Semaphore, id: u64) -> Vec<u8> {
    let _ = cache;
    begun.add_permits(1);
    gate.acquire().await.unwrap().forget();
    vec![id as u8; 1 << 20]
}

#[cached(ttl = 3600, name = "room/middle", skip(cache), cache = cache)]
async fn middle(cache: &Cache, id: u64) -> Vec<u8> {
    let _ = cache;
    vec![id as u8; 32 << 10]
}

#[cached(ttl = 3600, name = "room/middle", each = ids, skip(cache, begun, gate), cache = cache)]
async fn middles(cache: &Cache, begun: &Semaphore, gate: &Semaphore, ids: &[u64]) -> HashMap<u64, Vec<u8>> {
    let _ = cache;
    begun.add_permits(1);
    gate.acquire().await.unwrap().forget();
    ids.iter().map(|id| (*id, vec![*id as u8; 32 << 10])).collect()
}

async fn process(server: &Server) -> Cache {
    let redis =
        Redis::builder().url(server.url()).time_limit(Duration::from_secs(1)).connect().await.unwrap();
    let cache = Cache::builder().prefix("shop").shared(redis).build().unwrap();
    hears(&cache).await;
    cache
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_not_polled_any_more_do_not_keep_others_from_storing_large_values() {
    let server = Server::start();
    let cache = process(&server).await;
    let (begun, gate) = (Semaphore::new(0), Semaphore::new(0));
    // Two, for the two connections of large values.
    let mut kept: Vec<_> = (1..=2).map(|id| Box::pin(big(&cache, &begun, &gate, id))).collect();
    while begun.available_permits() < 2 {
        for call in &mut kept {
            assert!(waits(call).await);
        }
        tokio::task::yield_now().await;
    }
    server.pause();
    gate.add_permits(2);
    for call in &mut kept {
        assert!(waits(call).await, "it is being stored");
    }
    server.resume();
    // From here on nobody polls them. The server is well.

    gate.add_permits(1);
    let other = tokio::time::timeout(SOON, big(&cache, &begun, &gate, 3)).await;

    // For whoever looks into it: it is they that it waits for.
    drop(kept);
    gate.add_permits(1);
    assert!(tokio::time::timeout(SOON, big(&cache, &begun, &gate, 4)).await.is_ok());
    assert!(other.is_ok(), "another call hangs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_batch() {
    let server = Server::start();
    let cache = process(&server).await;
    let (begun, gate) = (Semaphore::new(0), Semaphore::new(0));
    let ids: Vec<u64> = (100..200).collect();
    let mut kept = Box::pin(middles(&cache, &begun, &gate, &ids));
    while begun.available_permits() < 1 {
        assert!(waits(&mut kept).await);
        tokio::task::yield_now().await;
    }
    server.pause();
    gate.add_permits(1);
    for _ in 0..3 {
        assert!(waits(&mut kept).await, "it is being stored");
    }
    server.resume();

    let other = tokio::time::timeout(SOON, middle(&cache, 3)).await;

    drop(kept);
    assert!(tokio::time::timeout(SOON, middle(&cache, 4)).await.is_ok());
    assert!(other.is_ok(), "another call hangs");
}
