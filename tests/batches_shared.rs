//! Batches over a shared tier: one round trip for all, one computation over all processes, nothing stale.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::testing::Operation;
use larder::backend::Memory;
use larder::{Cache, cached};
use support::pair::Pair;
use support::processes::{SOON, hears, process, until};
use tokio::sync::Semaphore;

/// A body that can be held up.
#[derive(Clone)]
struct Rows {
    computed: Arc<AtomicUsize>,
    began: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Rows {
    fn open() -> Self {
        let rows = Self::held();
        rows.open.add_permits(1 << 20);
        rows
    }

    fn held() -> Self {
        Self {
            computed: Arc::default(),
            began: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    async fn read(&self, ids: &[u64]) -> HashMap<u64, u64> {
        self.computed.fetch_add(ids.len(), Ordering::SeqCst);
        self.began.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        ids.iter().map(|id| (*id, id * 10)).collect()
    }

    fn computed(&self) -> usize {
        self.computed.load(Ordering::SeqCst)
    }

    async fn until_begun(&self) {
        self.began.acquire().await.unwrap().forget();
    }
}

#[cached(ttl = 3600, name = "shared/rows", each = ids, tags = ["rows", "row:{id}"], skip(cache, rows), cache = cache)]
async fn many(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    rows.read(ids).await
}

#[cached(ttl = 3600, name = "shared/through", each = ids, tags = ["rows"], tier = shared, skip(cache, rows), cache = cache)]
async fn through(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    rows.read(ids).await
}

fn of(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, id * 10)).collect()
}

#[tokio::test]
async fn all_that_the_local_tier_lacks_is_read_at_once() {
    let (pair, rows) = (Pair::new(), Rows::open());
    let ids: Vec<u64> = (0..100).collect();
    assert_eq!(many(&pair.other, &rows, &ids).await, of(&ids));

    let before = (pair.faults.calls(Operation::Read), pair.faults.calls(Operation::ReadMany));
    assert_eq!(many(&pair.cache, &rows, &ids).await, of(&ids));
    let after = (pair.faults.calls(Operation::Read), pair.faults.calls(Operation::ReadMany));

    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 1));
    assert_eq!(pair.faults.calls(Operation::Lease), 0);
    assert_eq!(rows.computed(), 100);
    assert_eq!(pair.cache.stats().function("shared/rows").unwrap().shared_hits, 100);
}

#[tokio::test]
async fn only_what_no_tier_has_is_computed() {
    let (pair, rows) = (Pair::new(), Rows::open());
    many(&pair.other, &rows, &[1, 2, 3]).await;

    assert_eq!(many(&pair.cache, &rows, &[3, 4, 1, 5]).await, of(&[1, 3, 4, 5]));
    assert_eq!(many(&pair.other, &rows, &[4, 5]).await, of(&[4, 5]));

    assert_eq!(rows.computed(), 5);
}

