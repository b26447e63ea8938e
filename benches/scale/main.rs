//! A cluster that carries more than one machine would, on one machine: what an entry takes, what a shard answers, what
//! the bus costs.
//!
//! ```sh
//! cargo bench --features redis-cluster,testing --bench scale                      # all of it, 10,000,000 entries
//! cargo bench --features redis-cluster,testing --bench scale -- 1000000 entries   # one part, fewer entries
//! cargo bench --features redis-cluster,testing --bench scale -- entries by-calls  # see below
//! ```
//!
//! | part | prints |
//! |---|---|
//! | `entries` | the memory for each entry over three masters, beside bare values under bare names; what a Zipf load of 64 tasks finds in which tier, and what each shard answers |
//! | `shards` | the same load over 1, 2, 3 and 6 masters, and an invalidation that 8 processes hear |
//! | `bus` | what an invalidation costs the servers, and how soon it is heard, with 2, 8 and 32 processes |
//!
//! 10,000,000 entries take some GiB. The first 200,000 are stored by calls. The others are copies of what the cache has
//! stored then, each under its own name: to the servers they are the same, and to the cache they are hits. With `by-calls`
//! all are stored by calls, which takes a quarter of an hour and more.
//!
//!  Servers and processes share the processors of the machine, so what counts is not what
//! came through in a second but what a second of a server's processor came to. Servers persist nothing.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod bare;
mod bus;
mod catalogue;
mod entries;
mod load;
mod process;
mod servers;
mod shards;
mod zipf;

use std::time::Duration;

use larder::testing::redis::Cluster;
use larder::{Cache, Local, Redis};
use tokio::runtime::{Builder, Runtime};

const ENTRIES: u64 = 10_000_000;
const BY_CALLS: u64 = 200_000;
const MASTERS: usize = 3;
const PARTS: [&str; 3] = ["entries", "shards", "bus"];
/// Nothing here is about failures: a machine that is busy has time.
const PATIENT: Duration = Duration::from_secs(10);

fn cluster(masters: usize) -> Cluster {
    // A busy node is not a dead one.
    Cluster::of(masters, 0, &["--cluster-node-timeout", "60000"])
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn cache(url: &str, local: Local) -> Cache {
    let redis = Redis::builder().url(url).time_limit(PATIENT).connect().await.unwrap();
    Cache::builder().prefix("bench").local(local).shared(redis).build().unwrap()
}

/// Waits until a cache hears the bus, and so follows epochs instead of reading them.
async fn hears(cache: &Cache) {
    // The first call is what makes it listen.
    catalogue::price(cache, 0, 0).await;
    while !cache.stats().shared.unwrap().is_confirmed {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What the command line asks for.
struct Asked {
    entries: u64,
    by_calls: u64,
    parts: Vec<String>,
}

impl Asked {
    fn read() -> Self {
        let mut asked = Self { entries: ENTRIES, by_calls: BY_CALLS, parts: Vec::new() };
        // Cargo adds a word of its own.
        for word in std::env::args().skip(1).filter(|word| word != "--bench") {
            match word.parse() {
                Ok(entries) if entries >= catalogue::SHOPS => asked.entries = entries,
                Ok(_) => panic!("write {} entries or more", catalogue::SHOPS),
                Err(_) if word == "by-calls" => asked.by_calls = u64::MAX,
                Err(_) if PARTS.contains(&word.as_str()) => asked.parts.push(word),
                Err(_) => panic!("write a number of entries, `by-calls`, and any of {PARTS:?}, not {word:?}"),
            }
        }
        if asked.parts.is_empty() {
            asked.parts = PARTS.map(str::to_owned).to_vec();
        }
        asked
    }
}

fn main() {
    if let Ok(url) = std::env::var(process::WORKER) {
        return process::work(&url);
    }
    let asked = Asked::read();
    for part in &asked.parts {
        match part.as_str() {
            "entries" => entries::measure(asked.entries, asked.by_calls),
            "shards" => shards::measure(),
            _ => bus::measure(),
        }
    }
}
