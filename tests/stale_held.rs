//! A stale value that a call has read from the shared tier, and which lies nowhere in this process: it stands in, and is gone when its
//! key is invalidated.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Cache, cached};
use support::MINUTE;
use support::pair::Pair;
use support::processes::{SOON, hears, until};
use support::source::{Down, Source, waits};
use tokio::sync::Semaphore;

const SOFT: Duration = Duration::from_millis(50);

#[cached(ttl = 60, skip(cache, source), cache = cache, grace = "10m", timeout(soft = "50ms"), name = "held/soft")]
async fn softly(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

#[cached(ttl = 60, skip(cache, source), cache = cache, grace = "10m", tier = shared, timeout(soft = "50ms"), name = "held/soft_through")]
async fn softly_through(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

#[tokio::test]
async fn what_was_invalidated_does_not_stand_in_at_a_soft_timeout() {
    for (through, invalidated) in [(false, true), (true, true), (false, false), (true, false)] {
        let (pair, source) = (Pair::new(), Source::new());
        let call = async |cache: &Cache| match through {
            true => softly_through(cache, &source, 1).await,
            false => softly(cache, &source, 1).await,
        };
        hears(&pair.cache).await;
        hears(&pair.other).await;
        assert_eq!(call(&pair.other).await, Ok(0));
        source.write();
        source.hold();
        pair.store.pass(MINUTE + MINUTE);
        let mut waiting = Box::pin(call(&pair.cache));
        let asked = async {
            while source.asked() < 2 {
                assert!(waits(&mut waiting).await);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, asked).await.unwrap();

        // By another key, where nothing is to happen to this one.
        let key = if invalidated { 1 } else { 2 };
        match through {
            true => softly_through_entry(&pair.cache, key).invalidate().await.unwrap(),
            false => softly_entry(&pair.cache, key).invalidate().await.unwrap(),
        }
        pair.pass(SOFT).await;

        assert_eq!(waits(&mut waiting).await, invalidated, "through: {through}");
        source.release();
        if invalidated {
            assert_eq!(waiting.await, Ok(1));
        }
    }
}

#[cached(ttl = 60, skip(cache, source), cache = cache, grace = "10m", tier = shared, name = "held/through")]
async fn through(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

/// Held from an earlier look of the same call; the look after it is in vain.
#[tokio::test]
async fn what_was_invalidated_does_not_stand_in_though_the_shared_tier_cannot_say_so() {
    for is_put in [false, true] {
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        hears(&pair.other).await;
        assert_eq!(through(&pair.other, &source, 1).await, Ok(0));
        source.hold();
        source.write();
        pair.store.pass(MINUTE + MINUTE);
        let mut refresh = Box::pin(through_refresh(&pair.cache, &source, 1));
        let asked = async {
            while source.asked() < 2 {
                assert!(waits(&mut refresh).await);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, asked).await.unwrap();
        let begin = || {
            let (cache, source) = (pair.cache.clone(), source.clone());
            tokio::spawn(async move { through(&cache, &source, 1).await })
        };
        let earlier = begin();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }

        // when the key is invalidated, or another value put, and who computed it goes away
        match is_put {
            false => through_entry(&pair.cache, 1).invalidate().await.unwrap(),
            true => through_entry(&pair.cache, 1).put(Ok(1)).await.unwrap(),
        }
        source.set_down(true);
        pair.faults.fail(Operation::Read);
        drop(refresh);
        until(|| source.asked() == 3).await;
        pair.faults.fail(Operation::Read);
        let later = begin();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        source.release();

        // then there is nothing to stand in for the failure
        assert!(earlier.await.unwrap().is_err());
        assert!(later.await.unwrap().is_err(), "put: {is_put}");
    }
}

/// Who leads has looked before, and who follows has looked since.
#[tokio::test]
async fn what_was_invalidated_elsewhere_stands_in_for_nobody_who_has_found_it_gone() {
    // given a call that holds a stale value, and will fail
    let (pair, source) = (Pair::new(), Source::new());
    hears(&pair.cache).await;
    hears(&pair.other).await;
    assert_eq!(through(&pair.other, &source, 1).await, Ok(0));
    pair.store.pass(MINUTE + MINUTE);
    let begin = || {
        let (cache, source) = (pair.cache.clone(), source.clone());
        tokio::spawn(async move { through(&cache, &source, 1).await })
    };
    source.set_down(true);
    source.hold();
    let leader = begin();
    until(|| source.asked() == 2).await;
    source.set_down(false);
    let written = source.write();

    // when the key is invalidated elsewhere, and another call finds that out before the message comes
    pair.faults.set_deaf(true);
    through_entry(&pair.other, 1).invalidate().await.unwrap();
    let follower = begin();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(source.asked(), 2, "it follows");
    source.release();

    // then it gets nothing that the other held
    assert_eq!(leader.await.unwrap(), Ok(0), "it began before");
    assert_eq!(follower.await.unwrap(), Ok(written));
}

/// Bodies that are held up one by one.
#[derive(Clone)]
struct Rows {
    is_down: Arc<AtomicBool>,
    value: Arc<AtomicU64>,
    began: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Rows {
    fn held() -> Self {
        Self {
            is_down: Arc::default(),
            value: Arc::default(),
            began: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    async fn read(&self, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
        let value = self.value.load(Ordering::SeqCst);
        self.began.add_permits(ids.len());
        self.open.acquire().await.unwrap().forget();
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(Down("down".into())),
            false => Ok(ids.iter().map(|id| (*id, value)).collect()),
        }
    }

    async fn begun(&self) {
        tokio::time::timeout(SOON, self.began.acquire()).await.expect("it does not begin").unwrap().forget();
    }
}

#[cached(ttl = 60, name = "held/item", each = ids, skip(cache, rows), cache = cache, grace = "10m")]
async fn items(cache: &Cache, rows: &Rows, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let _ = cache;
    rows.read(ids).await
}

#[cached(ttl = 60, name = "held/item", skip(cache, rows), cache = cache, grace = "10m")]
async fn item(cache: &Cache, rows: &Rows, id: u64) -> Result<u64, Down> {
    let _ = cache;
    Ok(rows.read(&[id]).await?[&id])
}

#[tokio::test]
async fn what_was_invalidated_stands_in_for_no_item_of_a_batch_and_for_nobody_who_joins_it() {
    // given a stale value of 1, which another process computes
    let (pair, ours, theirs) = (Pair::new(), Rows::held(), Rows::held());
    let third = pair.third();
    for cache in [&pair.cache, &pair.other, &third] {
        hears(cache).await;
    }
    theirs.open.add_permits(1);
    assert_eq!(item(&pair.other, &theirs, 1).await, Ok(0));
    theirs.begun().await;
    pair.store.pass(MINUTE + MINUTE);
    let holder = tokio::spawn({
        let (cache, rows) = (third.clone(), theirs.clone());
        async move { item(&cache, &rows, 1).await }
    });
    theirs.begun().await;

    // and a batch that has read it, and computes 2 meanwhile
    let batch = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), ours.clone());
        async move { items(&cache, &rows, &[1, 2]).await }
    });
    ours.begun().await;

    // when 1 is invalidated, the batch computes it, and a later call joins that
    ours.value.store(1, Ordering::SeqCst);
    item_entry(&pair.cache, 1).invalidate().await.unwrap();
    ours.open.add_permits(1);
    ours.begun().await;
    let later = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), ours.clone());
        async move { item(&cache, &rows, 1).await }
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    ours.is_down.store(true, Ordering::SeqCst);
    ours.open.add_permits(100);

    // then there is nothing to stand in for its failure
    assert!(batch.await.unwrap().is_err());
    assert!(later.await.unwrap().is_err());
    theirs.open.add_permits(100);
    holder.await.unwrap().unwrap();
}
