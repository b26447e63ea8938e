//! What is left in Redis: nothing that does not end by itself.

#![cfg(all(feature = "redis", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

use std::time::Duration;

use larder::testing::redis::{Reply, Server};
use larder::{Cache, Redis, cached};

/// Two tags, both tiers.
#[cached(ttl = 1, lease = "1s", tags = ["menu", "dish:{id}"])]
async fn dish(id: u64) -> u64 {
    id
}

/// Reads through.
#[cached(ttl = 1, lease = "1s", tags = ["menu"], tier = shared)]
async fn shared_dish(id: u64) -> u64 {
    id
}

/// Stays here; its tags do not.
#[cached(ttl = 1, tags = ["menu", "local:{id}"], tier = local)]
async fn local_dish(id: u64) -> u64 {
    id
}

/// Is not stored.
#[cached(ttl = 1, lease = "1s", tags = ["menu"])]
async fn no_dish(id: u64) -> Result<u64, std::fmt::Error> {
    let _ = id;
    Err(std::fmt::Error)
}

/// Does not end.
#[cached(ttl = 1, lease = "1s", tags = ["endless"])]
async fn endless_dish(id: u64) -> u64 {
    std::future::pending::<()>().await;
    id
}

async fn connect(server: &Server) -> Cache {
    let redis = Redis::builder().url(server.url()).time_limit(Duration::from_secs(10)).connect().await;
    Cache::builder().prefix("app").shared(redis.unwrap()).build().unwrap()
}

/// Calls in all the ways that leave something in Redis.
async fn call_all(cache: &Cache) {
    let calls = async {
        for id in 0..20 {
            assert_eq!((dish(id).await, shared_dish(id).await, local_dish(id).await), (id, id, id));
            no_dish(id).await.unwrap_err();
            dish_refresh(id).await;
            dish_entry(id + 100).put(7).await.unwrap();
            let _ = tokio::time::timeout(Duration::from_millis(1), endless_dish(id)).await;
        }
        dish_entry(0).expire().await.unwrap();
        dish_entry(1).invalidate().await.unwrap();
        assert_eq!(dish(1).await, 1);
    };
    cache.scope(calls).await;
}

/// The keys, and how long each is kept yet, in ms.
fn keys(server: &Server) -> Vec<(String, i64)> {
    let Reply::List(names) = server.command(&["KEYS", "*"]) else { panic!("a list") };
    let life = |name: String| match server.command(&["PTTL", &name]) {
        Reply::Int(life) => (name, life),
        other => panic!("a number, not {other:?}"),
    };
    // One that ends in between has -2.
    names.into_iter().map(Reply::text).map(life).filter(|(_, life)| *life != -2).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_entries_have_expired_nothing_is_left() {
    let server = Server::start();
    let (one, two) = (connect(&server).await, connect(&server).await);

    call_all(&one).await;
    call_all(&two).await;
    assert_ne!(server.command(&["DBSIZE"]), Reply::Int(0));

    // The caches still run, and listen.
    let ending = async {
        while server.command(&["DBSIZE"]) != Reply::Int(0) {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ending).await;
    assert!(ended.is_ok(), "{:?}", keys(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_leaves_nothing_that_does_not_end() {
    let server = Server::start();
    let cache = connect(&server).await;

    call_all(&cache).await;
    cache.invalidate_tags(["menu", "nobody-bears-it"]).await.unwrap();
    cache.scope(async { dish_entry(0).invalidate_function().await }).await.unwrap();
    cache.clear().await.unwrap();

    let keys = keys(&server);
    assert!(keys.iter().any(|(name, _)| name.contains("nobody-bears-it")), "{keys:?}");
    assert!(keys.iter().all(|(_, life)| (0..=60_000).contains(life)), "{keys:?}");
}
