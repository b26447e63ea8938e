//! `tier = shared`: every call asks the shared tier, and nothing is kept in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage, Operation};
use larder::backend::Memory;
use larder::{Cache, cached};
use support::processes::{SOON, Source, hears, process, until};
use tokio::sync::Semaphore;

#[cached(ttl = 60, tier = shared, tags = ["menu"], skip(source))]
async fn dishes(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.next().await
}

/// Held up until the test lets it go on.
#[cached(ttl = 60, tier = shared, skip(source, gate))]
async fn slow_dishes(source: &Source, gate: &Semaphore, id: u64) -> Result<u64, std::fmt::Error> {
    let _ = id;
    let _open = gate.acquire().await.unwrap();
    Ok(source.next().await)
}

fn deaf() -> (Cache, Cache, Faults) {
    let store = MemoryStage::new().memory().clone();
    let (backend, faults) = Faulty::new(store.clone());
    let cache = Cache::builder().prefix("app").shared(backend).build().unwrap();
    (cache, process(&store), faults)
}

#[tokio::test]
async fn an_invalidation_elsewhere_is_seen_by_the_next_call_though_no_message_comes() {
    let (cache, other, faults) = deaf();
    let source = Source::default();
    hears(&cache).await;
    faults.set_deaf(true);

    for n in 1..=5 {
        assert_eq!(cache.scope(dishes(&source, 1)).await, 2 * n - 1);
        assert_eq!(cache.scope(dishes(&source, 1)).await, 2 * n - 1);
        other.invalidate_tags(["menu"]).await.unwrap();
        assert_eq!(cache.scope(dishes(&source, 1)).await, 2 * n);
        other.scope(async { dishes_entry(1).invalidate().await }).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_kept_in_this_process() {
    let (cache, _, _) = deaf();
    let source = Source::default();

    for _ in 0..3 {
        cache.scope(dishes(&source, 1)).await;
    }

    let stats = cache.stats();
    assert_eq!((stats.local_entries, stats.function("dishes").unwrap().shared_hits), (0, 2));
}

#[tokio::test]
async fn what_another_function_of_the_same_name_keeps_here_does_not_answer() {
    #[cached(ttl = 60, name = "row", tags = ["menu"], skip(source))]
    async fn kept_row(source: &Source, id: u64) -> u64 {
        let _ = id;
        source.next().await
    }
    #[cached(ttl = 60, name = "row", tier = shared, tags = ["menu"], skip(source))]
    async fn row(source: &Source, id: u64) -> u64 {
        let _ = id;
        source.next().await
    }
    let (cache, other, faults) = deaf();
    let source = Source::default();
    hears(&cache).await;
    faults.set_deaf(true);

    assert_eq!(cache.scope(kept_row(&source, 1)).await, 1);
    assert_eq!((cache.scope(row(&source, 1)).await, cache.stats().local_entries), (1, 1));
    other.invalidate_tags(["menu"]).await.unwrap();

    assert_eq!(cache.scope(row(&source, 1)).await, 2);

    // Nor where nothing tells of it here: a key has no epoch.
    assert_eq!(cache.scope(kept_row(&source, 2)).await, 3);
    other.scope(async { row_entry(2).invalidate().await }).await.unwrap();
    assert_eq!(cache.scope(row(&source, 2)).await, 4);
    other.scope(async { row_entry(2).invalidate().await }).await.unwrap();
    assert_eq!(cache.scope(rows(&source, &[2])).await, HashMap::from([(2, 5)]));
}

#[cached(ttl = 60, name = "row", tier = shared, tags = ["menu"], each = ids, skip(source))]
async fn rows(source: &Source, ids: &[u64]) -> HashMap<u64, u64> {
    let next = source.next().await;
    ids.iter().map(|id| (*id, next)).collect()
}

#[tokio::test]
async fn without_a_shared_tier_the_local_one_is_the_only_one() {
    let (cache, source) = (Cache::default(), Source::default());

    for _ in 0..3 {
        assert_eq!(cache.scope(dishes(&source, 1)).await, 1);
    }
}

/// Sixty calls, thirty in each of two processes, of which all have asked before the gate opens.
async fn calls(one: &Cache, two: &Cache, source: &Arc<Source>) -> Vec<u64> {
    let gate = Arc::new(Semaphore::new(0));
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let cache = if n % 2 == 0 { one.clone() } else { two.clone() };
            let (source, gate) = (source.clone(), gate.clone());
            tokio::spawn(async move { cache.scope(slow_dishes(&source, &gate, 1)).await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1_000);
    let mut told = Vec::new();
    for call in calls {
        told.push(tokio::time::timeout(SOON, call).await.expect("it hangs").unwrap().unwrap());
    }
    told
}

#[tokio::test]
async fn many_callers_in_several_processes_make_one_computation() {
    let (store, source) = (Memory::new(), Arc::new(Source::default()));
    let (one, two) = (process(&store), process(&store));

    assert_eq!(calls(&one, &two, &source).await, [1; 60]);

    assert_eq!(source.computed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_redis_each_process_makes_one_computation() {
    let (cache, _, faults) = deaf();
    let source = Arc::new(Source::default());
    faults.set_down(true);

    assert_eq!(calls(&cache, &cache, &source).await, [1; 60]);

    assert_eq!(source.computed.load(Ordering::SeqCst), 1);
}

/// Never stored.
#[cached(ttl = 60, tier = shared, skip(source, gate))]
async fn nothing(source: &Source, gate: &Semaphore, id: u64) -> Option<u64> {
    let _ = id;
    let _open = gate.acquire().await.unwrap();
    source.next().await;
    None
}

#[tokio::test]
async fn of_what_is_not_stored_many_callers_make_few_computations() {
    let (store, clock) = (Memory::new(), ManualClock::new());
    let cache = Cache::builder().shared(store).clock(clock.clock()).build().unwrap();
    let (source, gate) = (Arc::new(Source::default()), Arc::new(Semaphore::new(0)));
    let calls: Vec<_> = (0..60)
        .map(|_| {
            let (cache, source, gate) = (cache.clone(), source.clone(), gate.clone());
            tokio::spawn(async move { cache.scope(nothing(&source, &gate, 1)).await })
        })
        .collect();

    // One computation after the other, each of which takes some time.
    while calls.iter().any(|call| !call.is_finished()) {
        clock.advance(Duration::from_millis(10));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if gate.available_permits() == 0 {
            gate.add_permits(1);
        }
    }

    for call in calls {
        assert_eq!(call.await.unwrap(), None);
    }
    // The first, and one that began when all had asked.
    assert!(source.computed.load(Ordering::SeqCst) <= 3, "{source:?}");
}

/// Reads its row, and is held up then.
#[cached(ttl = 60, tier = shared, skip(row, gate))]
async fn row_of(row: &AtomicU64, gate: &Semaphore, id: u64) -> u64 {
    let _ = id;
    let read = row.load(Ordering::SeqCst);
    drop(gate.acquire().await.unwrap());
    read
}

#[tokio::test]
async fn a_computation_from_before_an_invalidation_elsewhere_is_not_handed_to_who_asked_after_it() {
    let (cache, other, faults) = deaf();
    let (row, gate) = (Arc::new(AtomicU64::new(1)), Arc::new(Semaphore::new(0)));
    hears(&cache).await;
    faults.set_deaf(true);
    let call = || {
        let (cache, row, gate) = (cache.clone(), row.clone(), gate.clone());
        tokio::spawn(async move { cache.scope(row_of(&row, &gate, 1)).await })
    };
    let before = call();
    until(|| faults.calls(Operation::Lease) > 0).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }

    row.store(2, Ordering::SeqCst);
    other.scope(async { row_of_entry(1).invalidate().await }).await.unwrap();
    let after = call();
    let looks = faults.calls(Operation::Read);
    until(|| faults.calls(Operation::Read) > looks).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(10);

    assert_eq!((before.await.unwrap(), after.await.unwrap()), (1, 2));
}
