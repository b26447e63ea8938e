//! Reads as a Zipf law has them, and what came of them.

use std::time::{Duration, Instant};

use larder::testing::redis::Cluster;
use larder::{Cache, FunctionStats};

use super::catalogue::{price, shop_of, value};
use super::servers::Figures;
use super::zipf::Zipf;

pub(crate) const TASKS: u64 = 64;
/// Makes of neighbouring ranks articles that are far from each other. A prime, so that each article has one rank.
const APART: u64 = 2_654_435_761;

/// Lets tasks read the prices of `entries` articles, so many calls in all. `seed` tells what they ask for.
pub(crate) async fn run(cache: &Cache, entries: u64, calls: u64, seed: u64) -> Duration {
    let start = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let (cache, mut ranks) = (cache.clone(), Zipf::new(entries, seed + task));
        tokio::spawn(async move {
            for _ in 0..calls / TASKS {
                let id = ranks.next() * APART % entries;
                assert_eq!(price(&cache, shop_of(id), id).await, value(id));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    start.elapsed()
}

fn counted(cache: &Cache) -> FunctionStats {
    cache.stats().function("price").unwrap().clone()
}

/// What a load came to.
pub(crate) struct Came {
    /// Shares of the calls.
    pub(crate) local: f64,
    pub(crate) shared: f64,
    /// Of calls for what another one of the process was just asking for.
    pub(crate) joined: f64,
    pub(crate) missed: f64,
    /// Calls a second.
    pub(crate) pace: f64,
    pub(crate) took: f64,
    pub(crate) of_each: Vec<Figures>,
}

pub(crate) async fn measure(cluster: &Cluster, cache: &Cache, entries: u64, calls: u64) -> Came {
    // What is read for the first time after a connection was made reads its epochs, too.
    run(cache, entries, calls / 10, 2_000).await;
    let (before, figures) = (counted(cache), Figures::of_each(cluster));
    let took = run(cache, entries, calls, 1).await.as_secs_f64();
    let (after, ended) = (counted(cache), Figures::of_each(cluster));
    let made = (after.calls() - before.calls()) as f64;
    let shared = (after.shared_hits - before.shared_hits) as f64;
    let hits = (after.hits - before.hits) as f64;
    Came {
        local: (hits - shared) / made,
        shared: shared / made,
        joined: (after.joined - before.joined) as f64 / made,
        missed: (after.misses.total() - before.misses.total()) as f64 / made,
        pace: made / took,
        took,
        of_each: ended.into_iter().zip(figures).map(|(after, before)| after - before).collect(),
    }
}

pub(crate) async fn report(cluster: &Cluster, cache: &Cache, entries: u64, calls: u64, which: &str) {
    let came = measure(cluster, cache, entries, calls).await;
    println!("\nZipf load of {TASKS} tasks, {calls} calls, {which}: {:.0} calls a second", came.pace);
    println!(
        "  {:.2} % hits in the local tier, {:.2} % in the shared one, {:.2} % joined a call for the same, {:.3} % misses",
        100.0 * came.local,
        100.0 * came.shared,
        100.0 * came.joined,
        100.0 * came.missed
    );
    for (at, shard) in came.of_each.iter().enumerate() {
        println!(
            "  shard {at}: {:8.0} reads a second, {:4.1} % of a processor: {:8.0} reads for a second of it",
            shard.reads / came.took,
            100.0 * shard.busy / came.took,
            shard.reads / shard.busy
        );
    }
}
