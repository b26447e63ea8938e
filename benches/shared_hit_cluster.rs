//! A hit in the shared tier of a Redis Cluster through the attribute, beside a bare `GET` and decode with the client's own
//! connection to a cluster.
//!
//! `cargo bench --features redis-cluster,testing --bench shared_hit_cluster` prints the medians of rounds measured in
//! turns, and their ratios, as `shared_hit` does for one server: `async fn(u64) -> String` of 100 bytes, 1,000 keys in
//! random order, the local tier off, three masters on this machine, one connection to each. By 64 tasks, and by one;
//! `-- 8` measures eight.
//!
//! An entry bears four epochs. While they are followed on the bus none of them is read. With `tier = shared` all four
//! are read each time, from whatever nodes have them: beside it stand as many `GET`s at once.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod turns;

use larder::testing::redis::Cluster;
use larder::{Cache, Local, Redis, cached};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
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
struct Bare(ClusterConnection);

impl Bare {
    async fn connect(cluster: &Cluster) -> Self {
        let urls: Vec<String> = cluster.nodes().iter().map(|node| node.url()).collect();
        let client = ClusterClient::builder(urls).tcp_settings(TcpSettings::default().set_nodelay(true));
        Self(client.build().unwrap().get_async_connection().await.unwrap())
    }

    async fn fill(&mut self) {
        for id in 0..KEYS {
            self.set(&format!("menu:{id}"), &encode(id)).await;
            self.set(&format!("tag:{id}"), EPOCH).await;
        }
        for name in ["tag", "function", "everything"] {
            self.set(name, EPOCH).await;
        }
    }

    async fn set(&mut self, name: &str, bytes: &[u8]) {
        () = redis::cmd("SET").arg(name).arg(bytes).query_async(&mut self.0).await.unwrap();
    }

    async fn bytes(&self, name: &str) -> Vec<u8> {
        redis::cmd("GET").arg(name).query_async(&mut self.0.clone()).await.unwrap()
    }

    async fn get(&mut self, id: u64) -> String {
        decode(&self.bytes(&format!("menu:{id}")).await)
    }

    /// As many as a framework must read that can clear everything, a function, and tags.
    async fn get_and_four(&mut self, id: u64) -> String {
        let (menu, tag) = (format!("menu:{id}"), format!("tag:{id}"));
        let (bytes, one, two, three, four) = tokio::join!(
            self.bytes(&menu),
            self.bytes("everything"),
            self.bytes("function"),
            self.bytes("tag"),
            self.bytes(&tag)
        );
        assert!([two, three, four].iter().all(|epoch| *epoch == one));
        decode(&bytes)
    }
}

/// How many `GET`s and `MGET`s the nodes have run.
fn reads(cluster: &Cluster) -> u64 {
    let of_node = |report: String| -> u64 {
        let count = |what| report.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("0");
        let number = |line: &str| -> u64 { line.split(',').next().unwrap().parse().unwrap() };
        number(count("cmdstat_get:calls=")) + number(count("cmdstat_mget:calls="))
    };
    cluster.nodes().iter().map(|node| of_node(node.command(&["INFO", "commandstats"]).text())).sum()
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
    let cluster = Cluster::of(3, 0, &[]);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bare = runtime.block_on(async {
        let redis = Redis::connect(&cluster.url()).await.unwrap();
        let cache = Cache::builder().prefix("bench").local(Local::bytes(0)).shared(redis).build().unwrap();
        cache.install().unwrap();
        warm_up(&cache).await;
        let mut bare = Bare::connect(&cluster).await;
        bare.fill().await;
        bare
    });

    let subjects = [
        Subject::new("bare GET + decode", 0, awaiting!(&runtime, bare, get)),
        Subject::new("#[cached], two tags, followed on the bus", 0, awaiting!(&runtime, |id| followed(id))),
        Subject::new("bare GET + 4 GETs at once + decode", 2, awaiting!(&runtime, bare, get_and_four)),
        Subject::new("#[cached], two tags, tier = shared", 2, awaiting!(&runtime, |id| through(id))),
    ];
    // Where the epochs lie decides how many commands the last one takes.
    for (subject, commands) in subjects.iter().zip([1.0, 1.0, 5.0]) {
        let before = reads(&cluster);
        (subject.call)(1);
        let sent = (reads(&cluster) - before) as f64 / CALLS as f64;
        assert!((sent - commands).abs() < 0.1, "{}: {sent} commands a call", subject.name);
    }
    for tasks in turns::asked() {
        let _ratio = turns::compare(&subjects, tasks, "a cluster of three masters");
    }
}
