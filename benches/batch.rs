//! A batch of 100 ids beside what a program without a framework would write.
//!
//! `cargo bench --features redis,testing --bench batch` prints the medians of rounds measured in turns, and their
//! ratios: absolute numbers say little on a shared machine.
//!
//! `-- local`, `-- pool` and `-- redis` measure one of the three.
//!
//! - 70 of the ids are in the local tier, 30 are read from SQLite and stored: beside 70 single hits and one call of the
//!   same body for 30 ids, which stores nothing and puts nothing together; and beside a loop by hand that does
//!   (`quick_cache`, no tags, no limit in bytes, nobody waits for what another call computes). Once the database is in the memory of
//!   the task that asks, where a query takes some microseconds; once it is a file behind a pool, as a service has it.
//! - All are in Redis, the local tier is off: beside one bare `MGET` with the same client, and decoding.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

#[path = "articles/pool.rs"]
#[allow(dead_code, reason = "nothing is written here")]
mod pool;

use larder::testing::redis::Server;
use larder::{Cache, Local, Redis, cached};
use pool::Pool;
use redis::IntoConnectionInfo;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use rusqlite::{Connection, params_from_iter};
use tokio::runtime::Builder;

const IDS: u64 = 100;
const WARM: u64 = 70;
const ROUNDS: usize = 400;
const REPEATS: u32 = 10;

fn value(id: u64) -> String {
    format!("{id:0100}")
}

fn database(db: Connection) -> Connection {
    db.execute("CREATE TABLE dish (id INTEGER PRIMARY KEY, name TEXT NOT NULL)", ()).unwrap();
    for id in 0..10_000 {
        db.execute("INSERT INTO dish VALUES (?1, ?2)", (id, value(id))).unwrap();
    }
    db
}

#[cached(ttl = 3600, name = "dish", each = ids, tags = ["dish:{id}"], skip(db))]
async fn dishes(db: &Connection, ids: &[u64]) -> HashMap<u64, String> {
    read(db, ids)
}

#[cached(ttl = 3600, name = "dish", each = ids, tags = ["dish:{id}"], skip(pool))]
async fn pooled_dishes(pool: &Pool, ids: &[u64]) -> HashMap<u64, String> {
    let ids = ids.to_vec();
    pool.read(move |db| Ok(read(db, &ids))).await.unwrap()
}

