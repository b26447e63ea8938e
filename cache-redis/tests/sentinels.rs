//! A primary that sentinels tell, and what a fail-over does to the calls.
#![cfg(all(feature = "sentinel", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

#[allow(dead_code, reason = "shared with the tests of one server")]
#[path = "failures/support.rs"]
mod support;

use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Reply, Sentinels, Server};

use crate::support::*;

async fn connect_to(sentinels: &Sentinels) -> Redis {
    let builder = Redis::builder().url(sentinels.url()).time_limit(Duration::from_secs(1));
    builder.connect().await.expect("the primary is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_is_followed_under_load() {
    let mut sentinels = Sentinels::start();
    let redis = connect_to(&sentinels).await;
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    // Two of three are enough.
    sentinels.kill_sentinel(0);
    let load: Vec<_> = (0..16)
        .map(|n| {
            let redis = redis.clone();
            tokio::spawn(async move {
                let key = EntryKey::from(n.to_string());
                let (mut was_down, mut count) = (false, 0);
                // Until it has seen the old one, no one, and the new one.
                while !was_down || count < 100 {
                    let answer = redis.invalidate(&key).await;
                    was_down |= answer.is_err();
                    count = if answer.is_ok() { count + 1 } else { 0 };
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();

    let old = sentinels.primary();
    sentinels.server(old).kill();
    for task in load {
        tokio::time::timeout(Duration::from_secs(40), task).await.expect("the new one is found").unwrap();
    }

    until("all sentinels know", || sentinels.primary() != old).await;
    let new = sentinels.primary();
    assert!(clients(&sentinels.servers()[new], "NORMAL") > 0);
    put(&redis, &"k".into(), b"v").await;
    assert_eq!(get(&redis, &"k".into()).await, Some(b"v".to_vec()));
    until_heard(&redis, &mut ear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_is_left_and_is_not_asked_as_a_replica() {
    let sentinels = Sentinels::start();
    let redis = connect_to(&sentinels).await;
    let key = EntryKey::from("k");
    put(&redis, &key, b"v").await;
    let old = sentinels.primary();

    sentinels.servers()[old].pause();
    until_ok(|| redis.invalidate(&key)).await;
    until("all sentinels know", || sentinels.primary() != old).await;
    let new = sentinels.primary();
    sentinels.servers()[old].resume();
    until("it has become a replica", || {
        // A sentinel cuts connections when it makes a replica of a server, this one too.
        let info = sentinels.servers()[old].command(&["INFO", "replication"]);
        matches!(info, Reply::Text(text) if String::from_utf8_lossy(&text).contains("role:slave"))
    })
    .await;

    put(&redis, &key, b"w").await;
    assert_eq!(get(&redis, &key).await, Some(b"w".to_vec()));
    assert!(clients(&sentinels.servers()[new], "NORMAL") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_new_primary_lacks_is_repeated() {
    let mut sentinels = Sentinels::start();
    let redis = connect_to(&sentinels).await;
    let key = EntryKey::from("k");
    put(&redis, &key, b"old").await;
    let old = sentinels.primary();
    let replicas = [1, 2].map(|step| (old + step) % 3);
    until("the replicas have it", || {
        let has_it = |at: usize| dbsize(&sentinels.servers()[at]) != Reply::Int(0);
        replicas.into_iter().all(has_it)
    })
    .await;

    for at in replicas {
        sentinels.servers()[at].pause();
    }
    sentinels.servers()[old].command(&["CLIENT", "KILL", "TYPE", "replica"]);
    redis.invalidate(&key).await.expect("the primary has it");
    sentinels.server(old).kill();
    for at in replicas {
        sentinels.servers()[at].resume();
    }

    let (read, _) = until_ok(|| redis.read(&key, &[])).await;
    assert_eq!(read.found, None, "it came back");
    until("all sentinels know", || sentinels.primary() != old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told() {
    let sentinels = Sentinels::start();
    let alone = Server::start();
    let url = sentinels.url();
    let one = url.split([',', '/']).nth(2).expect("a host").to_owned();
    for (url, says) in [
        (url.replace("/main", "/other"), "they know no such primary; write `redis+sentinel://"),
        (
            format!("redis+sentinel://127.0.0.1:{}/main", alone.port()),
            "no sentinel; write `redis://host:6379`",
        ),
        (format!("redis://{one}"), "write `redis+sentinel://host:26379/primary`"),
        (format!("{url}/16"), "no database 16"),
        (format!("{url},redis://{one}"), "write `redis+sentinel://host:26379,host:26379/primary/0`"),
    ] {
        let error = Redis::connect(&url).await.expect_err(&url);

        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert!(error.to_string().contains(says), "{url}: {error}");
    }
}
