//! Invalidating a tag that 1,000,000 entries in Redis bear, beside what a set of the tag's keys would take.
//!
//! `cargo bench --features redis,testing --bench tag_invalidation` prints medians of rounds measured in turns, on a
//! server of its own. The entries are what the cache itself has stored for one key, copied to all the others: they
//! bear the same epochs, so all of them are hits before the invalidation, and none is one after it.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use larder::testing::redis::{Reply, Server};
use larder::{Cache, Key, Local, Options, Redis};
use redis::aio::MultiplexedConnection;

const ENTRIES: u64 = 1_000_000;
const CHUNK: u64 = 10_000;
const ROUNDS: usize = 3;
const INVALIDATIONS: usize = 25;
/// Names removed by one command: the server does nothing else meanwhile.
const REMOVED_AT_ONCE: usize = 1_000;

fn options() -> Options {
    Options::ttl(Duration::from_secs(3600)).tags(["menu"])
}

fn key(id: u64) -> Key {
    Key::of("menu_of", id).unwrap()
}

fn name(id: u64) -> String {
    format!("bench:e:{{{}}}", key(id))
}

/// Stores all entries, and their names in a set, as a cache without epochs would have to.
async fn fill(cache: &Cache, connection: &mut MultiplexedConnection) {
    cache.put(&key(0), 0_u64, &options()).await.unwrap();
    let stored: Vec<u8> = redis::cmd("GET").arg(name(0)).query_async(connection).await.unwrap();
    for chunk in 0..ENTRIES / CHUNK {
        let mut pipeline = redis::Pipeline::new();
        let names: Vec<String> = (chunk * CHUNK..(chunk + 1) * CHUNK).map(name).collect();
        for name in &names {
            pipeline.cmd("SET").arg(name).arg(&stored).arg("PX").arg(3_600_000).ignore();
        }
        pipeline.cmd("SADD").arg("members").arg(&names).ignore();
        () = pipeline.query_async(connection).await.unwrap();
    }
}

/// How many of a sample of the entries are hits.
async fn hits(cache: &Cache) -> usize {
    let mut hits = 0;
    for id in (0..ENTRIES).step_by(ENTRIES as usize / 100) {
        hits += usize::from(cache.get::<u64>(&key(id), &options()).await.unwrap().is_some());
    }
    hits
}

async fn invalidate(cache: &Cache, tag: &'static str) -> Duration {
    let start = Instant::now();
    cache.invalidate_tags([tag]).await.unwrap();
    start.elapsed()
}

/// Removes all members of the set.
async fn remove_members(connection: &mut MultiplexedConnection) -> Duration {
    let start = Instant::now();
    let names: Vec<String> = redis::cmd("SMEMBERS").arg("members").query_async(connection).await.unwrap();
    for names in names.chunks(REMOVED_AT_ONCE) {
        () = redis::cmd("UNLINK").arg(names).query_async(connection).await.unwrap();
    }
    () = redis::cmd("UNLINK").arg("members").query_async(connection).await.unwrap();
    let took = start.elapsed();
    assert_eq!(names.len() as u64, ENTRIES);
    took
}

/// How many scripts the server has run.
fn scripts(server: &Server) -> u64 {
    let report = server.command(&["INFO", "commandstats"]).text();
    let line = report.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap_or("0");
    line.split(',').next().unwrap().parse().unwrap()
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

fn main() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::connect(&server.url()).await.unwrap();
        let cache = Cache::builder().prefix("bench").local(Local::bytes(0)).shared(redis).build().unwrap();
        let client = redis::Client::open(server.url()).unwrap();
        let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let mut connection = client.get_multiplexed_async_connection_with_config(&settings).await.unwrap();

        let (mut of_all, mut of_none, mut of_set) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            fill(&cache, &mut connection).await;
            assert!(matches!(server.command(&["DBSIZE"]), Reply::Int(size) if size > ENTRIES as i64));
            assert_eq!(hits(&cache).await, 100);
            of_all.push(invalidate(&cache, "menu").await);
            assert_eq!(hits(&cache).await, 0);

            let before = scripts(&server);
            for _ in 0..INVALIDATIONS {
                of_all.push(invalidate(&cache, "menu").await);
                of_none.push(invalidate(&cache, "nothing").await);
            }
            assert_eq!(scripts(&server) - before, 2 * INVALIDATIONS as u64, "one script an invalidation");
            of_set.push(remove_members(&mut connection).await);
        }

        println!("\n{ENTRIES} entries that bear one tag, {ROUNDS} rounds in turns, medians");
        let (slowest, all) = (*of_all.iter().max().unwrap(), median(of_all));
        let (none, set) = (median(of_none), median(of_set));
        let ratio = |it: Duration| it.as_secs_f64() / all.as_secs_f64();
        println!("invalidate_tags, one script        {all:>12.1?}    1.00 x   (the slowest {slowest:.1?})");
        println!("the same of a tag without entries  {none:>12.1?} {:>7.2} x", ratio(none));
        println!("SMEMBERS + UNLINK                  {set:>12.1?} {:>7.0} x", ratio(set));
    });
}
