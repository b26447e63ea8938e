//! What a call costs when Redis does not answer, beside a cache that has no shared tier.
//!
//! `cargo bench --features redis,testing --bench shared_away` prints, for a server that is dead: the medians of misses
//! that compute at once, measured in turns; for one that is paused: the longest call before the breaker opened, and the
//! longest after it.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::testing::redis::Server;
use larder::{Cache, Local, Redis, cached};

const CALLS: usize = 50_000;
const ROUNDS: usize = 25;
const TASKS: usize = 64;
const TIME_LIMIT: Duration = Duration::from_millis(100);
/// How often the server is paused.
const PAUSES: usize = 5;

#[cached(ttl = 3600, tags = ["menu", "menu:{id}"], cache = cache, skip(cache))]
async fn menu_of(cache: &Cache, id: u64) -> u64 {
    black_box(cache);
    id
}

/// A key that nobody has asked for.
fn cold() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn is_away(cache: &Cache) -> bool {
    cache.stats().shared.unwrap().is_away
}

/// Nanoseconds a miss that computes at once.
async fn measure(cache: &Cache) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(menu_of(cache, black_box(cold())).await);
    }
    start.elapsed().as_nanos() as f64 / CALLS as f64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Misses of a cache whose Redis is dead, beside those of a cache without a shared tier.
async fn dead(with: &Cache, without: &Cache) {
    let (mut on_top, mut ratios, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (alone, shared) = (measure(without).await, measure(with).await);
        on_top.push(shared - alone);
        ratios.push(shared / alone);
        bare.push(alone);
    }
    assert!(is_away(with));
    println!(
        "\nRedis dead, breaker open: misses that compute at once, {ROUNDS} rounds of {CALLS} in turns, medians"
    );
    println!("a cache without a shared tier  {:7.0} ns", median(bare));
    println!("with one                       {:+7.0} ns   {:5.2} x", median(on_top), median(ratios));
}

/// The longest call that began before the breaker opened, and the longest that began after it.
async fn paused(cache: &Cache) -> (Duration, Duration, usize) {
    let stop = Instant::now() + 4 * TIME_LIMIT;
    let tasks = (0..TASKS).map(|_| {
        let cache = cache.clone();
        tokio::spawn(async move {
            let (mut before, mut after, mut calls) = (Duration::ZERO, Duration::ZERO, 0);
            while Instant::now() < stop {
                let slot = if is_away(&cache) { &mut after } else { &mut before };
                let start = Instant::now();
                menu_of(&cache, cold()).await;
                *slot = start.elapsed().max(*slot);
                calls += 1;
                tokio::task::yield_now().await;
            }
            (before, after, calls)
        })
    });
    let mut all = (Duration::ZERO, Duration::ZERO, 0);
    for task in tasks.collect::<Vec<_>>() {
        let (before, after, calls) = task.await.unwrap();
        all = (all.0.max(before), all.1.max(after), all.2 + calls);
    }
    all
}

async fn is_back(cache: &Cache) {
    while is_away(cache) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn main() {
    let mut server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::builder().url(server.url()).time_limit(TIME_LIMIT).connect().await.unwrap();
        let local = || Local::bytes(64 << 20);
        let with = Cache::builder().prefix("bench").local(local()).shared(redis).build().unwrap();
        let without = Cache::builder().prefix("bench").local(local()).build().unwrap();
        menu_of(&with, cold()).await;

        println!("\nRedis paused, {TASKS} tasks that miss, a time limit of {TIME_LIMIT:?}");
        for _ in 0..PAUSES {
            server.pause();
            let (before, after, calls) = paused(&with).await;
            assert!(is_away(&with));
            server.resume();
            let resumed = Instant::now();
            is_back(&with).await;
            println!(
                "longest call until the breaker opened {before:>8.1?}, longest after it {after:>8.1?}, of {calls}; \
                 asked again {:.0?} after it went on",
                resumed.elapsed()
            );
        }

        server.kill();
        while !is_away(&with) {
            menu_of(&with, cold()).await;
        }
        dead(&with, &without).await;
    });
}
