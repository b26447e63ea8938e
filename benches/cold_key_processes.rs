//! 4 processes with 1,000 callers each of a key that none of them has computed: one computation, and nobody waits
//! much longer than it takes.
//!
//! `cargo bench --features redis,testing --bench cold_key_processes` starts itself again as the workers, over a
//! server of its own, and prints the computations of all processes and how long the slowest caller took.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::testing::redis::Server;
use larder::{Cache, Redis, cached};
use tokio::sync::Barrier;

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
async fn round(id: u64) -> Duration {
    let barrier = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|_| {
        let barrier = barrier.clone();
        tokio::spawn(async move {
            barrier.wait().await;
            let start = Instant::now();
            menu_of(id).await;
            start.elapsed()
        })
    });
    let mut slowest = Duration::ZERO;
    for caller in callers.collect::<Vec<_>>() {
        slowest = slowest.max(caller.await.unwrap());
    }
    slowest
}

/// Answers each line, the number of a key, with its computations and the µs of its slowest caller.
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
            let slowest = round(line.unwrap().parse().unwrap()).await;
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

fn main() {
    if let Ok(url) = std::env::var(WORKER) {
        return work(&url);
    }
    let server = Server::start();
    let mut workers: Vec<_> = (0..PROCESSES).map(|_| Worker::start(&server.url())).collect();
    workers.iter_mut().for_each(|worker| assert_eq!(worker.hear(), "ready"));

    let (mut slowest, mut most) = (Vec::new(), 0);
    for id in 0..ROUNDS {
        for worker in &mut workers {
            writeln!(worker.input, "{id}").unwrap();
        }
        let answers: Vec<(u64, f64)> = workers
            .iter_mut()
            .map(|worker| {
                let answer = worker.hear();
                let (computations, micros) = answer.split_once(' ').unwrap();
                (computations.parse().unwrap(), micros.parse::<f64>().unwrap() / 1_000.0)
            })
            .collect();
        most = most.max(answers.iter().map(|(computations, _)| computations).sum());
        slowest.push(answers.iter().map(|(_, ms)| *ms).fold(0.0, f64::max));
    }
    workers.into_iter().for_each(Worker::end);

    println!(
        "\n{PROCESSES} processes x {CALLERS} callers of one cold key, body of {BODY:?}, {ROUNDS} rounds"
    );
    println!("computations in a round, at most: {most}");
    let (worst, best) =
        (slowest.iter().copied().fold(0.0, f64::max), slowest.iter().copied().fold(f64::MAX, f64::min));
    println!("slowest caller: {:.1} ms (median), {best:.1} to {worst:.1} ms", median(slowest));
    assert_eq!(most, 1, "one computation per key");
}
