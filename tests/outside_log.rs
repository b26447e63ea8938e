//! A message from outside that cannot be read is logged once, with what to write, and never repeated: it may hold anything.

#![cfg(all(feature = "redis", feature = "testing", feature = "tracing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use larder::testing::redis::Server;
use larder::{Cache, Redis};
use support::log::Log;
use support::processes::{hears, until};

// One thread: the log is that of the thread.
#[tokio::test]
async fn what_cannot_be_read_is_logged_once_with_what_to_write() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let server = Server::start();
    let redis = Redis::builder().url(server.url()).time_limit(Duration::from_secs(10)).connect().await;
    let cache = Cache::builder().prefix("shop").shared(redis.unwrap()).build().unwrap();
    hears(&cache).await;

    for message in [r#"{"tag":["hunter2"]}"#, r#"{"hunter2":true}"#, "hunter2", r#"{"tags":["hunter2"#] {
        server.command(&["PUBLISH", "shop:invalidate", message]);
    }
    until(|| cache.stats().shared.unwrap().unread == 4).await;

    let logged = log.text();
    let lines: Vec<_> = logged.lines().filter(|line| line.contains("from outside")).collect();
    assert_eq!(lines.len(), 1, "{logged}");
    assert!(lines[0].contains(r#"write {"tags":["menu"]"#), "{logged}");
    assert!(!logged.contains("hunter2"), "{logged}");
}
