//! What the calls see of a master that is lost, and of its replica that takes over.
//!
//! `cargo bench --features redis-cluster,testing --bench failover` starts clusters of three masters and three replicas, with
//! a node timeout of 2 s, kills a master of each, or stops it so that it hangs, and calls a cached function all the while: for
//! entries of the lost shard and for entries of the others, each call with a time limit of 100 ms to the shared tier, the
//! local tier off. Prints for each round what both kinds of calls took, when the replica was promoted, and how soon after that
//! the lost shard answered and kept entries again. `-- 10` makes ten rounds of each.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use larder::testing::redis::Cluster;
use larder::{Cache, Key, Local, Options, Redis};

const ROUNDS: usize = 3;
/// The default.
const LIMIT: Duration = Duration::from_millis(100);
/// Calls go on for so long after all is well again.
const AFTERWARDS: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(1);
const ENTRIES: usize = 50;

/// How a master is lost.
type Lose = fn(&mut Cluster, usize);

/// One call.
#[derive(Clone, Copy)]
struct Call {
    began: Instant,
    took: Duration,
    is_hit: bool,
}

fn options() -> Options {
    Options::ttl(Duration::from_secs(3600))
}

/// Keys whose entries are at a master, or are not.
fn keys(cluster: &Cluster, from: u64, fits: impl Fn(usize) -> bool) -> impl Iterator<Item = Key> {
    let at = |key: &Key| cluster.master_of(&format!("bench:e:{{{key}}}"));
    (from..).map(|id| Key::of("menu_of", id).unwrap()).filter(move |key| fits(at(key)))
}

async fn call(cache: &Cache, key: &Key) -> Call {
    let (began, mut is_hit) = (Instant::now(), true);
    let compute = async || {
        is_hit = false;
        42_u64
    };
    cache.get_or_compute(key, &options(), compute).await;
    Call { began, took: began.elapsed(), is_hit }
}

