//! `f_refresh` while the shared tier fails: what it has found out to be older is read by nobody afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::testing::Operation;
use larder::{Cache, cached, current};
use support::pair::Pair;
use support::processes::hears;

#[cached(ttl = 3600, name = "forced/maybe", skip(cache, rows), cache = cache)]
async fn maybe(cache: &Cache, rows: &AtomicU64, id: u64) -> Option<u64> {
    let _ = (cache, id);
    Some(rows.load(Ordering::SeqCst)).filter(|row| *row > 0)
}

#[cached(ttl = 3600, name = "forced/maybe_many", each = ids, skip(cache, rows), cache = cache)]
async fn maybe_many(cache: &Cache, rows: &AtomicU64, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    let row = rows.load(Ordering::SeqCst);
    ids.iter().filter(|_| row > 0).map(|id| (*id, row)).collect()
}

#[tokio::test]
async fn what_a_refresh_finds_to_be_gone_does_not_come_back_when_it_could_not_be_removed_at_once() {
    let failing = [Operation::Invalidate, Operation::Lease];
    for (failing, of_many) in failing.into_iter().flat_map(|failing| [(failing, false), (failing, true)]) {
        // given a value whose row is gone
        let (pair, rows) = (Pair::new(), AtomicU64::new(7));
        let read = async |cache: &Cache| match of_many {
            true => maybe_many(cache, &rows, &[1]).await.get(&1).copied(),
            false => maybe(cache, &rows, 1).await,
        };
        hears(&pair.cache).await;
        assert_eq!(read(&pair.cache).await, Some(7));
        rows.store(0, Ordering::SeqCst);

        // when a refresh finds that out, and cannot tell the shared tier
        pair.faults.fail(failing);
        match of_many {
            true => drop(maybe_many_refresh(&pair.cache, &rows, &[1]).await),
            false => drop(maybe_refresh(&pair.cache, &rows, 1).await),
        }
        let while_it_waits = read(&pair.cache).await;
        pair.comes_about(|pair| !pair.shared().is_away).await;

        // then the old value is found by nobody
        let found = [while_it_waits, read(&pair.cache).await, read(&pair.third()).await];
        assert_eq!(found, [None; 3], "{failing:?} fails, of many: {of_many}");
    }
}

#[cached(ttl = 3600, name = "forced/row", skip(cache, rows), cache = cache)]
async fn row(cache: &Cache, rows: &AtomicU64, id: u64) -> u64 {
    let _ = (cache, id);
    rows.load(Ordering::SeqCst)
}

#[cached(ttl = 3600, name = "forced/row_through", skip(cache, rows), cache = cache, tier = shared)]
async fn row_through(cache: &Cache, rows: &AtomicU64, id: u64) -> u64 {
    let _ = (cache, id);
    rows.load(Ordering::SeqCst)
}

#[cached(ttl = 3600, name = "forced/rows", each = ids, skip(cache, rows), cache = cache)]
async fn rows_of(cache: &Cache, rows: &AtomicU64, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    ids.iter().map(|id| (*id, rows.load(Ordering::SeqCst))).collect()
}

#[cached(ttl = 3600, name = "forced/unstored", skip(cache, rows), cache = cache)]
async fn unstored(cache: &Cache, rows: &AtomicU64, id: u64) -> u64 {
    let _ = (cache, id);
    let row = rows.load(Ordering::SeqCst);
    if row == 8 {
        current().do_not_store();
    }
    row
}

