//! A hit in the shared tier through the attribute, beside a bare `GET` and decode with the same client.
//!
//! `cargo bench --features redis,testing --bench shared_hit` prints the medians of rounds measured in turns, and
//! their ratios: absolute numbers say little on a shared machine. `async fn(u64) -> String` of 100 bytes, 1,000 keys in
//! random order, the local tier off, everything over one connection to a server of its own. By 64 tasks, and by one;
//! `-- 8` measures eight.
//!
//! An entry bears four epochs: that of everything, of its function, and of its two tags. While they are followed on
//! the bus none of them is read. With `tier = shared` all four are read each time, in one `MGET`: beside it stands a
//! pipeline of as many reads, and one of the entry and its two tags alone.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod turns;

use larder::testing::redis::Server;
use larder::{Cache, Local, Redis, cached};
use redis::IntoConnectionInfo;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use tokio::runtime::Builder;
use turns::{CALLS, KEYS, Subject, awaiting, decode, encode, value};

/// What stands for an epoch: they have 16 bytes.
const EPOCH: &[u8] = &[7; 16];

#[cached(ttl = 3600, tags = ["menu", "menu:{id}"])]
async fn followed(id: u64) -> String {
    value(id)
}

#[cached(ttl = 3600, tags = ["menu", "menu:{id}"], tier = shared)]
async fn through(id: u64) -> String {
    value(id)
}

/// What a program without a framework would write.
#[derive(Clone)]
struct Bare(MultiplexedConnection);

impl Bare {
    async fn connect(server: &Server) -> Self {
        let target = server.url().into_connection_info().unwrap();
        let target = target.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = redis::Client::open(target).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    async fn fill(&mut self) {
        for id in 0..KEYS {
            let (menu, tag) = (format!("menu:{id}"), format!("tag:{id}"));
            let mut pipeline = redis::pipe();
            pipeline.set(&menu, encode(id)).ignore().set(&tag, EPOCH).ignore();
            () = pipeline.query_async(&mut self.0).await.unwrap();
        }
        for tag in ["tag", "function", "everything"] {
            () = redis::cmd("SET").arg(tag).arg(EPOCH).query_async(&mut self.0).await.unwrap();
        }
    }

    async fn get(&mut self, id: u64) -> String {
        let bytes: Vec<u8> =
            redis::cmd("GET").arg(format!("menu:{id}")).query_async(&mut self.0).await.unwrap();
        decode(&bytes)
    }

    /// The entry and its two tags.
    async fn get_and_two(&mut self, id: u64) -> String {
        let mut pipeline = redis::Pipeline::with_capacity(3);
        pipeline.get(format!("menu:{id}")).get("tag").get(format!("tag:{id}"));
        let (bytes, one, other): (Vec<u8>, Vec<u8>, Vec<u8>) =
            pipeline.query_async(&mut self.0).await.unwrap();
        assert!(one == other);
        decode(&bytes)
    }

    /// As many as a framework must read that can clear everything, a function, and tags.
    async fn get_and_four(&mut self, id: u64) -> String {
        let mut pipeline = redis::Pipeline::with_capacity(5);
        pipeline.get(format!("menu:{id}")).get("everything").get("function");
        pipeline.get("tag").get(format!("tag:{id}"));
        let (bytes, epochs): (Vec<u8>, [Vec<u8>; 4]) = {
            let mut answers: Vec<Vec<u8>> = pipeline.query_async(&mut self.0).await.unwrap();
            let epochs = answers.split_off(1).try_into().unwrap();
            (answers.pop().unwrap(), epochs)
        };
        assert!(epochs.iter().all(|epoch| *epoch == epochs[0]));
        decode(&bytes)
    }
}

/// How many `GET`s and `MGET`s the server has run.
fn reads(server: &Server) -> u64 {
    let report = server.command(&["INFO", "commandstats"]).text();
    let count = |what: &str| -> u64 {
        let line = report.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("0");
        line.split(',').next().unwrap().parse().unwrap()
    };
    count("cmdstat_get:calls=") + count("cmdstat_mget:calls=")
}

async fn warm_up(cache: &Cache) {
    // Filled, and read once more with the epochs.
    for _ in 0..2 {
        for id in 0..KEYS {
            followed(id).await;
            through(id).await;
        }
    }
    while !cache.stats().shared.unwrap().is_confirmed {
        tokio::task::yield_now().await;
    }
    for id in 0..KEYS {
        followed(id).await;
    }
}

fn main() {
    let server = Server::start();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bare = runtime.block_on(async {
        let redis = Redis::connect(&server.url()).await.unwrap();
        let cache = Cache::builder().prefix("bench").local(Local::bytes(0)).shared(redis).build().unwrap();
        cache.install().unwrap();
        warm_up(&cache).await;
        let mut bare = Bare::connect(&server).await;
        bare.fill().await;
        bare
    });

    let subjects = [
        Subject::new("bare GET + decode", 0, awaiting!(&runtime, bare, get)),
        Subject::new("#[cached], two tags, followed on the bus", 0, awaiting!(&runtime, |id| followed(id))),
        Subject::new("bare pipeline of GET + 4 GETs + decode", 2, awaiting!(&runtime, bare, get_and_four)),
        Subject::new("bare pipeline of GET + 2 GETs + decode", 2, awaiting!(&runtime, bare, get_and_two)),
        Subject::new("#[cached], two tags, tier = shared", 2, awaiting!(&runtime, |id| through(id))),
    ];
    for (subject, commands) in subjects.iter().zip([1.0, 1.0, 5.0, 3.0, 1.0]) {
        let before = reads(&server);
        (subject.call)(1);
        let sent = (reads(&server) - before) as f64 / CALLS as f64;
        assert!((sent - commands).abs() < 0.1, "{}: {sent} commands a call", subject.name);
    }
    for tasks in turns::asked() {
        let ratio = turns::compare(&subjects, tasks, "one connection");
        println!("tier = shared to the pipeline of GET + 2 GETs: {:.2} x", ratio(4, 3));
    }
}