/// Calls for keys in turn until it is told to end.
async fn calls(cache: Cache, keys: Vec<Key>, is_over: Arc<AtomicBool>) -> Vec<Call> {
    let mut made = Vec::new();
    for key in keys.iter().cycle() {
        made.push(call(&cache, key).await);
        tokio::time::sleep(BETWEEN).await;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    made
}

/// Calls for new keys, each until it is a hit: when the first one was.
async fn kept(cache: Cache, keys: Vec<Key>) -> Instant {
    for key in keys.iter().cycle() {
        if !call(&cache, key).await.is_hit {
            let again = call(&cache, key).await;
            if again.is_hit {
                return again.began;
            }
        }
        tokio::time::sleep(BETWEEN).await;
    }
    unreachable!("there are keys")
}

/// When a replica is promoted.
fn promoted(cluster: &Cluster, replica: usize) -> Instant {
    while !cluster.nodes()[replica].command(&["INFO", "replication"]).text().contains("role:master") {
        std::thread::sleep(BETWEEN);
    }
    Instant::now()
}

/// What a round came to, in ms; the calls of the lost shard while nobody has it in us.
struct Round {
    promoted: f64,
    found: f64,
    kept: f64,
    others_slowest: f64,
    others_missed: usize,
    waited: usize,
    lost_slowest: f64,
    computed: usize,
    computed_median: f64,
    computed_p99: f64,
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn round(lost: usize, lose: Lose) -> Round {
    let mut cluster = Cluster::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let of_lost: Vec<Key> = keys(&cluster, 0, |at| at == lost).take(ENTRIES).collect();
    let of_others: Vec<Key> = keys(&cluster, 0, |at| at != lost).take(ENTRIES).collect();
    let new: Vec<Key> = keys(&cluster, 1_000_000, |at| at == lost).take(ENTRIES).collect();
    let replica = cluster.replica_of(lost);
    runtime.block_on(async {
        let redis = Redis::builder().url(cluster.url()).time_limit(LIMIT).connect().await.unwrap();
        let cache = Cache::builder().prefix("bench").local(Local::bytes(0)).shared(redis).build().unwrap();
        for _ in 0..2 {
            for key in of_lost.iter().chain(&of_others) {
                call(&cache, key).await;
            }
        }
        while !cache.stats().shared.unwrap().is_confirmed {
            tokio::time::sleep(BETWEEN).await;
        }
        for key in of_lost.iter().chain(&of_others) {
            assert!(call(&cache, key).await.is_hit);
        }

        let is_over = Arc::new(AtomicBool::new(false));
        let others = tokio::spawn(calls(cache.clone(), of_others, is_over.clone()));
        let losing = tokio::spawn(calls(cache.clone(), of_lost, is_over.clone()));
        tokio::time::sleep(AFTERWARDS).await;
        let gone = Instant::now();
        lose(&mut cluster, lost);
        let cluster = Arc::new(cluster);
        let watched = cluster.clone();
        let promotion = tokio::task::spawn_blocking(move || promoted(&watched, replica));
        let kept = kept(cache.clone(), new).await;
        let promoted = promotion.await.unwrap();
        tokio::time::sleep(AFTERWARDS).await;
        is_over.store(true, Ordering::Relaxed);
        let (others, losing) = (others.await.unwrap(), losing.await.unwrap());
        report(gone, promoted, kept, &others, &losing)
    })
}

fn report(gone: Instant, promoted: Instant, kept: Instant, others: &[Call], losing: &[Call]) -> Round {
    let since = |calls: &[Call]| calls.iter().copied().filter(|call| call.began > gone).collect::<Vec<_>>();
    let slowest = |calls: &[Call]| calls.iter().map(|call| call.took).max().unwrap();
    let (others, losing) = (since(others), since(losing));
    // Nobody has the shard from the first call that was computed to the first hit after that.
    let first = losing.iter().position(|call| !call.is_hit).unwrap();
    let found = losing[first..].iter().find(|call| call.is_hit).unwrap();
    let lost = losing[first..].iter().filter(|call| !call.is_hit);
    let (waited, mut computed): (Vec<Duration>, Vec<Duration>) =
        lost.map(|call| call.took).partition(|took| *took > LIMIT / 2);
    computed.sort();
    let us = |share: f64| ms(computed[((computed.len() - 1) as f64 * share) as usize]) * 1e3;
    Round {
        promoted: ms(promoted - gone),
        found: ms(found.began.saturating_duration_since(promoted)),
        kept: ms(kept.saturating_duration_since(promoted)),
        others_slowest: ms(slowest(&others)),
        others_missed: others.iter().filter(|call| !call.is_hit).count(),
        waited: waited.len(),
        lost_slowest: ms(slowest(&losing)),
        computed: computed.len(),
        computed_median: us(0.5),
        computed_p99: us(0.99),
    }
}

fn main() {
    let asked = std::env::args().find_map(|word| word.parse().ok());
    let rounds: usize = asked.unwrap_or(ROUNDS);
    println!(
        "\nround       promoted  found, kept again     other shards     lost shard: waited     computed at once"
    );
    println!(
        "            after ms  ms after that      slowest ms missed    calls slowest ms    calls median, p99 us"
    );
    let ways: [(&str, Lose); 2] = [
        ("killed", |cluster, at| cluster.node(at).kill()),
        ("hanging", |cluster, at| cluster.node(at).pause()),
    ];
    for (name, lose) in ways {
        for at in 0..rounds {
            let it = round(at % 3, lose);
            println!(
                "{name:8} {at:2} {:9.0} {:6.0} {:10.0} {:16.1} {:6} {:8} {:10.1} {:8} {:7.0} {:7.0}",
                it.promoted,
                it.found,
                it.kept,
                it.others_slowest,
                it.others_missed,
                it.waited,
                it.lost_slowest,
                it.computed,
                it.computed_median,
                it.computed_p99
            );
            assert!(it.kept < 1_000.0, "cached again within a second of the promotion");
        }
    }
}