#[tokio::test]
async fn what_another_process_computes_is_awaited() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;

    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { many(&one, &slow, &[1, 2]).await }
    });
    slow.until_begun().await;
    let second = tokio::spawn({
        let (two, fast) = (two.clone(), fast.clone());
        async move { many(&two, &fast, &[2, 3]).await }
    });
    // What is its own is computed and stored meanwhile.
    until(|| fast.computed() == 1).await;
    let third = process(&store);
    tokio::time::timeout(SOON, async {
        while many_entry(&third, 3).peek().await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("3 is stored");
    slow.open.add_permits(1);

    assert_eq!(first.await.unwrap(), of(&[1, 2]));
    assert_eq!(second.await.unwrap(), of(&[2, 3]));
    assert_eq!((slow.computed(), fast.computed()), (2, 1));
}

#[tokio::test]
async fn two_processes_that_want_what_the_other_one_computes_both_get_it() {
    let (store, rows) = (Memory::new(), Rows::open());
    let caches: Vec<Cache> = (0..4).map(|_| process(&store)).collect();
    let calls: Vec<_> = (0..200_u64)
        .map(|n| {
            let (cache, rows) = (caches[n as usize % 4].clone(), rows.clone());
            tokio::spawn(async move {
                // Overlapping, in orders of their own.
                let mut ids: Vec<u64> = (0..10).map(|i| (n + i) % 50).collect();
                if n % 2 == 0 {
                    ids.reverse();
                }
                assert_eq!(many(&cache, &rows, &ids).await, of(&ids));
            })
        })
        .collect();

    for call in calls {
        tokio::time::timeout(SOON, call).await.expect("it hangs").unwrap();
    }

    assert_eq!(rows.computed(), 50);
    assert!(caches.iter().all(|cache| cache.computations_in_flight() == 0));
}

#[tokio::test]
async fn what_is_invalidated_elsewhere_during_a_batch_is_not_stored() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&one).await;

    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { many(&one, &slow, &[1, 2, 3]).await }
    });
    slow.until_begun().await;
    two.invalidate_tags(["row:1"]).await.unwrap();
    many_entry(&two, 2).invalidate().await.unwrap();
    slow.open.add_permits(1);
    first.await.unwrap();

    many(&one, &fast, &[1, 2, 3]).await;
    assert_eq!(fast.computed(), 2);
    many(&two, &fast, &[1, 2, 3]).await;
    assert_eq!(fast.computed(), 2);
}

#[tokio::test]
async fn with_tier_shared_a_batch_reads_through() {
    let (pair, rows) = (Pair::new(), Rows::open());
    let (one, two) = (&pair.cache, &pair.other);
    through(one, &rows, &[1, 2]).await;
    through(two, &rows, &[1, 2]).await;
    assert_eq!(rows.computed(), 2);
    assert_eq!(one.stats().local_entries, 0);

    // Not a message is heard here: it is what the store says that counts.
    pair.faults.set_deaf(true);
    two.invalidate_tags(["rows"]).await.unwrap();
    through(one, &rows, &[1, 2]).await;
    assert_eq!(rows.computed(), 4);
}

#[tokio::test]
async fn without_the_shared_tier_a_batch_goes_on_by_itself() {
    let (pair, rows) = (Pair::new(), Rows::open());
    pair.faults.set_down(true);

    assert_eq!(many(&pair.cache, &rows, &[1, 2]).await, of(&[1, 2]));
    assert_eq!(through(&pair.cache, &rows, &[1, 2]).await, of(&[1, 2]));

    assert_eq!(rows.computed(), 4);
    assert_eq!(pair.cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn a_batch_that_is_cancelled_gives_its_leases_back() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;

    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { many(&one, &slow, &[1, 2, 3]).await }
    });
    slow.until_begun().await;
    first.abort();

    // Long before the leases would end.
    let second = many(&two, &fast, &[1, 2, 3]);
    assert_eq!(tokio::time::timeout(SOON / 2, second).await.expect("it waits for nobody"), of(&[1, 2, 3]));
}

#[tokio::test]
async fn leases_of_later_runs_are_kept() {
    use std::time::Duration;

    #[cached(ttl = 3600, name = "shared/slow", lease = "10s", each(id in ids, at_most = 1), skip(cache, rows), cache = cache)]
    async fn slow(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
        let _ = cache;
        rows.read(ids).await
    }

    let (pair, rows) = (Pair::new(), Rows::held());
    let running = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), rows.clone());
        async move { slow(&cache, &rows, &[1, 2, 3, 4, 5, 6]).await }
    });
    // Each run is shorter than the time between two renewals, and all of them longer than a lease.
    for _ in 0..6 {
        rows.until_begun().await;
        for _ in 0..3 {
            pair.pass(Duration::from_millis(900)).await;
        }
        rows.open.add_permits(1);
    }

    running.await.unwrap();
    until(|| pair.faults.calls(Operation::Fill) == 6).await;
    assert!(pair.faults.calls(Operation::Renew) > 0);
}
