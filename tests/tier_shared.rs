//! `tier = shared`: every call asks the shared tier, so what another process invalidates is never served.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails, fails the test")]
#![allow(unused_variables, reason = "an argument that is a key part and nothing else")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::{Faults, Faulty, Operation};
use larder::backend::Memory;
use larder::{Cache, cached};
use tokio::sync::Semaphore;

/// How long a test waits for what must happen.
const SOON: Duration = Duration::from_secs(10);

/// A process on `store`, and what can be made to go wrong between the two.
fn process(store: &Memory) -> (Cache, Faults) {
    let (backend, faults) = Faulty::new(store.clone());
    (Cache::builder().shared(backend).build().unwrap(), faults)
}

/// Numbers its computations; holds them back while it has no permits.
struct Source {
    computed: AtomicU64,
    gate: Semaphore,
}

impl Source {
    fn open() -> Self {
        Self { computed: AtomicU64::new(0), gate: Semaphore::new(1) }
    }

    async fn next(&self) -> u64 {
        let computed = self.computed.fetch_add(1, Ordering::SeqCst) + 1;
        drop(self.gate.acquire().await);
        computed
    }

    fn computed(&self) -> u64 {
        self.computed.load(Ordering::SeqCst)
    }
}

#[cached(ttl = 60, tier = shared, tags = ["price"], skip(source))]
async fn price(source: &Source, article: u64) -> u64 {
    source.next().await
}

#[tokio::test]
async fn what_another_process_invalidates_is_not_served_though_no_message_comes() {
    let (store, source) = (Memory::new(), Source::open());
    let ((one, _), (two, faults)) = (process(&store), process(&store));
    faults.set_deaf(true);
    assert_eq!(one.scope(price(&source, 1)).await, 1);
    assert_eq!(two.scope(price(&source, 1)).await, 1);

    one.scope(async { price_entry(1).invalidate().await }).await.unwrap();
    assert_eq!(two.scope(price(&source, 1)).await, 2);

    one.invalidate_tags(["price"]).await.unwrap();
    assert_eq!(two.scope(price(&source, 1)).await, 3);
}

#[tokio::test]
async fn nothing_is_kept_here_and_a_call_costs_one_round_trip() {
    let (store, source) = (Memory::new(), Source::open());
    let (cache, faults) = process(&store);
    cache.scope(price(&source, 1)).await;
    let before = faults.calls(Operation::Read);

    for _ in 0..3 {
        assert_eq!(cache.scope(price(&source, 1)).await, 1);
    }

    assert_eq!(faults.calls(Operation::Read) - before, 3);
    let stats = cache.stats();
    assert_eq!((stats.local_entries, stats.function("price").unwrap().shared_hits), (0, 3));
}

#[tokio::test]
async fn while_the_shared_tier_is_away_calls_compute_and_join_each_other() {
    let (store, source) = (Memory::new(), Source::open());
    let (cache, faults) = process(&store);
    cache.scope(price(&source, 1)).await;
    faults.set_down(true);

    assert_eq!(cache.scope(price(&source, 1)).await, 2);

    let held = source.gate.acquire().await.unwrap();
    let release = async {
        while cache.stats().function("price").unwrap().joined == 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    let calls = cache.scope(async { tokio::join!(price(&source, 1), price(&source, 1), release) });
    let (one, two, ()) = tokio::time::timeout(SOON, calls).await.expect("nobody joins");
    assert_eq!((one, two, source.computed()), (3, 3, 3));
}

#[tokio::test]
async fn without_a_shared_tier_it_is_as_without_the_option() {
    let (cache, source) = (Cache::builder().build().unwrap(), Source::open());

    let each =
        cache.scope(async { [price(&source, 1).await, price(&source, 1).await, price(&source, 2).await] });

    assert_eq!(each.await, [1, 1, 2]);
    assert_eq!(cache.stats().function("price").unwrap().hits, 1);
}