fn read(db: &Connection, ids: &[u64]) -> HashMap<u64, String> {
    let marks = vec!["?"; ids.len()].join(", ");
    let mut query = db.prepare_cached(&format!("SELECT id, name FROM dish WHERE id IN ({marks})")).unwrap();
    let rows = query.query_map(params_from_iter(ids), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[cached(ttl = 3600, name = "dish", tags = ["dish:{id}"], skip(db))]
async fn dish(db: &Connection, id: u64) -> String {
    db.query_row("SELECT name FROM dish WHERE id = ?1", [id], |row| row.get(0)).unwrap()
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn told(name: &str, batch: &[f64], beside: &[f64]) {
    let ratios = batch.iter().zip(beside).map(|(batch, beside)| batch / beside).collect();
    println!(
        "{name}: batch {:.1} us, beside {:.1} us, ratio {:.2}",
        median(batch.to_vec()) / 1e3,
        median(beside.to_vec()) / 1e3,
        median(ratios)
    );
}

/// 70 ids in the local tier, 30 in the database, which `batch` asks by a cached function, and `body` without a cache.
async fn mostly_local(
    name: &str,
    batch: impl AsyncFn(&[u64]) -> HashMap<u64, String>,
    body: impl AsyncFn(&[u64]) -> HashMap<u64, String>,
) {
    let cache = Cache::default();
    let ids: Vec<u64> = (0..IDS).collect();
    let (warm, cold) = ids.split_at(WARM as usize);
    let hand = HandCache::new(1_000);
    let (mut batches, mut beside, mut handmade) = (Vec::new(), Vec::new(), Vec::new());
    // The single calls are all hits: they ask no database.
    let no_database = Connection::open_in_memory().unwrap();
    cache
        .scope(async {
            batch(warm).await;
            by_hand(&hand, warm, &body).await;
            for _ in 0..ROUNDS {
                let mut took = [0.0, 0.0, 0.0];
                for _ in 0..REPEATS {
                    for id in cold {
                        dishes_entry(*id).invalidate().await.unwrap();
                    }
                    let start = Instant::now();
                    black_box(batch(&ids).await);
                    took[0] += start.elapsed().as_nanos() as f64;
                    let start = Instant::now();
                    for id in warm {
                        black_box(dish(&no_database, *id).await);
                    }
                    black_box(body(cold).await);
                    took[1] += start.elapsed().as_nanos() as f64;
                    for id in cold {
                        hand.remove(id);
                    }
                    let start = Instant::now();
                    black_box(by_hand(&hand, &ids, &body).await);
                    took[2] += start.elapsed().as_nanos() as f64;
                }
                batches.push(took[0] / f64::from(REPEATS));
                beside.push(took[1] / f64::from(REPEATS));
                handmade.push(took[2] / f64::from(REPEATS));
            }
        })
        .await;
    told(name, &batches, &beside);
    told(&format!("{name}, beside a loop by hand"), &batches, &handmade);
}

type HandCache = quick_cache::sync::Cache<u64, String>;

async fn by_hand(
    cache: &HandCache,
    ids: &[u64],
    body: &impl AsyncFn(&[u64]) -> HashMap<u64, String>,
) -> HashMap<u64, String> {
    let (mut all, mut missing) = (HashMap::with_capacity(ids.len()), Vec::new());
    for id in ids {
        match cache.get(id) {
            Some(found) => drop(all.insert(*id, found)),
            None => missing.push(*id),
        }
    }
    if missing.is_empty() {
        return all;
    }
    for (id, found) in body(&missing).await {
        cache.insert(id, found.clone());
        all.insert(id, found);
    }
    all
}

/// All in Redis.
async fn all_shared() {
    let (server, db) = (Server::start(), database(Connection::open_in_memory().unwrap()));
    let shared = Redis::connect(&server.url()).await.unwrap();
    let cache = Cache::builder().local(Local::bytes(0)).shared(shared).build().unwrap();
    let target = server.url().into_connection_info().unwrap();
    let target = target.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let client = redis::Client::open(target).unwrap();
    let mut bare = client.get_multiplexed_async_connection().await.unwrap();
    let ids: Vec<u64> = (0..IDS).collect();
    for id in &ids {
        let bytes = bincode::serde::encode_to_vec(value(*id), bincode::config::standard()).unwrap();
        () = redis::cmd("SET").arg(format!("dish:{id}")).arg(bytes).query_async(&mut bare).await.unwrap();
    }
    let (mut batch, mut beside) = (Vec::new(), Vec::new());
    cache
        .scope(async {
            dishes(&db, &ids).await;
            while !cache.stats().shared.unwrap().is_confirmed {
                tokio::task::yield_now().await;
            }
            dishes(&db, &ids).await;
            for _ in 0..ROUNDS {
                let start = Instant::now();
                for _ in 0..REPEATS {
                    black_box(dishes(&db, &ids).await);
                }
                batch.push(start.elapsed().as_nanos() as f64 / f64::from(REPEATS));
                let start = Instant::now();
                for _ in 0..REPEATS {
                    black_box(mget(&mut bare, &ids).await);
                }
                beside.push(start.elapsed().as_nanos() as f64 / f64::from(REPEATS));
            }
        })
        .await;
    let hits = cache.stats().function("dish").unwrap().shared_hits;
    assert!(hits >= IDS * (ROUNDS as u64) * u64::from(REPEATS), "{hits} hits in the shared tier");
    told("100 of 100 in Redis", &batch, &beside);
}

/// What a program without a framework would write.
async fn mget(bare: &mut MultiplexedConnection, ids: &[u64]) -> HashMap<u64, String> {
    let mut mget = redis::cmd("MGET");
    for id in ids {
        mget.arg(format!("dish:{id}"));
    }
    let all: Vec<Vec<u8>> = mget.query_async(bare).await.unwrap();
    let decode =
        |bytes: &[u8]| bincode::serde::decode_from_slice(bytes, bincode::config::standard()).unwrap().0;
    ids.iter().copied().zip(all.iter().map(|bytes| decode(bytes))).collect()
}

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |what| only.as_deref().is_none_or(|only| only == what);
    runtime.block_on(async {
        if is_wanted("local") {
            let db = database(Connection::open_in_memory().unwrap());
            mostly_local(
                "70 of 100 local, 30 from SQLite in memory",
                async |ids| dishes(&db, ids).await,
                async |ids| dishes_uncached(&db, ids).await,
            )
            .await;
        }
        if is_wanted("pool") {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("dishes.db");
            drop(database(Connection::open(&file).unwrap()));
            let pool = Pool::open(&file);
            mostly_local(
                "70 of 100 local, 30 from a file behind a pool",
                async |ids| pooled_dishes(&pool, ids).await,
                async |ids| pooled_dishes_uncached(&pool, ids).await,
            )
            .await;
        }
        if is_wanted("redis") {
            all_shared().await;
        }
    });
}
