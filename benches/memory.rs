//! What a full local tier takes: 1,000,000 entries of 100 bytes go into 64 MiB.
//!
//! `cargo bench --bench memory` prints the bound, the weight, what the process takes beside it, and the same for
//! a bare `quick_cache`. The allocator counts what is asked for, so the allocator's own rounding is not in it;
//! the resident size, as Linux tells it, has that too.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use larder::{Cache, Local, cached};
use quick_cache::sync::Cache as Bare;

const ENTRIES: u64 = 1_000_000;
const LENGTH: usize = 100;
const BOUND: u64 = 64 << 20;
/// Insertions between two looks at the weight.
const STEP: u64 = 100;

fn value(id: u64) -> String {
    // No byte more than asked for, which `format!` does not promise.
    format!("{id:0LENGTH$}").into_boxed_str().into_string()
}

#[cached(ttl = 3600)]
async fn plain(id: u64) -> String {
    value(id)
}

#[cached(ttl = 3600, tags = ["menu", "place:{place}"])]
async fn tagged(id: u64, place: u64) -> String {
    // An argument that only a tag uses would be unused here.
    _ = place;
    value(id)
}

/// What a tier says of itself.
#[derive(Clone, Copy, Default)]
struct Held {
    capacity: u64,
    weight: u64,
    entries: u64,
}

/// The most bytes that were resident so far; none where the system does not tell.
fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.2} MiB", bytes / f64::from(1 << 20))
}

/// Fills a tier, looks at its weight on the way, and prints what it takes.
fn report<C>(name: &str, make: impl FnOnce() -> C, fill: impl Fn(&C, u64), held: impl Fn(&C) -> Held) {
    let (mut tier, mut full) = (None, Held::default());
    // The allocator counts by thread: all of it happens on this one.
    let heap = allocation_counter::measure(|| {
        let made = tier.insert(make());
        for id in 0..ENTRIES {
            fill(made, id);
            if id % STEP == STEP - 1 {
                full = held(made);
                assert!(full.weight <= full.capacity, "{} of {}", full.weight, full.capacity);
            }
        }
    });
    let freed = allocation_counter::measure(|| drop(tier)).bytes_current;

    let Held { capacity, weight, entries } = full;
    let share = weight as f64 / capacity as f64;
    // The index, the keys lately evicted that it remembers, and some KiB of counters.
    let index = heap.bytes_current as f64 - weight as f64;
    println!("\n{name}");
    println!("  bound            {:>12}", mebibytes(capacity as f64));
    println!("  weight           {:>12}   {:.2} % of the bound", mebibytes(weight as f64), 100.0 * share);
    println!("  entries          {entries:>12}   {:.0} bytes each", weight as f64 / entries as f64);
    println!("  live heap        {:>12}", mebibytes(heap.bytes_current as f64));
    println!("  beside the weight{:>12}   {:.0} bytes an entry", mebibytes(index), index / entries as f64);
    println!("  peak heap        {:>12}", mebibytes(heap.bytes_max as f64));
    println!("  left when dropped{:>12}", mebibytes((heap.bytes_current + freed) as f64));
    assert!(share >= 0.99, "{name}: a full tier is within 1 % of its bound");
}

/// Of a cache of its own.
fn report_cached(name: &str, call: impl AsyncFn(u64)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    report(
        name,
        || Cache::builder().local(Local::bytes(BOUND)).build().unwrap(),
        |cache, id| runtime.block_on(cache.scope(call(id))),
        |cache| {
            let stats = cache.stats();
            Held { capacity: stats.local_capacity, weight: stats.local_weight, entries: stats.local_entries }
        },
    );
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<u64, String> for ByBytes {
    fn weight(&self, _: &u64, value: &String) -> u64 {
        value.capacity() as u64
    }
}

fn main() {
    println!("{ENTRIES} entries of {LENGTH} bytes go in");
    let before = peak_resident();
    report_cached("#[cached], no tags", async |id| drop(plain(id).await));
    // Of the first one only: the others grow into what it leaves.
    if let (Some(before), Some(after)) = (before, peak_resident()) {
        println!("  peak resident    {:>12}", mebibytes(after as f64 - before as f64));
    }
    report_cached("#[cached], two tags", async |id| drop(tagged(id, id % 1_000).await));
    report(
        "bare quick_cache, weighing the value's heap alone",
        || Bare::with_weighter((BOUND / 512) as usize, BOUND, ByBytes),
        |cache, id| cache.insert(id, value(id)),
        |cache| Held { capacity: cache.capacity(), weight: cache.weight(), entries: cache.len() as u64 },
    );
}
