//! What the bus costs with more and more processes that follow it.

use std::time::{Duration, Instant};

use larder::testing::redis::Cluster;

use super::process::Process;
use super::servers::Figures;
use super::{MASTERS, cluster};

const PROCESSES: [usize; 3] = [2, 8, 32];
/// Whose cost is measured: one after the other, as fast as they go.
const COUNTED: u64 = 3_000;
/// Whose way is timed: one at a time, in turns with bare messages.
const TIMED: u64 = 1_000;
const IDLE: Duration = Duration::from_secs(5);

/// us from the call to who hears of it: the median, the 99th of a hundred.
struct Way {
    median: f64,
    late: f64,
}

/// What was measured with so many processes.
pub(crate) struct Cost {
    /// us of a processor of all servers together for an invalidation, and for a bare message.
    servers: f64,
    bare_servers: f64,
    /// us of a processor of one that follows.
    follower: f64,
    /// us of the servers' processors in a second in which nothing is invalidated.
    idle: f64,
    /// Until the other process does not serve the value any more, and until it has a bare message.
    way: Way,
    bare_way: Way,
}

pub(crate) fn measure() {
    let cluster = cluster(MASTERS);
    println!(
        "\nthe bus over {MASTERS} masters: one process invalidates entries that the others have; us\n{HEAD}"
    );
    for processes in PROCESSES {
        println!("{}", with(&cluster, processes).line(&format!("{processes} processes")));
    }
}

pub(crate) const HEAD: &str = concat!(
    "               processors of the servers for    a follower's   called to not served    PUBLISH to heard\n",
    "              invalidation  PUBLISH     idle second    processor       p50       p99        p50      p99"
);

impl Cost {
    pub(crate) fn line(&self, name: &str) -> String {
        format!(
            "{name:12} {:13.0} {:8.0} {:15.0} {:12.0} {:9.0} {:9.0} {:10.0} {:8.0}",
            self.servers,
            self.bare_servers,
            self.idle,
            self.follower,
            self.way.median,
            self.way.late,
            self.bare_way.median,
            self.bare_way.late
        )
    }
}

impl Way {
    fn of(began: &[u64], heard: &[Vec<u64>]) -> Self {
        let ways = heard.iter().flat_map(|heard| heard.iter().zip(began).map(|(heard, began)| heard - began));
        let mut ways: Vec<u64> = ways.collect();
        ways.sort_unstable();
        let at = |share: f64| ways[((ways.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        Self { median: at(0.5), late: at(0.99) }
    }
}

pub(crate) fn with(cluster: &Cluster, processes: usize) -> Cost {
    let mut all: Vec<_> = (0..processes).map(|_| Process::start(&cluster.url())).collect();
    all.iter_mut().for_each(Process::is_ready);
    let (one, others) = all.split_first_mut().unwrap();

    let before = busy(cluster);
    std::thread::sleep(IDLE);
    let idle = (busy(cluster) - before) / IDLE.as_secs_f64();
    // us of the servers for one of what is done, beside what they take idly.
    let cost = |what: &mut dyn FnMut()| {
        let (before, start) = (busy(cluster), Instant::now());
        what();
        (busy(cluster) - before - idle * start.elapsed().as_secs_f64()) / COUNTED as f64 * 1e6
    };

    ask(one, &format!("read 0 {COUNTED}"));
    let followed = followers(others);
    let servers = cost(&mut || {
        tell(others, &format!("hear 0 {COUNTED} count"));
        ask(one, &format!("invalidate 0 {COUNTED}"));
        others.iter_mut().for_each(|other| drop(other.answer()));
    });
    let follower = (followers(others) - followed) as f64 / 1e3 / others.len() as f64 / COUNTED as f64;
    let bare_servers = cost(&mut || {
        tell(others, &format!("hear_bare {COUNTED}"));
        ask(one, &format!("publish 0 {COUNTED}"));
        others.iter_mut().for_each(|other| drop(other.answer()));
    });
    ask(one, &format!("hear_bare {COUNTED}"));

    let timed = format!("{} {}", COUNTED, COUNTED + TIMED);
    for process in std::iter::once(&mut *one).chain(&mut *others) {
        ask(process, &format!("read {timed}"));
    }
    tell(others, &format!("hear {timed} look"));
    let mut began = ask(one, &format!("by_turns {timed}"));
    let published = began.split_off(TIMED as usize);
    let way = Way::of(&began, &others.iter_mut().map(Process::answer).collect::<Vec<_>>());
    tell(others, &format!("hear_bare {TIMED}"));
    let bare_way = Way::of(&published, &others.iter_mut().map(Process::answer).collect::<Vec<_>>());

    all.into_iter().for_each(Process::end);
    Cost { servers, bare_servers, follower, idle: idle * 1e6, way, bare_way }
}

/// Seconds of a processor.
fn busy(cluster: &Cluster) -> f64 {
    Figures::of_all(cluster).busy
}

/// ns of a processor, all together.
fn followers(others: &mut [Process]) -> u64 {
    others.iter_mut().map(|other| ask(other, "busy")[0]).sum()
}

fn ask(process: &mut Process, what: &str) -> Vec<u64> {
    process.tell(what);
    process.answer()
}

fn tell(processes: &mut [Process], what: &str) {
    processes.iter_mut().for_each(|process| process.tell(what));
}
