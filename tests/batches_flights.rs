//! Batches that meet each other, and the calls of single items.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::{Cache, cached};
use tokio::sync::Semaphore;

/// A body that waits until it is let through.
#[derive(Clone)]
struct Gate {
    began: Arc<Semaphore>,
    open: Arc<Semaphore>,
    computed: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self {
            began: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
            computed: Arc::default(),
        }
    }

    async fn pass(&self, ids: usize) {
        self.computed.fetch_add(ids, Ordering::Relaxed);
        self.began.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    async fn until_begun(&self) {
        self.began.acquire().await.unwrap().forget();
    }

    fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }
}

#[cached(ttl = 60, name = "gated", each = ids, tags = ["all", "gated:{id}"], skip(gate))]
async fn many(gate: &Gate, ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
    gate.pass(ids.len()).await;
    if ids.contains(&0) { Err("zero".to_owned()) } else { Ok(ids.iter().map(|id| (*id, id * 10)).collect()) }
}

#[cached(ttl = 60, name = "gated", tags = ["all", "gated:{id}"], skip(gate))]
async fn one(gate: &Gate, id: u64) -> Result<u64, String> {
    gate.pass(1).await;
    Ok(id * 10)
}

/// Runs a call in a task of its own.
fn start<T: Send + 'static>(
    cache: &Cache,
    call: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let cache = cache.clone();
    tokio::spawn(async move { cache.scope(call).await })
}

fn batch(
    cache: &Cache,
    gate: &Gate,
    ids: &'static [u64],
) -> tokio::task::JoinHandle<Result<HashMap<u64, u64>, String>> {
    let gate = gate.clone();
    start(cache, async move { many(&gate, ids).await })
}

fn single(cache: &Cache, gate: &Gate, id: u64) -> tokio::task::JoinHandle<Result<u64, String>> {
    let gate = gate.clone();
    start(cache, async move { one(&gate, id).await })
}

/// Waits until so many calls have joined others.
async fn until_joined(cache: &Cache, count: u64) {
    let joined = async {
        while cache.stats().joined() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), joined).await.expect("nobody joins");
}

