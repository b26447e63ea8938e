//! Writers and readers of two caches over a real Redis: nobody who asks after a write gets what was there before it.
#![cfg(all(feature = "redis", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder::testing::redis::Server;
use larder::{Cache, Invalidate, Redis, cached, invalidates, updates};
use support::processes::{hears, until};
use tokio::task::JoinSet;

const ROWS: usize = 3;
const WRITES: u64 = 150;

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
    reads: AtomicU64,
}

impl World {
    async fn read(&self, id: usize) -> u64 {
        let read = self.rows[id].truth.load(Ordering::SeqCst);
        // Old by the time it is stored, now and then.
        for _ in 0..read % 4 {
            tokio::task::yield_now().await;
        }
        read
    }

    fn write(&self, id: usize) -> u64 {
        self.rows[id].truth.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[cached(ttl = "1h", tags = ["rows", "row:{id}"], skip(world))]
async fn row(world: &World, id: usize) -> u64 {
    world.read(id).await
}

#[cached(ttl = "1h", tier = shared, tags = ["rows", "row:{id}"], skip(world))]
async fn row_through(world: &World, id: usize) -> u64 {
    world.read(id).await
}

#[invalidates(tags = ["row:{id}"], strict)]
async fn write_by_tag(world: &World, id: usize) -> Result<u64, larder::Error> {
    Ok(world.write(id))
}

#[invalidates(entries = [row_entry(id), row_through_entry(id)], strict)]
async fn write_by_entry(world: &World, id: usize) -> Result<u64, larder::Error> {
    Ok(world.write(id))
}

#[invalidates(functions = [row, row_through], tags = ["of:{result}"], strict)]
async fn write_by_function(world: &World, id: usize) -> Result<u64, larder::Error> {
    Ok(world.write(id))
}

/// One writer a row at a time, or an older value could be put after a newer one.
#[updates(entry = row_entry(id), value = |result| *result, strict)]
#[updates(entry = row_through_entry(id), value = |result| *result, strict)]
async fn write_through(world: &World, id: usize) -> Result<u64, larder::Error> {
    Ok(world.write(id))
}

async fn write(world: &World, cache: &Cache, id: usize, round: u64) -> Result<u64, larder::Error> {
    match round % 5 {
        0 => write_by_tag(world, id).await,
        1 => write_by_entry(world, id).await,
        2 => write_by_function(world, id).await,
        3 => write_through(world, id).await,
        _ => {
            let changes = cache.deferred();
            let written = changes.scope(write_by_entry(world, id)).await;
            changes.apply().await?;
            written
        }
    }
}

async fn process(server: &Server) -> Cache {
    let redis = Redis::builder().url(server.url()).time_limit(Duration::from_secs(5));
    Cache::builder().prefix("app").shared(redis.connect().await.unwrap()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_a_writer_has_replaced() {
    let server = Server::start();
    let (one, two) = (process(&server).await, process(&server).await);
    hears(&one).await;
    hears(&two).await;
    let world = Arc::<World>::default();

    let mut readers = JoinSet::new();
    for n in 0..6 {
        let (world, is_here) = (world.clone(), n % 2 == 0);
        let cache = if is_here { one.clone() } else { two.clone() };
        let reading = async move {
            let mut id = n;
            while !world.is_over.load(Ordering::SeqCst) {
                id = (id + 1) % ROWS;
                let promised = world.rows[id].promised.load(Ordering::SeqCst);
                // Elsewhere the bound is zero for what reads through.
                let read = match is_here && n % 4 == 0 {
                    true => row(&world, id).await,
                    false => row_through(&world, id).await,
                };
                assert!(read >= promised, "{n}: row {id} was promised at {promised} and read at {read}");
                world.reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        };
        readers.spawn(async move { cache.scope(reading).await });
    }
    let mut writers = JoinSet::new();
    for id in 0..ROWS {
        let (world, cache) = (world.clone(), one.clone());
        writers.spawn(async move {
            for round in 0..WRITES {
                let new = cache.scope(write(&world, &cache, id, round)).await.expect("the server is there");
                world.rows[id].promised.fetch_max(new, Ordering::SeqCst);
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    world.is_over.store(true, Ordering::SeqCst);
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }

    assert!(world.reads.load(Ordering::Relaxed) > 100, "the readers had their turn");
    assert!(row_through_entry(0).peek().await.is_ok());
    // And the other process follows, in its local tier as well.
    for id in 0..ROWS {
        let truth = world.rows[id].truth.load(Ordering::SeqCst);
        let following = async {
            while two.scope(row(&world, id)).await != truth {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), following).await.expect("it hears of it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_thousands_is_made_in_both_processes() {
    let server = Server::start();
    let (one, two) = (process(&server).await, process(&server).await);
    hears(&one).await;
    hears(&two).await;
    let world = World::default();
    for cache in [&one, &two] {
        cache.scope(row(&world, 1)).await;
    }
    world.write(1);
    let entries = one.scope(async { (0..3_000).map(row_entry).collect::<Vec<_>>() }).await;
    let set: Invalidate = entries.iter().map(Invalidate::entry).collect();

    one.apply(set).await.unwrap();

    assert_eq!(one.scope(row(&world, 1)).await, 1);
    until(|| two.stats().local_entries == 0).await;
    assert_eq!(two.scope(row(&world, 1)).await, 1);
}
