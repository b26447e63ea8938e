//! `lease = ..`: how long a holder that died can delay the other processes; and what one keeps that takes long.

#![allow(clippy::unwrap_used, reason = "what fails, fails the test")]
#![allow(unused_variables, reason = "an argument that is a key part and nothing else")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use cache_core::testing::{ManualClock, MemoryStage};
use larder::backend::{Backend, Claim, EntryKey, Lease, LeaseRequest, LeaseToken, Memory, Prefix, Tags};
use larder::{Cache, Key, cached};
use support::pair::Pair;
use support::processes::hears;
use support::source::{Down, Source};
use tokio::sync::{Notify, Semaphore};

const MINUTE: Duration = Duration::from_secs(60);

#[cached(ttl = 60, lease = MINUTE, skip(begun))]
async fn a_minute(begun: &Notify, id: u64) -> u64 {
    begun.notify_one();
    std::future::pending().await
}

#[cached(ttl = 60, skip(begun))]
async fn the_default(begun: &Notify, id: u64) -> u64 {
    begun.notify_one();
    std::future::pending().await
}

/// How long another process is told to wait for `key`, once `call` computes it in this one.
async fn delay(call: impl Future<Output = u64>, begun: &Notify, store: &Memory, key: &Key) -> Duration {
    let key = EntryKey::from(key.to_string());
    let other = store.view(&Prefix::new("larder").unwrap());
    let asking = async {
        begun.notified().await;
        let tags = Tags { keys: &[], life: MINUTE };
        let (token, life) = (LeaseToken::random(), MINUTE);
        other.lease(LeaseRequest { key: &key, token, life, tags, claim: Claim::Absent }).await.unwrap()
    };
    tokio::select! {
        _ = call => panic!("it never ends"),
        answer = asking => match answer {
            Lease::Held { remaining } => remaining,
            answer => panic!("nobody holds it: {answer:?}"),
        },
    }
}

#[tokio::test]
async fn other_processes_wait_for_a_silent_holder_as_long_as_the_function_says() {
    let (store, begun) = (Memory::new(), Notify::new());
    let cache = Cache::builder().shared(store.clone()).build().unwrap();

    let key = a_minute_entry(1).key().unwrap().clone();
    let said = delay(cache.scope(a_minute(&begun, 1)), &begun, &store, &key).await;
    let key = the_default_entry(1).key().unwrap().clone();
    let usual = delay(cache.scope(the_default(&begun, 1)), &begun, &store, &key).await;

    let ten_seconds = Duration::from_secs(10);
    assert!(said > ten_seconds && said <= MINUTE, "{said:?}");
    assert!(usual <= ten_seconds, "{usual:?}");
}

#[cached(ttl = 1, tags = ["report"], skip(begun, go))]
async fn report(begun: &Notify, go: &Semaphore, id: u64) -> u64 {
    begun.notify_one();
    drop(go.acquire().await);
    id
}

/// The epochs that a value bears are drawn before its computation begins, and must outlive the value.
#[tokio::test]
async fn what_took_far_longer_than_it_is_kept_is_found_by_other_processes() {
    let (stage, clock) = (MemoryStage::new(), ManualClock::new());
    let process = || {
        Cache::builder().prefix("app").shared(stage.memory().clone()).clock(clock.clock()).build().unwrap()
    };
    let (one, two) = (process(), process());
    let (begun, go) = (Notify::new(), Semaphore::new(0));
    let mut computing = std::pin::pin!(one.scope(report(&begun, &go, 1)));

    // A minute, in steps that a renewal can follow.
    tokio::select! {
        _ = &mut computing => panic!("it is held back"),
        () = begun.notified() => {}
    }
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        stage.pass(Duration::from_secs(1));
        for _ in 0..20 {
            tokio::select! {
                biased;
                _ = &mut computing => panic!("it is held back"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    go.add_permits(1);
    assert_eq!(computing.await, 1);

    assert_eq!(two.scope(report(&begun, &go, 1)).await, 1);
    let stats = two.stats();
    let report = stats.function("report").unwrap();
    assert_eq!((report.shared_hits, report.computations), (1, 0), "{:?}", report.misses);
}

#[cached(ttl = 60, name = "lease/outdated", tags = ["menu"], skip(cache, source), cache = cache)]
async fn row(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    source.read().await
}

#[cached(ttl = 60, name = "lease/outdated", each = ids, tags = ["menu"], skip(cache, source), cache = cache)]
async fn rows(cache: &Cache, source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let row = source.read().await?;
    Ok(ids.iter().map(|id| (*id, row)).collect())
}

/// Its lease is not renewed any more: what it brings could be used by nobody.
#[tokio::test]
async fn nobody_waits_without_an_end_for_what_was_invalidated_while_it_is_computed() {
    for (of_many, is_elsewhere) in [(false, false), (true, false), (false, true)] {
        // given a computation that hangs
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        hears(&pair.other).await;
        source.hold();
        let (cache, hanging) = (pair.cache.clone(), source.clone());
        let _earlier = tokio::spawn(async move {
            match of_many {
                true => drop(rows(&cache, &hanging, &[1]).await),
                false => drop(row(&cache, &hanging, 1).await),
            }
        });
        pair.comes_about(|_| source.asked() == 1).await;

        // when its tag is invalidated
        pair.cache.invalidate_tags(["menu"]).await.unwrap();
        let (cache, other) =
            (if is_elsewhere { pair.other.clone() } else { pair.cache.clone() }, source.clone());
        let _later = tokio::spawn(async move { row(&cache, &other, 1).await });

        // then who asks afterwards computes, long before the lease would end that is renewed
        pair.comes_about(|_| source.asked() == 2).await;
    }
}
