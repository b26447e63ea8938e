//! The same over more and more masters.

use larder::Local;

use super::{bus, cache, catalogue, cluster, load};

const MASTERS: [usize; 4] = [1, 2, 3, 6];
const ENTRIES: u64 = 200_000;
const CALLS: u64 = 1_000_000;
const PROCESSES: usize = 8;

pub(crate) fn measure() {
    let mut costs = Vec::new();
    println!("\nZipf load of {} tasks over {ENTRIES} entries, local tier off, by masters", load::TASKS);
    println!(
        "masters   calls a second   reads a second   reads for a second of a     busiest shard   processors,"
    );
    println!(
        "                           and shard        shard's processor, mean     to the mean     servers alone"
    );
    for masters in MASTERS {
        let cluster = cluster(masters);
        let came = super::runtime().block_on(async {
            let cache = cache(&cluster.url(), Local::bytes(0)).await;
            catalogue::store_prices(&cache, ENTRIES).await;
            super::hears(&cache).await;
            load::measure(&cluster, &cache, ENTRIES, CALLS).await
        });
        assert_eq!(came.missed, 0.0);
        let (reads, busy): (Vec<f64>, Vec<f64>) =
            came.of_each.iter().map(|shard| (shard.reads, shard.busy)).unzip();
        let (all, busy) = (reads.iter().sum::<f64>(), busy.iter().sum::<f64>());
        let most = reads.iter().copied().fold(0.0, f64::max) / (all / masters as f64);
        println!(
            "{masters:7} {:16.0} {:16.0} {:27.0} {most:19.2} {:15.2}",
            came.pace,
            all / masters as f64 / came.took,
            all / busy,
            busy / came.took
        );
        costs.push((masters, bus::with(&cluster, PROCESSES)));
    }
    println!("\nthe bus with {PROCESSES} processes, by masters\n{}", bus::HEAD);
    for (masters, cost) in costs {
        println!("{}", cost.line(&format!("{masters} masters")));
    }
}