#[tokio::test]
async fn what_is_in_flight_is_awaited_and_not_computed_again() {
    let (cache, gate) = (Cache::default(), Gate::new());

    let first = batch(&cache, &gate, &[1, 2]);
    gate.until_begun().await;
    let alone = single(&cache, &gate, 1);
    let second = batch(&cache, &gate, &[2, 3]);
    gate.until_begun().await;
    until_joined(&cache, 1).await;
    gate.open.add_permits(2);

    assert_eq!(first.await.unwrap().unwrap(), HashMap::from([(1, 10), (2, 20)]));
    assert_eq!(alone.await.unwrap().unwrap(), 10);
    assert_eq!(second.await.unwrap().unwrap(), HashMap::from([(2, 20), (3, 30)]));
    assert_eq!(gate.computed(), 3);
    assert_eq!(cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn two_batches_that_want_what_the_other_has_do_not_wait_for_ever() {
    let (cache, gate) = (Cache::default(), Gate::new());

    let one = single(&cache, &gate, 2);
    gate.until_begun().await;
    let first = batch(&cache, &gate, &[1, 2]);
    gate.until_begun().await;
    let second = batch(&cache, &gate, &[3, 1]);
    gate.until_begun().await;
    gate.open.add_permits(3);

    assert_eq!(one.await.unwrap().unwrap(), 20);
    assert_eq!(first.await.unwrap().unwrap().len(), 2);
    assert_eq!(second.await.unwrap().unwrap().len(), 2);
    assert_eq!(gate.computed(), 3);
}

#[tokio::test]
async fn who_waits_takes_over_from_a_batch_that_was_cancelled() {
    let (cache, gate) = (Cache::default(), Gate::new());

    let first = batch(&cache, &gate, &[1, 2, 3]);
    gate.until_begun().await;
    let alone = single(&cache, &gate, 1);
    let second = batch(&cache, &gate, &[2, 4]);
    gate.until_begun().await;
    until_joined(&cache, 2).await;
    first.abort();
    gate.open.add_permits(8);

    assert_eq!(alone.await.unwrap().unwrap(), 10);
    assert_eq!(second.await.unwrap().unwrap(), HashMap::from([(2, 20), (4, 40)]));
    assert_eq!(cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn an_error_of_a_batch_is_not_that_of_who_waited_for_one_of_its_items() {
    let (cache, gate) = (Cache::default(), Gate::new());

    let first = batch(&cache, &gate, &[0, 1]);
    gate.until_begun().await;
    let second = batch(&cache, &gate, &[1, 2]);
    let singles: Vec<_> = (0..5).map(|_| single(&cache, &gate, 1)).collect();
    gate.until_begun().await;
    until_joined(&cache, 6).await;
    gate.open.add_permits(8);

    assert_eq!(first.await.unwrap().unwrap_err(), "zero");
    for single in singles {
        assert_eq!(single.await.unwrap().unwrap(), 10);
    }
    // The batch that failed, and each item once.
    assert_eq!(gate.computed(), 2 + 2);
    assert_eq!(second.await.unwrap().unwrap(), HashMap::from([(1, 10), (2, 20)]));
    assert_eq!(cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn what_was_invalidated_during_a_batch_is_neither_stored_nor_joined() {
    let (cache, gate) = (Cache::default(), Gate::new());

    let first = batch(&cache, &gate, &[1, 2, 3, 4]);
    gate.until_begun().await;
    cache.invalidate_tags(["gated:1"]).await.unwrap();
    cache.scope(async { many_entry(2).invalidate().await.unwrap() }).await;
    let second = batch(&cache, &gate, &[1, 2, 3]);
    gate.until_begun().await;
    gate.open.add_permits(2);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();

    // 1 and 2 were computed anew, 3 was awaited.
    assert_eq!(gate.computed(), 6);
    cache.invalidate_tags(["all"]).await.unwrap();
    gate.open.add_permits(1);
    cache.scope(many(&gate, &[1, 2, 3, 4])).await.unwrap();
    assert_eq!(gate.computed(), 10);
}

#[cached(ttl = 60, each = ids, tags_from = |row| [format!("row:{row}")], skip(gate, row))]
async fn rows(gate: &Gate, row: &AtomicUsize, ids: &[u64]) -> HashMap<u64, usize> {
    let row = row.load(Ordering::Relaxed);
    gate.pass(ids.len()).await;
    ids.iter().map(|id| (*id, row)).collect()
}

/// The tag is told when the value is there, so whoever asks meanwhile joins.
#[tokio::test]
async fn who_began_after_a_late_tag_was_invalidated_computes_anew() {
    let (cache, gate, row) = (Cache::default(), Gate::new(), Arc::new(AtomicUsize::new(0)));
    let ask = |ids: &'static [u64]| {
        let (gate, row) = (gate.clone(), row.clone());
        start(&cache, async move { rows(&gate, &row, ids).await })
    };

    let first = ask(&[1, 2]);
    gate.until_begun().await;
    row.store(1, Ordering::Relaxed);
    cache.invalidate_tags(["row:0"]).await.unwrap();
    let second = ask(&[2, 3]);
    gate.until_begun().await;
    gate.open.add_permits(3);

    assert_eq!(first.await.unwrap(), HashMap::from([(1, 0), (2, 0)]), "it began before");
    assert_eq!(second.await.unwrap(), HashMap::from([(2, 1), (3, 1)]));
    assert_eq!(gate.computed(), 4, "2 once more");
    assert_eq!(cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn a_batch_that_asks_for_its_own_items_computes_them_alone() {
    #[cached(ttl = 60, each = ids)]
    async fn inner_and_outer(ids: &[u64]) -> HashMap<u64, u64> {
        let depth = ids.len();
        let mut all: HashMap<u64, u64> = ids.iter().map(|id| (*id, *id)).collect();
        if depth > 1 {
            let first = [ids[0]];
            all.extend(Box::pin(inner_and_outer_again(&first)).await);
        }
        all
    }
    fn inner_and_outer_again(ids: &[u64]) -> std::pin::Pin<Box<dyn Future<Output = HashMap<u64, u64>> + '_>> {
        Box::pin(inner_and_outer(ids))
    }

    let cache = Cache::default();
    let all = cache.scope(inner_and_outer(&[1, 2]));
    let all = tokio::time::timeout(std::time::Duration::from_secs(10), all).await.expect("it hangs");

    assert_eq!(all, HashMap::from([(1, 1), (2, 2)]));
    assert_eq!(cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn every_id_is_counted_once() {
    let (cache, gate) = (Cache::default(), Gate::new());
    gate.open.add_permits(8);

    cache.scope(many(&gate, &[1, 2])).await.unwrap();
    cache.scope(many(&gate, &[2, 3, 3])).await.unwrap();

    let stats = cache.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.computations()), (1, 3, 3));
}

/// Each asks for the one above it.
#[cached(ttl = 60, each(id in ids, at_most = 1), skip(asked))]
async fn chained(asked: &Gate, ids: &[u64]) -> HashMap<u64, u64> {
    asked.computed.fetch_add(ids.len(), Ordering::Relaxed);
    let above: Vec<u64> = ids.iter().filter(|id| **id < 3).map(|id| id + 1).collect();
    let above = if above.is_empty() { HashMap::new() } else { chained_boxed(asked, &above).await };
    ids.iter().map(|id| (*id, above.get(&(id + 1)).copied().unwrap_or(0) + 1)).collect()
}

fn chained_boxed<'c>(
    asked: &'c Gate,
    ids: &'c [u64],
) -> std::pin::Pin<Box<dyn Future<Output = HashMap<u64, u64>> + Send + 'c>> {
    Box::pin(chained(asked, ids))
}

#[tokio::test]
async fn a_body_that_asks_for_what_its_own_batch_has_yet_to_compute_does_not_wait_for_ever() {
    let (cache, gate) = (Cache::default(), Gate::new());

    let all = cache.scope(chained(&gate, &[1, 2, 3]));
    let all = tokio::time::timeout(std::time::Duration::from_secs(10), all).await.expect("it hangs");

    assert_eq!(all, HashMap::from([(1, 3), (2, 2), (3, 1)]));
    assert_eq!(cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn who_waits_for_an_item_of_a_list_that_does_not_fit_gets_nothing_of_it() {
    #[cached(ttl = 60, name = "misfit", each = ids, skip(gate))]
    async fn shifted(gate: &Gate, ids: &[u64]) -> Vec<Option<u64>> {
        gate.pass(ids.len()).await;
        ids.iter().filter(|id| **id != 2).map(|id| Some(*id)).collect()
    }
    #[cached(ttl = 60, name = "misfit", skip(gate))]
    async fn right(gate: &Gate, id: u64) -> Option<u64> {
        gate.pass(1).await;
        Some(id)
    }

    let (cache, gate) = (Cache::default(), Gate::new());
    let first = start(&cache, {
        let gate = gate.clone();
        async move { shifted(&gate, &[1, 2, 3]).await }
    });
    gate.until_begun().await;
    let second = start(&cache, {
        let gate = gate.clone();
        async move { right(&gate, 2).await }
    });
    until_joined(&cache, 1).await;
    gate.open.add_permits(8);

    assert_eq!(first.await.unwrap(), [Some(1), Some(3)]);
    assert_eq!(second.await.unwrap(), Some(2));
}

#[tokio::test]
async fn that_there_is_none_is_told_to_who_waits_and_not_found_out_again() {
    #[cached(ttl = 60, each = ids, skip(gate))]
    async fn few(gate: &Gate, ids: &[u64]) -> HashMap<u64, u64> {
        gate.pass(ids.len()).await;
        ids.iter().filter(|id| **id < 100).map(|id| (*id, *id)).collect()
    }

    let (cache, gate) = (Cache::default(), Gate::new());
    let call = |ids: &'static [u64]| {
        let gate = gate.clone();
        start(&cache, async move { few(&gate, ids).await })
    };
    let first = call(&[1, 100]);
    gate.until_begun().await;
    let second = call(&[100]);
    until_joined(&cache, 1).await;
    gate.open.add_permits(8);

    assert_eq!(first.await.unwrap(), HashMap::from([(1, 1)]));
    assert_eq!(second.await.unwrap(), HashMap::new());
    assert_eq!(gate.computed(), 2);
}

#[tokio::test]
async fn what_a_later_run_of_the_body_computes_began_after_an_invalidation_before_that_run() {
    #[cached(ttl = 60, each(id in ids, at_most = 1), tags = ["few"], skip(gate))]
    async fn few(gate: &Gate, ids: &[u64]) -> HashMap<u64, u64> {
        gate.pass(ids.len()).await;
        ids.iter().map(|id| (*id, *id)).collect()
    }
    let (cache, gate) = (Cache::default(), Gate::new());
    let call = |ids: &'static [u64]| {
        let gate = gate.clone();
        start(&cache, async move { few(&gate, ids).await })
    };
    // given a batch in two runs, and an invalidation during the first
    let first = call(&[1, 2]);
    gate.until_begun().await;
    cache.invalidate_tags(["few"]).await.unwrap();
    gate.open.add_permits(1);
    gate.until_begun().await;

    // when another call asks for what the second computes
    let second = call(&[2]);
    until_joined(&cache, 1).await;
    gate.open.add_permits(8);
    first.await.unwrap();

    // then it gets that, and it is stored
    assert_eq!(second.await.unwrap(), HashMap::from([(2, 2)]));
    assert_eq!(call(&[2]).await.unwrap(), HashMap::from([(2, 2)]));
    assert_eq!(gate.computed(), 2);
    assert_eq!(cache.stats().refused_fills(), 1, "that of the first");
}
