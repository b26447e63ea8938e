//! Writers change the truth and invalidate, readers call, on all cores: nobody who asks after an invalidation
//! gets what was true before it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::{Cache, Error, cached};

const ROUNDS: u64 = 15_000;
const WRITERS: u64 = 2;
const READERS: u64 = 6;
const ROWS: usize = 3;

/// The truth, and what the writers promised: no reader that begins now sees an older one.
#[derive(Debug, Default)]
struct Row {
    truth: AtomicU64,
    promised: AtomicU64,
}

#[derive(Debug, Default)]
struct World {
    rows: [Row; ROWS],
    is_over: AtomicBool,
}

#[cached(ttl = "1h", tags = ["rows", "row:{id}"], skip(world))]
async fn row(world: &World, id: usize) -> u64 {
    let read = world.rows[id].truth.load(Ordering::SeqCst);
    // Old by the time it is stored, now and then.
    for _ in 0..read % 4 {
        tokio::task::yield_now().await;
    }
    read
}

async fn read(world: Arc<World>, first: usize) {
    let (mut id, mut reads) = (first, 0);
    while !world.is_over.load(Ordering::SeqCst) {
        id = (id + 1) % ROWS;
        let promised = world.rows[id].promised.load(Ordering::SeqCst);
        let read = match promised % 64 {
            // A background job, now and then.
            0 => row_refresh(&world, id).await,
            _ => row(&world, id).await,
        };
        assert!(read >= promised, "row {id} was promised at {promised} and read at {read}");
        reads += 1;
        if reads % 8 == 0 {
            // A hit does not: without it the writers would starve.
            tokio::task::yield_now().await;
        }
    }
}

async fn write<F, I>(world: Arc<World>, first: usize, invalidate: I)
where
    I: Fn(usize) -> F,
    F: Future<Output = Result<(), Error>>,
{
    for round in 0.. {
        // Where threads seldom meet, on one core say, it takes longer.
        if round >= ROUNDS && round % 1_000 == 0 && (is_enough(&Cache::current()) || round > 50 * ROUNDS) {
            break;
        }
        let id = (first + round as usize) % ROWS;
        let new = world.rows[id].truth.fetch_add(1, Ordering::SeqCst) + 1;
        invalidate(id).await.expect("in process it cannot fail");
        world.rows[id].promised.fetch_max(new, Ordering::SeqCst);
        // Leaves the readers some time with what they store.
        for _ in 0..new % 8 {
            tokio::task::yield_now().await;
        }
    }
}

/// Whether readers and writers met: otherwise the test has tried nothing.
fn is_enough(cache: &Cache) -> bool {
    let stats = cache.stats();
    stats.hits() > 1_000 && stats.misses() > 1_000 && stats.refused_fills() > 10
}

/// Runs writers that invalidate this way beside readers.
fn stress<F, I>(invalidate: I)
where
    I: Fn(Cache, usize) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), Error>> + Send,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    let (cache, world) = (Cache::default(), Arc::new(World::default()));
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (cache, world) = (cache.clone(), world.clone());
            runtime.spawn(async move { cache.scope(read(world, reader as usize)).await })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (cache, world, invalidate) = (cache.clone(), world.clone(), invalidate.clone());
            runtime.spawn(async move {
                let own = cache.clone();
                cache.scope(write(world, writer as usize, move |id| invalidate(own.clone(), id))).await;
            })
        })
        .collect();

    for writer in writers {
        runtime.block_on(writer).expect("a writer");
    }
    world.is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        runtime.block_on(reader).expect("a reader that saw nothing old");
    }

    assert!(is_enough(&cache), "\n{}", cache.stats());
    assert_eq!(cache.computations_in_flight(), 0);
}

#[test]
fn nothing_old_is_read_after_an_entry_was_invalidated() {
    stress(|_, id| async move { row_entry(id).invalidate().await });
}

#[test]
fn nothing_old_is_read_after_an_entry_was_expired() {
    stress(|_, id| async move { row_entry(id).expire().await });
}

#[test]
fn nothing_old_is_read_after_a_tag_was_invalidated() {
    stress(|cache, id| async move { cache.invalidate_tags([format!("row:{id}")]).await });
}

#[test]
fn nothing_old_is_read_after_a_tag_was_expired() {
    stress(|cache, _| async move { cache.expire_tags(["rows"]).await });
}

#[test]
fn nothing_old_is_read_after_a_function_was_invalidated() {
    stress(|cache, _| async move { cache.invalidate_function("row").await.map(drop) });
}

#[test]
fn nothing_old_is_read_after_everything_was_cleared() {
    stress(|cache, _| async move { cache.clear().await });
}

#[test]
fn nothing_old_is_read_while_the_ways_alternate() {
    let turn = Arc::new(AtomicU64::new(0));
    stress(move |cache, id| {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        async move {
            match turn % 5 {
                0 => row_entry(id).invalidate().await,
                1 => cache.expire_tags([format!("row:{id}")]).await,
                2 => cache.invalidate_tags(["rows"]).await,
                3 => cache.clear().await,
                _ => row_entry(id).expire_function().await,
            }
        }
    });
}
