//! What is made stale by its tag stands in, however the messages of that come.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use cache_core::testing::Operation;
use larder::{Cache, cached};
use support::pair::Pair;
use support::processes::hears;
use support::source::{Down, Source};

#[cached(ttl = 3600, grace = "1h", name = "soft/menu", tags = ["menu"], skip(cache, source), cache = cache)]
async fn menu(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

async fn stage() -> (Pair, Source) {
    let (pair, source) = (Pair::new(), Source::new());
    hears(&pair.cache).await;
    for id in [1, 2] {
        assert_eq!(menu(&pair.cache, &source, id).await, Ok(0));
    }
    (pair, source)
}

/// Lets the messages come.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_made_stale_by_its_tag_stands_in() {
    let (pair, source) = stage().await;

    pair.cache.expire_tags(["menu"]).await.unwrap();
    settle().await;

    source.set_down(true);
    assert_eq!(menu(&pair.cache, &source, 1).await, Ok(0));
}

/// The message of the first comes after the answer to the second.
#[tokio::test]
async fn also_what_is_made_so_twice_at_once() {
    let (pair, source) = stage().await;

    let expire = || pair.cache.expire_tags(["menu"]);
    let (one, other) = tokio::join!(expire(), expire());
    one.and(other).unwrap();
    settle().await;

    source.set_down(true);
    assert_eq!(menu(&pair.cache, &source, 1).await, Ok(0));
}

/// It fails, is made here, and repeated in the shared tier, whose message comes then.
#[tokio::test]
async fn and_what_is_made_so_again_in_the_shared_tier() {
    let (pair, source) = stage().await;
    pair.faults.fail(Operation::InvalidateTags);

    pair.cache.expire_tags(["menu"]).await.unwrap_err();
    pair.comes_about(|pair| !pair.shared().is_away).await;
    settle().await;

    source.set_down(true);
    assert_eq!(menu(&pair.cache, &source, 1).await, Ok(0));
}
