//! What it takes to keep 100,000 entries warm: `refresh(idle = ..)`, by one timer, without a task for each.
//!
//! `cargo bench --bench refresh` prints the memory that the schedule takes for each entry, as the allocator counts what is
//! asked for, and how long it takes to refresh all of them at once.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use cache_core::testing::ManualClock;
use larder::{Cache, Local, cached};

const ENTRIES: u64 = 100_000;

#[cached(ttl = 3600)]
async fn plain(id: u64) -> u64 {
    id
}

#[cached(ttl = 3600, refresh)]
async fn refreshed(id: u64) -> u64 {
    id
}

#[cached(ttl = 3600, refresh(idle = "1d"))]
async fn warm(id: u64) -> u64 {
    id
}

/// A cache on a clock that stands still, with room for all.
fn cache() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let cache = Cache::builder().local(Local::bytes(256 << 20)).clock(clock.clock());
    (cache.max_refreshes(4).build().unwrap(), clock)
}

/// Live bytes an entry, of a cache of its own.
fn bytes(runtime: &tokio::runtime::Runtime, call: impl AsyncFn(u64)) -> f64 {
    let (cache, _) = cache();
    let heap = allocation_counter::measure(|| {
        runtime.block_on(cache.scope(async {
            for id in 0..ENTRIES {
                call(id).await;
            }
        }));
    });
    heap.bytes_current as f64 / ENTRIES as f64
}

fn main() {
    // All of it on this thread: the allocator counts by thread.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plain = bytes(&runtime, async |id| _ = plain(id).await);
    let with_refresh = bytes(&runtime, async |id| _ = refreshed(id).await);
    let with_idle = bytes(&runtime, async |id| _ = warm(id).await);
    println!("{ENTRIES} entries of a u64, index included");
    println!("  plain                 {plain:6.0} bytes an entry");
    println!("  refresh               {with_refresh:6.0} bytes an entry, {:.0} more", with_refresh - plain);
    println!("  refresh(idle = ..)    {with_idle:6.0} bytes an entry, {:.0} more", with_idle - plain);

    let (cache, clock) = cache();
    runtime.block_on(cache.scope(async {
        for id in 0..ENTRIES {
            warm(id).await;
        }
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        println!("\n  tasks while all are scheduled: {tasks}");
        let begun = Instant::now();
        // Past the share of the ttl after which they are due: all at once.
        clock.advance(Duration::from_secs(3000));
        while cache.stats().computations() < 2 * ENTRIES {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            // What found no room in the queue comes back after a rest.
            clock.advance(Duration::from_millis(10));
        }
        let took = begun.elapsed();
        println!("  all due at once, 4 at a time: {:.1} µs each", took.as_micros() as f64 / ENTRIES as f64);
        let refreshes = cache.stats().refreshes;
        println!("  dropped from the queue: {}", refreshes.dropped);
    }));
}
