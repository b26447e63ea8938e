//! Values that are computed from other cached values: an invalidation whose message is on its way outdates both, or none is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use cache_core::testing::Operation;
use larder::{Cache, cached};
use support::pair::Pair;
use support::processes::hears;
use support::source::{Down, Source, waits};

#[cached(ttl = 3600, tier = local, name = "nested/inner", tags = ["menu"], skip(cache, source), cache = cache)]
async fn inner(cache: &Cache, source: &Source) -> Result<u64, Down> {
    let _ = cache;
    source.read().await
}

#[cached(ttl = 3600, name = "nested/outer", tags = ["menu"], skip(cache, source), cache = cache)]
async fn outer(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    inner(cache, source).await
}

#[tokio::test]
async fn what_is_computed_from_what_an_answer_outdates_is_not_kept() {
    for is_known in [true, false] {
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        assert_eq!(inner(&pair.cache, &source).await, Ok(0));
        if is_known {
            assert_eq!(outer(&pair.cache, &source, 2).await, Ok(0));
        }
        // Its message is on its way.
        pair.faults.set_deaf(true);
        let written = source.write();
        pair.other.invalidate_tags(["menu"]).await.unwrap();

        let _ = outer(&pair.cache, &source, 1).await;

        assert_eq!(outer(&pair.other, &source, 1).await, Ok(written), "known: {is_known}");
    }
}

#[cached(ttl = 3600, name = "nested/user", tags = ["user:7"], skip(cache, source), cache = cache)]
async fn user(cache: &Cache, source: &Source) -> Result<u64, Down> {
    let _ = cache;
    source.read().await
}

#[cached(ttl = 3600, name = "nested/page", tags_from = |_| ["user:7"], skip(cache, source), cache = cache)]
async fn page(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    user(cache, source).await
}

/// The tag of the page is known only at its end, and what it is made of is in this process yet.
#[tokio::test]
async fn neither_is_what_tells_its_tags_at_its_end() {
    let (pair, source) = (Pair::new(), Source::new());
    hears(&pair.cache).await;
    for id in [2, 3] {
        assert_eq!(page(&pair.cache, &source, id).await, Ok(0));
    }
    pair.faults.set_deaf(true);
    let written = source.write();
    pair.other.invalidate_tags(["user:7"]).await.unwrap();

    let _ = page(&pair.cache, &source, 1).await;

    assert_eq!(page(&pair.other, &source, 1).await, Ok(written), "in the other process");
}

/// The same, of an invalidation of this process's own.
#[tokio::test]
async fn nor_while_this_process_invalidates() {
    for is_late in [true, false] {
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        if is_late {
            for id in [2, 3] {
                assert_eq!(page(&pair.cache, &source, id).await, Ok(0));
            }
        } else {
            assert_eq!(inner(&pair.cache, &source).await, Ok(0));
        }
        pair.faults.set_deaf(true);
        let written = source.write();
        let answer = pair.faults.hold_answer(Operation::InvalidateTags);
        let mut invalidating = Box::pin(pair.cache.invalidate_tags(["user:7", "menu"]));
        assert!(waits(&mut invalidating).await);
        answer.arrived().await;
        let call = || async {
            match is_late {
                true => page(&pair.cache, &source, 1).await,
                false => outer(&pair.cache, &source, 1).await,
            }
        };

        let _ = call().await;
        answer.open();
        invalidating.await.unwrap();

        assert_eq!(call().await, Ok(written), "after the invalidation was answered, late: {is_late}");
    }
}

#[cached(ttl = 3600, name = "nested/settings", tags = ["settings"], skip(cache, source), cache = cache)]
async fn settings(cache: &Cache, source: &Source) -> Result<u64, Down> {
    let _ = cache;
    source.read().await
}

#[cached(ttl = 3600, name = "nested/profile", tags = ["settings", "profile:{id}"], skip(cache, source), cache = cache)]
async fn profile(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    settings(cache, source).await
}

/// All begin before what they are made of is there, and their tags are new.
#[tokio::test]
async fn what_is_made_of_one_value_at_once_is_kept() {
    let (pair, source) = (Pair::new(), Source::new());
    hears(&pair.cache).await;
    source.hold();
    let mut calls: Vec<_> = (0..20).map(|id| Box::pin(profile(&pair.cache, &source, id))).collect();
    let joined = || pair.cache.stats().function("nested/settings").map_or(0, |settings| settings.joined);
    while joined() < 19 {
        for call in &mut calls {
            assert!(waits(call).await);
        }
        tokio::task::yield_now().await;
    }
    source.release();
    for call in calls {
        assert_eq!(call.await, Ok(0));
    }

    for id in 0..20 {
        assert_eq!(profile(&pair.other, &source, id).await, Ok(0));
    }
    assert_eq!(source.asked(), 1);
    let refused = |name| pair.cache.stats().function(name).unwrap().refused_fills;
    assert_eq!((refused("nested/settings"), refused("nested/profile")), (0, 0));
    let computed = pair.other.stats().function("nested/profile").unwrap().computations;
    assert_eq!(computed, 0, "the other process finds all");
}
