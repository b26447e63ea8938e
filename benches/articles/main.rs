//! A site of articles on SQLite: what a cache is worth there, by how fine its tags are.
//!
//! `cargo bench --bench articles` prints the medians of rounds measured in turns, and their ratios: absolute numbers say
//! little on a shared machine.
//!
//! **The site** is modelled on the sample application that web frameworks are compared by (RealWorld, "Conduit"): 500 articles of 4 KiB
//! with tags and counts of those who like them, written by 50 authors; 11,000 comments by 1,000 users; the front page,
//! and a list for each author. Every answer shows users, so a rename concerns articles, comments and lists.
//!
//! **The database** is a file in WAL mode, as it is recommended for services (`synchronous = normal`): four connections that read and one
//! that writes, each query in a thread that may block. All ways use the same queries and the same pool.
//!
//! **The load**: 8 clients at a time. The newer an article, the more it is read (Zipf's law with exponent 1 over the newest
//! 500). Half of the reads are of articles, 30 % of comments, 20 % of lists, half of these of the front page. One call in a
//! hundred writes: 50 % of those comment, 36 % like, 9 % edit, 4 % publish, 1 % rename any user: people talk more than they
//! write, and change their names hardly ever. Writers choose articles as readers do.
//!
//! **The ways**: no cache; one tag for everything; tags by article and user, with each list one entry; the same with lists item by
//! item (see `cached.rs`). Nothing expires meanwhile, everything finds room, and the first round warms up: so what is missed
//! is what a write has outdated, and the hit ratio tells how much that is. With one tag it is all that was read since the last
//! write, about a hundred calls ago. With fine tags a write outdates one entry, or that and the lists that show it: so 3 calls
//! in 100 miss, of those for a list 7, as the front page shows 20 articles, and those that change most. Item by item it is
//! 1 for the ids, and one line of 20 at a time. (The hit ratio counts each line then.)
//!
//! Values are in an `Arc`, so a hit copies a pointer and not 4 KiB.
//!
//! Each answer is compared with what had been written when its call began. An older one is stale, and counted.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod cached;
mod data;
mod load;
mod pool;
mod site;
mod written;

use std::sync::Arc;
use std::time::Instant;

use larder::Cache;
use load::{Client, Site, Way, weights};
use pool::Pool;
use tokio::runtime::Builder;
use written::Written;

const CLIENTS: usize = 8;
const CALLS: usize = 24_000;
const ROUNDS: usize = 9;

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// All clients, each a task of its own; answers how many answers were stale.
async fn round(site: &Arc<Site>, number: usize, weights: &Arc<[f64]>) -> u64 {
    let seed = |client: usize| (number * CLIENTS + client) as u64;
    let clients = (0..CLIENTS).map(|client| Client::new(site.clone(), seed(client), weights.clone()));
    let tasks: Vec<_> = clients
        .map(|client| {
            let cache = site.cache.clone();
            tokio::spawn(async move { cache.scope(client.run(CALLS / CLIENTS)).await })
        })
        .collect();
    let mut stale = 0;
    for task in tasks {
        stale += task.await.unwrap();
    }
    stale
}

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let weights = weights();
    let directory = tempfile::tempdir().unwrap();
    let ways = [Way::Uncached, Way::OneTag, Way::FineTags, Way::ByItem];
    let sites = ways.map(|way| {
        let file = directory.path().join(format!("{way:?}.db"));
        data::create(&file);
        Arc::new(Site { way, cache: Cache::default(), db: Pool::open(&file), written: Written::new() })
    });
    let (mut took, mut stale, mut warm) = ([const { Vec::new() }; 4], [0; 4], None);
    for number in 0..=ROUNDS {
        if number == 1 {
            warm = Some(sites.each_ref().map(|site| site.cache.stats()));
        }
        for ((site, took), stale) in sites.iter().zip(&mut took).zip(&mut stale) {
            let start = Instant::now();
            *stale += runtime.block_on(round(site, number, &weights));
            // The first one warms up.
            if number > 0 {
                took.push(start.elapsed().as_secs_f64() / CALLS as f64);
            }
        }
    }
    for ((((site, way), mine), stale), warm) in
        sites.iter().zip(ways).zip(&took).zip(stale).zip(warm.unwrap())
    {
        let gain = median(took[0].iter().zip(mine).map(|(uncached, mine)| uncached / mine).collect());
        let (call, stats) = (median(mine.clone()), site.cache.stats());
        let hits = (stats.hits() - warm.hits()) as f64 / (stats.calls() - warm.calls()).max(1) as f64;
        println!(
            "{way:?}: {:.2} us a call, {:.0} calls a second, {gain:.1} x the speed without a cache, {:.1} % hits, {stale} stale",
            call * 1e6,
            1.0 / call,
            hits * 100.0,
        );
        assert_eq!(stale, 0, "stale answers");
    }
}
