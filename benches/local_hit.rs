//! A hit in the local tier through the attribute, beside a bare `quick_cache` get and clone.
//!
//! `cargo bench --bench local_hit` prints the medians of rounds measured in turns, and their ratios: absolute
//! numbers say little on a shared machine. `async fn(u64) -> String` of 64 bytes, 1,000 hot keys.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use larder::cached;

const KEYS: u64 = 1_000;
/// Few, so that a round is seldom interrupted: on a shared machine most samples are then free of it.
const CALLS: usize = 20_000;
const ROUNDS: usize = 500;

fn value(id: u64) -> String {
    format!("{id:064}")
}

#[cached(ttl = 3600)]
async fn plain(id: u64) -> String {
    value(id)
}

#[cached(ttl = 3600, tags = ["menu", "menu:{id}"])]
async fn tagged(id: u64) -> String {
    value(id)
}

#[cached(ttl = 3600, stagger, none_ttl = 60)]
async fn optional(id: u64) -> Result<Option<String>, std::io::Error> {
    Ok(Some(value(id)))
}

#[cached(ttl = 3600, stagger, refresh, grace = "1h")]
async fn kept(id: u64) -> String {
    value(id)
}

/// Polls a future that is ready at once, as a runtime would, without measuring a runtime.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a hit completes at once"),
    }
}

/// The hot keys in a random order.
fn keys(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % KEYS
    })
    .take(CALLS)
}

/// A loop of calls, from a seed.
type Subject<'s> = &'s (dyn Fn(u64) + Sync);

/// Nanoseconds a call of each subject, in turns, on `threads` at once, each with its own loop.
fn measure<const N: usize>(threads: u64, subjects: [(&str, Subject<'_>); N]) -> [Vec<f64>; N] {
    let barrier = Barrier::new(threads as usize);
    let run = |seed: u64| {
        let mut samples = [const { Vec::new() }; N];
        for _ in 0..ROUNDS {
            for (samples, (_, calls)) in samples.iter_mut().zip(&subjects) {
                barrier.wait();
                let start = Instant::now();
                calls(seed);
                samples.push(start.elapsed().as_nanos() as f64 / CALLS as f64);
            }
        }
        samples
    };
    // The same threads for all rounds: those of a runtime live long.
    let of_threads: Vec<_> = std::thread::scope(|scope| {
        let run = &run;
        let runs: Vec<_> = (1..=threads).map(|seed| scope.spawn(move || run(seed))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    std::array::from_fn(|subject| {
        let sum = |round: usize| of_threads.iter().map(|samples| samples[subject][round]).sum::<f64>();
        (0..ROUNDS).map(|round| sum(round) / threads as f64).collect()
    })
}

/// A loop of calls inside one task, as a handler awaits them.
macro_rules! awaiting {
    ($call:expr) => {
        &|seed| {
            now(async {
                for id in keys(seed) {
                    _ = black_box($call(black_box(id)).await);
                }
            })
        }
    };
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    let bare = quick_cache::sync::Cache::<u64, String>::new(10_000);
    for id in 0..KEYS {
        bare.insert(id, value(id));
        // Computed here, found by all that follows.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            plain(id).await;
            tagged(id).await;
            optional(id).await.unwrap();
            kept(id).await;
        });
    }

    for threads in [1, 2] {
        let subjects: [(&str, Subject<'_>); 5] = [
            ("bare quick_cache get + clone", &|seed| {
                for id in keys(seed) {
                    black_box(bare.get(&black_box(id)));
                }
            }),
            ("#[cached], no tags", awaiting!(plain)),
            ("#[cached], two tags", awaiting!(tagged)),
            ("#[cached], Result<Option<_>>, stagger", awaiting!(optional)),
            ("#[cached], stagger, refresh, grace", awaiting!(kept)),
        ];
        let samples = measure(threads, subjects);
        println!("\n{threads} thread(s), {ROUNDS} rounds of {CALLS} calls in turns, medians");
        let ratios =
            |mine: &[f64]| median(mine.iter().zip(&samples[0]).map(|(mine, bare)| mine / bare).collect());
        for (samples, (name, _)) in samples.iter().zip(subjects) {
            println!("{name:40} {:7.1} ns   {:5.2} x", median(samples.clone()), ratios(samples));
        }
        // Of each round, so that what slows both down does not count.
        let more = |of: usize| {
            median(samples[of].iter().zip(&samples[1]).map(|(this, plain)| this - plain).collect())
        };
        println!("two tags cost {:.1} ns more; stagger, refresh and grace {:.1} ns", more(2), more(4));
    }
}
