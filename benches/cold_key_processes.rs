//! 4 processes with 1,000 callers each of a key that none of them has computed: one computation, and nobody waits
//! much longer than it takes.
//!
//! `cargo bench --features redis,testing --bench cold_key_processes` starts itself again as the workers, over a
//! server of its own, and prints the computations of all processes and how long the slowest caller took; in turns with
//! callers that wait for a bare task of their process which takes as long: that is what the machine itself adds.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::testing::redis::Server;
use larder::{Cache, Redis, cached};
use tokio::sync::{Barrier, watch};

const PROCESSES: usize = 4;
const CALLERS: usize = 1_000;
const ROUNDS: u64 = 25;
const BODY: Duration = Duration::from_millis(100);
/// Tells a worker its server.
const WORKER: &str = "LARDER_BENCH_WORKER";

static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

#[cached(ttl = 3600, tags = ["menu", "menu:{id}"])]
async fn menu_of(id: u64) -> String {
    tokio::time::sleep(BODY).await;
    COMPUTATIONS.fetch_add(1, Ordering::Relaxed);
    format!("{id:064}")
}

/// Lets all callers of this process go at once; how long the slowest took.
async fn slowest<F>(call: impl Fn() -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|_| {
        let (barrier, call) = (barrier.clone(), call());
        tokio::spawn(async move {
            barrier.wait().await;
            let start = Instant::now();
            call.await;
            start.elapsed()
        })
    });
    let mut slowest = Duration::ZERO;
    for caller in callers.collect::<Vec<_>>() {
        slowest = slowest.max(caller.await.unwrap());
    }
    slowest
}

/// The callers of a key, by the attribute.
async fn cached_round(id: u64) -> Duration {
    slowest(|| async move { drop(menu_of(id).await) }).await
}

/// As many callers, of whom one works and tells the others: no cache, no server, no other process.
async fn bare_round() -> Duration {
    let (done, told) = watch::channel(false);
    let (done, is_taken) = (Arc::new(done), Arc::new(AtomicBool::new(false)));
    slowest(|| {
        let (done, is_taken, mut told) = (done.clone(), is_taken.clone(), told.clone());
        async move {
            if !is_taken.swap(true, Ordering::Relaxed) {
                tokio::time::sleep(BODY).await;
                done.send_replace(true);
            }
            let _ = told.wait_for(|is_done| *is_done).await;
        }
    })
    .await
}

/// Answers each line, the number of a key or `bare`, with its computations and the µs of its slowest caller.
fn work(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::connect(url).await.unwrap();
        let cache = Cache::builder().prefix("bench").shared(redis).build().unwrap();
        cache.install().unwrap();
        menu_of(u64::MAX).await;
        while !cache.stats().shared.unwrap().is_confirmed {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("ready");
        for line in std::io::stdin().lines() {
            COMPUTATIONS.store(0, Ordering::Relaxed);
            let slowest = match line.unwrap().parse() {
                Ok(id) => cached_round(id).await,
                Err(_) => bare_round().await,
            };
            println!("{} {}", COMPUTATIONS.load(Ordering::Relaxed), slowest.as_micros());
        }
    });
}

/// Another process. It ends when its input does.
struct Worker {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(WORKER, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, output }
    }

    fn hear(&mut self) -> String {
        self.output.next().unwrap().unwrap()
    }

    fn end(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Lets all workers do the same at once: their computations together, and the ms of the slowest caller of all.
fn ask(workers: &mut [Worker], what: &str) -> (u64, f64) {
    for worker in &mut *workers {
        writeln!(worker.input, "{what}").unwrap();
    }
    let (mut computations, mut slowest) = (0, 0.0_f64);
    for worker in workers {
        let answer = worker.hear();
        let (count, micros) = answer.split_once(' ').unwrap();
        computations += count.parse::<u64>().unwrap();
        slowest = slowest.max(micros.parse::<f64>().unwrap() / 1_000.0);
    }
    (computations, slowest)
}

fn main() {
    if let Ok(url) = std::env::var(WORKER) {
        return work(&url);
    }
    let server = Server::start();
    let mut workers: Vec<_> = (0..PROCESSES).map(|_| Worker::start(&server.url())).collect();
    workers.iter_mut().for_each(|worker| assert_eq!(worker.hear(), "ready"));

    let (mut slowest, mut bare, mut most) = (Vec::new(), Vec::new(), 0);
    for id in 0..ROUNDS {
        bare.push(ask(&mut workers, "bare").1);
        let (computations, ms) = ask(&mut workers, &id.to_string());
        most = most.max(computations);
        slowest.push(ms);
    }
    workers.into_iter().for_each(Worker::end);

    println!(
        "\n{PROCESSES} processes x {CALLERS} callers of one cold key, body of {BODY:?}, {ROUNDS} rounds"
    );
    println!("computations in a round, at most: {most}");
    let ratios = slowest.iter().zip(&bare).map(|(mine, bare)| mine / bare).collect();
    for (name, all) in [("slowest caller", &slowest), ("slowest without cache and server", &bare)] {
        let (worst, best) =
            (all.iter().copied().fold(0.0, f64::max), all.iter().copied().fold(f64::MAX, f64::min));
        println!("{name:33} {:6.1} ms (median), {best:.1} to {worst:.1} ms", median(all.clone()));
    }
    println!("ratio of the two, in turns        {:6.2} x (median)", median(ratios));
    assert_eq!(most, 1, "one computation per key");
}