#[tokio::test]
async fn what_was_refreshed_by_force_is_not_older_afterwards_though_the_shared_tier_failed_meanwhile() {
    for failing in [Operation::Lease, Operation::Fill, Operation::Invalidate] {
        for which in 0..4 {
            // given a value whose row has changed
            let (pair, rows) = (Pair::new(), AtomicU64::new(7));
            let read = async |cache: &Cache| match which {
                0 => row(cache, &rows, 1).await,
                1 => row_through(cache, &rows, 1).await,
                2 => rows_of(cache, &rows, &[1]).await[&1],
                _ => unstored(cache, &rows, 1).await,
            };
            hears(&pair.cache).await;
            assert_eq!(read(&pair.cache).await, 7);
            rows.store(8, Ordering::SeqCst);

            // when it is computed by force, and cannot be stored
            pair.faults.fail(failing);
            let forced = match which {
                0 => row_refresh(&pair.cache, &rows, 1).await,
                1 => row_through_refresh(&pair.cache, &rows, 1).await,
                2 => rows_of_refresh(&pair.cache, &rows, &[1]).await[&1],
                _ => unstored_refresh(&pair.cache, &rows, 1).await,
            };

            // then nobody finds the older one
            let at_once = read(&pair.cache).await;
            pair.comes_about(|pair| !pair.shared().is_away).await;
            let found = [forced, at_once, read(&pair.cache).await, read(&pair.third()).await];
            assert_eq!(found, [8; 4], "{failing:?} fails, function {which}");
        }
    }
}

/// What happens while a body runs.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// The value has a tag that nobody has used yet, and may have been invalidated for all anybody knows.
    NewTag,
    /// The lease ends.
    LeaseEnds,
    /// A tag of the value is invalidated.
    Invalidated,
}

impl Meanwhile {
    async fn happens(self, pair: &Pair, row: u64) {
        match self {
            Self::NewTag => {
                current().tag(format!("owner:{row}"));
            }
            Self::LeaseEnds => pair.store.pass(std::time::Duration::from_secs(60)),
            Self::Invalidated => {
                current().tag("owner");
                pair.cache.invalidate_tags(["owner"]).await.unwrap();
            }
        }
    }
}

#[cached(ttl = 3600, name = "forced/owned", skip(pair, rows, meanwhile), cache = &pair.cache)]
async fn owned(pair: &Pair, rows: &AtomicU64, meanwhile: Option<Meanwhile>, id: u64) -> u64 {
    let _ = id;
    let row = rows.load(Ordering::SeqCst);
    if let Some(meanwhile) = meanwhile {
        meanwhile.happens(pair, row).await;
    }
    row
}

#[cached(ttl = 3600, name = "forced/owned_many", each = ids, skip(pair, rows, meanwhile), cache = &pair.cache)]
async fn owned_many(
    pair: &Pair,
    rows: &AtomicU64,
    meanwhile: Option<Meanwhile>,
    ids: &[u64],
) -> HashMap<u64, u64> {
    let row = rows.load(Ordering::SeqCst);
    if let Some(meanwhile) = meanwhile {
        meanwhile.happens(pair, row).await;
    }
    ids.iter().map(|id| (*id, row)).collect()
}

#[cached(ttl = 3600, name = "forced/owned", skip(rows))]
async fn owned_elsewhere(rows: &AtomicU64, id: u64) -> u64 {
    let _ = id;
    rows.load(Ordering::SeqCst)
}

#[cached(ttl = 3600, name = "forced/owned_many", skip(rows))]
async fn owned_item_elsewhere(rows: &AtomicU64, id: u64) -> u64 {
    let _ = id;
    rows.load(Ordering::SeqCst)
}

#[tokio::test]
async fn what_was_refreshed_by_force_is_not_older_afterwards_though_it_may_not_be_stored() {
    for meanwhile in [Meanwhile::NewTag, Meanwhile::LeaseEnds, Meanwhile::Invalidated] {
        for of_many in [false, true] {
            let (pair, rows) = (Pair::new(), AtomicU64::new(7));
            hears(&pair.cache).await;
            let read = async || match of_many {
                true => owned_many(&pair, &rows, None, &[1]).await[&1],
                false => owned(&pair, &rows, None, 1).await,
            };
            assert_eq!(read().await, 7);
            rows.store(8, Ordering::SeqCst);

            let forced = match of_many {
                true => owned_many_refresh(&pair, &rows, Some(meanwhile), &[1]).await[&1],
                false => owned_refresh(&pair, &rows, Some(meanwhile), 1).await,
            };

            let third = pair.third();
            let elsewhere = third.scope(async {
                match of_many {
                    true => owned_item_elsewhere(&rows, 1).await,
                    false => owned_elsewhere(&rows, 1).await,
                }
            });
            let found = [forced, elsewhere.await, read().await];
            assert_eq!(found, [8; 3], "{meanwhile:?}, of many: {of_many}");
        }
    }
}
