//! What an entry takes in Redis, beside the bare value.
//!
//! `cargo bench --features redis,testing --bench shared_memory` prints the bytes that the stored form adds to the
//! payload, and what a server takes for 100,000 of each, under the same names and with the same life.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use larder::testing::redis::{Reply, Server};
use larder::{Cache, Key, Local, Options, Redis};
use redis::aio::MultiplexedConnection;

const ENTRIES: u64 = 100_000;
const TASKS: u64 = 64;

/// 100 bytes, and one that tells their number.
fn value(id: u64) -> String {
    format!("{id:0100}")
}

fn payload(id: u64) -> Vec<u8> {
    bincode::serde::encode_to_vec(value(id), bincode::config::standard()).unwrap()
}

fn key(id: u64) -> Key {
    Key::of("menu_of", id).unwrap()
}

fn name(id: u64) -> String {
    format!("bench:e:{{{}}}", key(id))
}

/// Two tags; `few` of them are one hundred, so that what they take does not count.
fn options(id: u64) -> Options {
    Options::ttl(Duration::from_secs(3600)).tags(["menu".to_owned(), format!("kind:{}", id % 100)])
}

async fn fill(cache: &Cache) {
    let tasks = (0..TASKS).map(|first| {
        let cache = cache.clone();
        tokio::spawn(async move {
            for id in (first..ENTRIES).step_by(TASKS as usize) {
                cache.put(&key(id), value(id), &options(id)).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn fill_bare(connection: &mut MultiplexedConnection) {
    for first in (0..ENTRIES).step_by(1_000) {
        let mut pipeline = redis::Pipeline::new();
        for id in first..first + 1_000 {
            pipeline.cmd("SET").arg(name(id)).arg(payload(id)).arg("PX").arg(3_600_000).ignore();
        }
        () = pipeline.query_async(connection).await.unwrap();
    }
}

fn used(server: &Server) -> f64 {
    let report = server.command(&["INFO", "memory"]).text();
    let line = report.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

fn number(server: &Server, words: &[&str]) -> i64 {
    match server.command(words) {
        Reply::Int(number) => number,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn main() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::connect(&server.url()).await.unwrap();
        let cache = Cache::builder().prefix("bench").local(Local::bytes(0)).shared(redis).build().unwrap();
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();

        // A first one, so that connections, scripts and tags are there already.
        cache.put(&key(0), value(0), &options(0)).await.unwrap();
        let empty = used(&server);
        fill(&cache).await;
        let entries = used(&server) - empty;
        let stored = number(&server, &["STRLEN", &name(1)]);
        let usage = number(&server, &["MEMORY", "USAGE", &name(1)]);
        let keys = number(&server, &["DBSIZE"]);

        server.command(&["FLUSHALL"]);
        let empty = used(&server);
        fill_bare(&mut connection).await;
        let bare = used(&server) - empty;
        let bare_usage = number(&server, &["MEMORY", "USAGE", &name(1)]);

        let payload = payload(1).len() as i64;
        println!("\nan entry of {payload} bytes of payload, with two tags");
        println!("stored form: {stored} bytes, {} on top of the payload", stored - payload);
        println!("{:32} {:>8} {:>8}", "", "entry", "bare");
        println!(
            "{:32} {usage:>8} {bare_usage:>8}   {:5.2} x",
            "MEMORY USAGE",
            usage as f64 / bare_usage as f64
        );
        let each = |used: f64| used / ENTRIES as f64;
        println!(
            "{:32} {:>8.1} {:>8.1}   {:5.2} x",
            format!("used_memory, each of {ENTRIES}"),
            each(entries),
            each(bare),
            entries / bare
        );
        println!("keys of epochs beside the entries: {}", keys - ENTRIES as i64);
        assert!(stored - payload <= 60, "the stored form adds at most 60 bytes");
    });
}
