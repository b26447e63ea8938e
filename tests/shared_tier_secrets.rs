//! A password is told to nobody: not by an error, not by `Debug`, not by the statistics, not by the log.

#![cfg(all(feature = "redis", feature = "testing", feature = "tracing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::error::Error as _;
use std::time::Duration;

use larder::testing::redis::Server;
use larder::{Cache, Error, Redis, cached};
use support::log::Log;

const SECRET: &str = "hunter2-hunter2";

#[cached(ttl = 60, tags = ["menu"])]
async fn dish(id: u64) -> u64 {
    id
}

/// All that an error says, of its causes too.
fn all_of(error: &Error) -> String {
    let mut told = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    told
}

/// Uses a cache whose password is wrong, or whose server is gone; tells all that can be heard of it.
async fn use_in_vain(cache: &Cache) -> String {
    let mut told = String::new();
    for id in 0..5 {
        assert_eq!(cache.scope(dish(id)).await, id, "it computes");
        told.push_str(&all_of(&cache.invalidate_tags(["menu"]).await.expect_err("it cannot be reached")));
        let refresh = cache.scope(async { dish_entry(id).invalidate().await }).await;
        told.push_str(&all_of(&refresh.expect_err("it cannot be reached")));
    }
    while cache.stats().shared.unwrap().failures < 4 {
        tokio::task::yield_now().await;
    }
    told + &format!("{cache:?} {cache:#?} {} {:?}", cache.stats(), cache.stats())
}

// One thread: the log is that of the thread.
#[tokio::test]
async fn a_password_is_told_to_nobody() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let mut server = Server::with_args(&["--requirepass", "another-one"]);
    let url = format!("redis://:{SECRET}@127.0.0.1:{}", server.port());
    let builder = Redis::builder().url(&url).password(SECRET).time_limit(Duration::from_secs(10));
    let cache = Cache::builder().shared(builder.clone().lazy().unwrap()).build().unwrap();

    let mut told = format!("{builder:?} {builder:#?}");
    told.push_str(&use_in_vain(&cache).await);
    server.kill();
    told.push_str(&use_in_vain(&cache).await);
    told.push_str(&all_of(&builder.connect().await.expect_err("nobody is there")));

    let logged = log.text();
    assert!(logged.contains("the shared tier does not answer"), "{logged}");
    assert!(logged.contains("the bus cannot be listened to"), "{logged}");
    for told in [told, logged] {
        assert!(!told.contains(SECRET), "{told}");
    }
}
