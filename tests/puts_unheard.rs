//! A value that is put does not outlive an invalidation that came meanwhile, and was not heard of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use cache_core::testing::Operation;
use larder::{Cache, cached};
use support::pair::Pair;
use support::processes::{hears, hour, key, until};

#[cached(ttl = 3600, name = "puts/owned", tags_from = |_| ["late"], skip(cache, row), cache = cache)]
async fn owned(cache: &Cache, row: u64, id: u64) -> u64 {
    let _ = (cache, id);
    row
}

/// Puts a value, and does something else when it has its stamps and is about to take the key.
async fn put_while(
    pair: &Pair,
    put: impl Future<Output = Result<(), larder::Error>>,
    meanwhile: impl Future<Output = ()>,
) {
    let gate = pair.faults.hold(Operation::Lease);
    let meanwhile = async {
        gate.arrived().await;
        meanwhile.await;
        gate.open();
    };
    tokio::join!(put, meanwhile).0.unwrap();
}

/// As `an_invalidation_of_its_tag_elsewhere_removes_it_also_where_it_is_not_heard_of`, of a tag that only the value knows.
#[tokio::test]
async fn an_invalidation_elsewhere_of_a_tag_that_only_the_value_knows_removes_it_also_where_it_is_not_heard_of()
 {
    for is_heard in [true, false] {
        // given a put that is about to take the key, by epochs that are known
        let pair = Pair::new();
        hears(&pair.cache).await;
        for id in [8, 9] {
            owned(&pair.cache, 0, id).await;
        }

        // when its tag is invalidated elsewhere
        let invalidating = async {
            let heard = pair.shared().messages;
            pair.faults.set_deaf(!is_heard);
            pair.other.invalidate_tags(["late"]).await.unwrap();
            if is_heard {
                until(|| pair.shared().messages > heard).await;
            }
        };
        put_while(&pair, owned_entry(&pair.cache, 1).put(1), invalidating).await;

        // then it is not there
        let there = owned_entry(&pair.other, 1).peek().await.unwrap();
        assert_eq!(there.map(|peek| peek.value), None, "heard: {is_heard}");
    }
}

/// The same of a tag that the call names, whose epoch nobody here knows.
#[tokio::test]
async fn an_invalidation_elsewhere_of_a_tag_that_is_not_known_removes_it_also_where_it_is_not_heard_of() {
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    let invalidating = async {
        pair.faults.set_deaf(true);
        pair.other.invalidate_tags(["menu"]).await.unwrap();
    };
    put_while(&pair, pair.cache.put(&key(1), 1_u64, &menu), invalidating).await;

    let there = pair.other.get::<u64>(&key(1), &menu).await.unwrap();
    assert_eq!(there, None);
}

/// `expire_tags` was answered before the put took the key: "the next call computes anew".
#[tokio::test]
async fn what_is_made_stale_by_its_tag_while_it_is_put_is_not_fresh() {
    for by_tag in [false, true] {
        let pair = Pair::new();
        let menu = hour().tags(["menu"]);
        hears(&pair.cache).await;
        pair.cache.put(&key(0), 0_u64, &menu).await.unwrap();
        let expiring = async {
            match by_tag {
                true => pair.cache.expire_tags(["menu"]).await.unwrap(),
                false => pair.cache.expire(&key(1)).await.unwrap(),
            }
        };
        put_while(&pair, pair.cache.put(&key(1), 1_u64, &menu), expiring).await;

        let computed = pair.cache.get_or_compute(&key(1), &menu, async || 2_u64).await;
        assert_eq!(computed, 2, "by tag: {by_tag}");
    }
}

/// The epochs were known, and then a gap came.
#[tokio::test]
async fn an_invalidation_elsewhere_that_a_gap_has_swallowed_removes_it_too() {
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    pair.cache.put(&key(0), 0_u64, &menu).await.unwrap();
    let invalidating = async {
        pair.faults.set_deaf(true);
        pair.other.invalidate_tags(["menu"]).await.unwrap();
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        pair.faults.set_deaf(false);
        let gaps = pair.shared().gaps;
        pair.store.memory().cut_bus();
        until(|| pair.shared().gaps > gaps).await;
    };
    put_while(&pair, pair.cache.put(&key(1), 1_u64, &menu), invalidating).await;

    let there = pair.other.get::<u64>(&key(1), &menu).await.unwrap();
    assert_eq!(there, None);
}
