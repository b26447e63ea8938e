//! 1,000 callers at once of a key that nobody has computed yet: one computation, and nobody waits much longer.
//!
//! `cargo bench --bench cold_key` prints the number of computations of each round and how long the slowest
//! caller took, as a ratio to the body, beside a `OnceCell` of tokio: what a program would write for one value.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::cached;
use tokio::sync::{Barrier, OnceCell};

const CALLERS: usize = 1_000;
const ROUNDS: u64 = 25;
const BODY: Duration = Duration::from_millis(20);

static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);
static BODY_NANOS: AtomicU64 = AtomicU64::new(0);

async fn body(id: u64) -> String {
    let start = Instant::now();
    tokio::time::sleep(BODY).await;
    COMPUTATIONS.fetch_add(1, Ordering::Relaxed);
    BODY_NANOS.store(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    format!("{id:064}")
}

#[cached(ttl = 3600, tags = ["menu", "menu:{id}"])]
async fn menu_of(id: u64) -> String {
    body(id).await
}

struct Round {
    computations: u64,
    /// The slowest caller's time, in body times.
    slowest: f64,
    /// From the first caller's start to the last one's end, in body times.
    all: f64,
}

/// Lets all callers go at once; each is a task of its own.
async fn round<F>(call: impl Fn() -> F) -> Round
where
    F: Future<Output = String> + Send + 'static,
{
    COMPUTATIONS.store(0, Ordering::Relaxed);
    let barrier = Arc::new(Barrier::new(CALLERS));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (barrier, call) = (barrier.clone(), call());
            tokio::spawn(async move {
                barrier.wait().await;
                let start = Instant::now();
                call.await;
                (start, Instant::now())
            })
        })
        .collect();
    let mut times = Vec::with_capacity(CALLERS);
    for caller in callers {
        times.push(caller.await.unwrap());
    }

    let body = BODY_NANOS.load(Ordering::Relaxed) as f64;
    let slowest = times.iter().map(|(start, end)| *end - *start).max().unwrap();
    let first = times.iter().map(|(start, _)| *start).min().unwrap();
    let last = times.iter().map(|(_, end)| *end).max().unwrap();
    Round {
        computations: COMPUTATIONS.load(Ordering::Relaxed),
        slowest: slowest.as_nanos() as f64 / body,
        all: (last - first).as_nanos() as f64 / body,
    }
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn report(name: &str, rounds: &[Round]) {
    let most = rounds.iter().map(|round| round.computations).max().unwrap();
    println!(
        "{name:16} {most:12} {:16.3} x {:12.3} x {:12.3} x",
        median(rounds.iter().map(|round| round.slowest)),
        rounds.iter().map(|round| round.slowest).fold(0.0, f64::max),
        median(rounds.iter().map(|round| round.all)),
    );
    assert!(rounds.iter().all(|round| round.computations == 1), "one computation per key");
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (mut cached, mut bare) = (Vec::new(), Vec::new());
    for id in 0..ROUNDS {
        cached.push(runtime.block_on(round(|| menu_of(id))));
        let cell = Arc::<OnceCell<String>>::default();
        bare.push(runtime.block_on(round(|| {
            let cell = cell.clone();
            async move { cell.get_or_init(|| body(id)).await.clone() }
        })));
    }

    println!("\n{CALLERS} callers of one cold key, body of {BODY:?}, {ROUNDS} rounds in turns");
    println!(
        "times in body times: the slowest caller (median, worst round); first start to last end (median)\n"
    );
    println!("{:16} {:>12} {:>18} {:>14} {:>14}", "", "computations", "slowest caller", "worst", "all");
    report("#[cached]", &cached);
    report("tokio OnceCell", &bare);
}
