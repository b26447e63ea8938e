//! A hit allocates nothing but the value's own clone, and what was stored is given back when its time is over.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use larder::{Cache, cached};
use support::{Stage, Task};

#[cached(ttl = "1h", tags = ["numbers", "number:{id}"], stagger)]
async fn number(id: u64) -> u64 {
    id * 2
}

#[cached(ttl = "1h", tags = ["texts"])]
async fn text(id: u64) -> String {
    format!("{id:>64}")
}

#[cached(ttl = "1h", tier = local)]
async fn shared(name: &str, page: Option<u32>) -> Arc<Vec<u64>> {
    let _ = page;
    Arc::new(vec![name.len() as u64])
}

#[cached(ttl = "1h", skip(db))]
async fn fallible(db: &(), id: u64) -> Result<Option<u64>, std::fmt::Error> {
    let () = db;
    Ok(Some(id))
}

/// What 1,000 hits allocate, in a loop inside one future of the scope. They take in lookups that are timed.
fn hits_allocate<T>(cache: &Cache, call: impl AsyncFn() -> T) -> AllocationInfo {
    let mut allocated = None;
    let mut task = Task::new(cache.scope(async {
        call().await;
        let mut calls = Box::pin(async {
            for _ in 0..1_000 {
                drop(call().await);
            }
        });
        // By hand: the count is of this thread, for the time of a closure.
        std::future::poll_fn(|context| {
            let mut poll = std::task::Poll::Pending;
            allocated = Some(measure(|| poll = calls.as_mut().poll(context)));
            poll
        })
        .await;
    }));
    assert!(task.poll().is_ready(), "hits do not wait");
    drop(task);
    assert_eq!(cache.stats().hits(), 1_000);
    allocated.unwrap_or_else(|| panic!("it was measured"))
}

#[test]
fn a_hit_on_a_number_allocates_nothing() {
    assert_eq!(hits_allocate(&Stage::new().cache, async || number(1).await).count_total, 0);
    assert_eq!(hits_allocate(&Cache::default(), async || number(1).await).count_total, 0);
}

#[test]
fn a_hit_on_a_text_allocates_the_text() {
    let allocated = hits_allocate(&Cache::default(), async || text(1).await);

    // Also those that are looked up a second time, to be timed.
    assert_eq!(allocated.count_total, 1_000, "{allocated:?}");
    assert_eq!(allocated.bytes_total, 64 * allocated.count_total);
}

#[test]
fn a_hit_behind_borrowed_arguments_and_a_shared_value_allocates_nothing() {
    assert_eq!(hits_allocate(&Cache::default(), async || shared("menus", Some(7)).await).count_total, 0);
}

#[test]
fn a_hit_inside_a_result_allocates_nothing() {
    assert_eq!(hits_allocate(&Cache::default(), async || fallible(&(), 7).await).count_total, 0);
}

#[cached(ttl = "1h", name = "number", tags = ["numbers", "number:{id}"], each = ids)]
async fn numbers(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, id * 2)).collect()
}

#[test]
fn very_many_computations_at_once_give_their_memory_back() {
    const ENTRIES: u64 = 50_000;
    let stage = Stage::new();
    let ids: Vec<u64> = (0..ENTRIES).collect();
    // What stays for good grows with some after the others, too: tables of entries and of tags.
    for some in ids.chunks(100) {
        assert_eq!(stage.run(numbers(some)).len(), some.len());
    }
    stage.clock.advance(Duration::from_secs(3_600));

    let allocated = measure(|| {
        assert_eq!(stage.run(numbers(&ids)).len(), ids.len());
        stage.clock.advance(Duration::from_secs(3_600));
    });

    assert!(allocated.bytes_current < ENTRIES as i64 * 10, "{allocated:?} after one batch");
}

#[test]
fn entries_tags_and_flights_whose_time_is_over_give_their_memory_back() {
    const ENTRIES: u64 = 20_000;
    let stage = Stage::new();
    // What stays for good: the function's record, tables that have grown once.
    let fill = |ids: std::ops::Range<u64>| {
        Task::new(stage.cache.scope(async move {
            for id in ids {
                number(id).await;
            }
        }))
        .end();
    };
    fill(0..ENTRIES);
    stage.clock.advance(Duration::from_secs(3_600));

    let allocated = measure(|| {
        for round in 1..4 {
            fill(round * ENTRIES..(round + 1) * ENTRIES);
            stage.clock.advance(Duration::from_secs(3_600));
        }
    });

    assert!(allocated.bytes_total > 3 * ENTRIES * 200, "it was filled: {allocated:?}");
    assert!(allocated.bytes_current < ENTRIES as i64 * 10, "{allocated:?} of three rounds");
    assert_eq!(stage.cache.stats().local_entries, 0);
}
