//! What a program outside asks for removes, also while this process makes the same tag stale.

#![cfg(all(unix, feature = "redis", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use cache_core::testing::{Faulty, Operation};
use larder::testing::redis::Server;
use larder::{Cache, Redis, cached};
use support::processes::{hears, until};
use support::source::{Down, Source};

#[cached(ttl = 3600, grace = "1h", name = "soft/menu", tags = ["menu"], skip(cache, source), cache = cache)]
async fn menu(cache: &Cache, source: &Source) -> Result<u64, Down> {
    let _ = cache;
    source.read().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_from_outside_does_not_stand_in_although_it_is_being_made_stale() {
    for is_stale_too in [false, true] {
        let server = Server::start();
        let redis =
            Redis::builder().url(server.url()).time_limit(Duration::from_secs(10)).connect().await.unwrap();
        let (backend, faults) = Faulty::new(redis);
        let cache = Cache::builder().prefix("shop").shared(backend).build().unwrap();
        hears(&cache).await;
        let source = Source::new();
        assert_eq!(menu(&cache, &source).await, Ok(0));
        let expiring = is_stale_too.then(|| faults.hold(Operation::InvalidateTags));
        let stale = tokio::spawn({
            let cache = cache.clone();
            async move {
                if is_stale_too {
                    cache.expire_tags(["menu"]).await.unwrap();
                }
            }
        });
        if let Some(gate) = &expiring {
            gate.arrived().await;
        }
        let requested = faults.hold_answer(Operation::InvalidateTags);
        let messages = || cache.stats().shared.unwrap().messages;
        let before = faults.calls(Operation::Heartbeat) as u64;
        let _ = (before, messages());
        server.command(&["PUBLISH", "shop:invalidate", r#"{"tags":["menu"]}"#]);
        requested.arrived().await;
        // Its message, before its answer.
        let heard = messages();
        until(|| messages() > heard + 2).await;
        let mut events = cache.subscribe();
        requested.open();
        while let Some(event) = events.next().await {
            if let larder::Event::Invalidation { is_soft, .. } = event {
                assert!(!is_soft);
                break;
            }
        }

        source.set_down(true);
        let answer = menu(&cache, &source).await;
        drop(expiring);
        stale.await.unwrap();

        assert!(
            answer.is_err(),
            "a stale value stood in after its removal: {answer:?}, made stale: {is_stale_too}"
        );
    }
}
