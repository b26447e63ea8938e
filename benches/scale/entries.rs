//! What many entries take, beside bare values, and what a Zipf load finds of them.

use std::ops::Range;
use std::time::Instant;

use larder::testing::redis::Cluster;
use larder::{Cache, Local};
use redis::aio::MultiplexedConnection;

use super::catalogue::{self, SHOPS, price_entry, shop_of, value};
use super::servers::{Figures, number};
use super::{MASTERS, cache, cluster, load};

const SLOTS: usize = 16_384;
/// Names in one go, over all nodes.
const AT_ONCE: u64 = 30_000;
const LIFE_MS: u64 = 86_400_000;
/// The default of a cache from the environment.
const LOCAL: u64 = 64 << 20;
const CALLS: u64 = 2_000_000;

/// Stores so many entries: the first of them by calls, the others as copies.
pub(crate) fn measure(entries: u64, by_calls: u64) {
    let cluster = cluster(MASTERS);
    let by_calls = by_calls.min(entries);
    super::runtime().block_on(async {
        println!("\n{entries} entries with a value of {} bytes over {MASTERS} masters", value(0).len());
        let cache = cache(&cluster.url(), Local::bytes(0)).await;
        // The first ones, so that connections, scripts and epochs are there already.
        catalogue::store_prices(&cache, SHOPS).await;
        super::hears(&cache).await;
        let (empty, start) = (Figures::of_all(&cluster), Instant::now());
        catalogue::store_prices(&cache, by_calls).await;
        let (took, filled) = (start.elapsed().as_secs_f64(), Figures::of_all(&cluster) - empty);
        println!(
            "{by_calls} of them stored by calls of `each`: {:.0} a second, {:.1} us of servers each",
            filled.keys / took,
            filled.busy / filled.keys * 1e6
        );
        copy(&cluster, &cache, by_calls..entries).await;
        let after = Figures::of_all(&cluster);
        let stored = after - empty;
        // Those of the shops, of the function and of everything.
        let epochs = SHOPS + 2;
        assert_eq!(after.keys as u64, entries + epochs, "all are stored");
        let each = stored.memory / stored.keys;
        let usage = |name: &str| number(&cluster, &["MEMORY", "USAGE", name]);
        if entries >= by_calls + SHOPS {
            // Two of one shop, with names of one length mostly.
            let (called, copied) = (name(&cache, by_calls - 1), name(&cache, by_calls - 1 + SHOPS));
            assert!(called.len() != copied.len() || usage(&called) == usage(&copied), "copies take the same");
        }

        // One for each shop, with a tag of its own.
        catalogue::store_offers(&cache, SHOPS).await;
        let keys = (Figures::of_all(&cluster) - after).keys as u64;
        assert_eq!(keys, 2 * SHOPS + 1, "all are stored, each with an epoch of its own");
        let tag = usage("bench:t:{article:1}") as f64;

        let name = name(&cache, 1);
        let sizes = (number(&cluster, &["STRLEN", &name]), name.len());
        let epoch = usage("bench:t:{shop:1}");
        // What the tables of the server take for a key.
        let beside = each - usage(&name) as f64;
        load::report(&cluster, &cache, entries, CALLS, "local tier off").await;
        drop(cache);
        let near = self::cache(&cluster.url(), Local::bytes(LOCAL)).await;
        super::hears(&near).await;
        // Until the tier is full of what is asked for most.
        load::run(&near, entries, CALLS, 1_000).await;
        load::report(&cluster, &near, entries, CALLS, "local tier of 64 MiB, full").await;
        drop(near);

        for node in cluster.nodes() {
            node.command(&["FLUSHALL"]);
        }
        let empty = Figures::of_all(&cluster);
        set(&cluster, 0..entries, |id| (bare_name(id), payload(id))).await;
        let bare = Figures::of_all(&cluster) - empty;
        assert_eq!(bare.keys as u64, entries);
        let bare_each = bare.memory / bare.keys;

        println!("\nmemory by used_memory, bytes for each of {entries}");
        println!("  entry, stored form of {} bytes under a name of {:17} {each:8.1}", sizes.0, sizes.1);
        println!(
            "    of it epochs: {epochs} keys of {epoch} bytes {:28.3}",
            (epochs as i64 * epoch) as f64 / entries as f64
        );
        println!(
            "  bare value of {} bytes under {:?} {:14} {bare_each:8.1}   an entry is {:.2} x",
            payload(1).len(),
            bare_name(1),
            "",
            each / bare_each
        );
        println!("  a tag that one entry alone bears, on top {:22.1}", tag + beside);
    });
}

fn payload(id: u64) -> Vec<u8> {
    bincode::serde::encode_to_vec(value(id), bincode::config::standard()).unwrap()
}

fn bare_name(id: u64) -> String {
    format!("price:{}:{id}", shop_of(id))
}

fn name(cache: &Cache, id: u64) -> String {
    format!("bench:e:{{{}}}", price_entry(cache, shop_of(id), id).key().unwrap())
}

/// Stores entries as copies of what the cache itself has stored for the first article of the shop: they bear the same
/// epochs, so they are hits.
async fn copy(cluster: &Cluster, cache: &Cache, ids: Range<u64>) {
    let mut firsts = Vec::new();
    for shop in 0..SHOPS {
        let name = name(cache, shop);
        let client = redis::Client::open(cluster.nodes()[node_of(&name, MASTERS)].url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let stored: Vec<u8> = redis::cmd("GET").arg(name).query_async(&mut connection).await.unwrap();
        firsts.push(stored);
    }
    set(cluster, ids, |id| (name(cache, id), firsts[shop_of(id) as usize].clone())).await;
}

/// Stores bytes under names, with the life of entries, in one pipeline to each node at a time.
async fn set(cluster: &Cluster, ids: Range<u64>, what: impl Fn(u64) -> (String, Vec<u8>)) {
    let mut connections = Vec::new();
    for node in cluster.nodes() {
        let client = redis::Client::open(node.url()).unwrap();
        let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        connections.push(client.get_multiplexed_async_connection_with_config(&settings).await.unwrap());
    }
    for first in ids.clone().step_by(AT_ONCE as usize) {
        let mut pipelines = vec![redis::Pipeline::new(); connections.len()];
        for (name, bytes) in (first..ids.end.min(first + AT_ONCE)).map(&what) {
            let pipeline = &mut pipelines[node_of(&name, connections.len())];
            pipeline.cmd("SET").arg(name).arg(bytes).arg("PX").arg(LIFE_MS).ignore();
        }
        let parts = connections.iter().zip(pipelines).filter(|(_, part)| !part.is_empty());
        let parts = parts.map(|(connection, part)| tokio::spawn(run(connection.clone(), part)));
        for part in parts.collect::<Vec<_>>() {
            part.await.unwrap();
        }
    }
}

async fn run(mut connection: MultiplexedConnection, pipeline: redis::Pipeline) {
    () = pipeline.query_async(&mut connection).await.unwrap();
}

/// The place of the node that has the slot of a name, as the fixture deals them out: that of what stands in braces, if
/// anything does. The specification of the cluster names the checksum: CRC16, polynomial 0x1021.
fn node_of(name: &str, nodes: usize) -> usize {
    let inner = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inner, _)| inner);
    let checksum = inner.unwrap_or(name).bytes().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(byte) << 8, |sum, _| sum << 1 ^ if sum >> 15 == 1 { 0x1021 } else { 0 })
    });
    let slot = usize::from(checksum) % SLOTS;
    (0..nodes).rfind(|at| at * SLOTS / nodes <= slot).unwrap()
}
