//! Random reads (single, and in batches), writes and invalidations (by verbs, events and writers) of several processes,
//! under every fault that can be made here; each is logged with its times, and the log is checked against the promises of
//! the README: nothing invalidated is served.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `LARDER_HISTORY_SECONDS` | how long the faults take together | 50 |
//! | `LARDER_HISTORY_SEED` | what is drawn | another one each time |
//! | `LARDER_HISTORY_WITHOUT` | a fault that the server has no setting for: `loading` with Redis 6.2 | none |

#![cfg(all(unix, feature = "redis", feature = "testing"))]
#![allow(clippy::print_stderr, reason = "it reports what it checked")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

#[path = "support/workers/mod.rs"]
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::testing::redis::{Reply, Server, Traffic};
use larder::{Cache, Redis};
use workers::checker::{History, check};
use workers::load::{DISHES, Dice, KITCHENS, Record, STORM, Scope, What, window};
use workers::worker::{Dish, Function, PREFIX};
use workers::{Keeps, Stage, Worker, now, pause_for};

#[test]
#[ignore = "what the worker processes run; the tests start it"]
fn worker() {
    workers::worker::run();
}

/// Smaller than the default, so that more reads come after it.
const STALENESS: Duration = Duration::from_millis(500);
const WORKERS: usize = 4;
const TASKS: u64 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    ServerRestarted,
    ServerPaused,
    BusCut,
    ConnectionCut,
    HalfOpen,
    Slow,
    ScriptsFlushed,
    TagsLost,
    /// `OOM`: nothing may grow.
    MemoryFull,
    /// `READONLY`: what changes is refused.
    Replica,
    /// `LOADING`: nothing is answered but that.
    Loading,
    /// Who connects anew may not enter.
    PasswordChanged,
    WorkerPaused,
}

impl Fault {
    const ALL: [Self; 14] = [
        Self::None,
        Self::ServerRestarted,
        Self::ServerPaused,
        Self::BusCut,
        Self::ConnectionCut,
        Self::HalfOpen,
        Self::Slow,
        Self::ScriptsFlushed,
        Self::TagsLost,
        Self::MemoryFull,
        Self::Replica,
        Self::Loading,
        Self::PasswordChanged,
        Self::WorkerPaused,
    ];

    /// All but those that shall be left out.
    fn chosen() -> Vec<Self> {
        match std::env::var("LARDER_HISTORY_WITHOUT").as_deref() {
            Err(_) => Self::ALL.to_vec(),
            Ok("loading") => {
                eprintln!("SKIPPED: a server that loads");
                Self::ALL.into_iter().filter(|fault| *fault != Self::Loading).collect()
            }
            Ok(other) => panic!("LARDER_HISTORY_WITHOUT={other}: write `loading`, or leave it out"),
        }
    }
}

impl Fault {
    /// Whether a process may not reach Redis. Then a call with `tier = shared` joins a computation of its own process,
    /// also one that began earlier: each process computes once, and does not know what was invalidated meanwhile.
    fn cuts_off(self) -> bool {
        match self {
            Self::ServerRestarted
            | Self::ServerPaused
            | Self::ConnectionCut
            | Self::HalfOpen
            | Self::Slow
            | Self::Replica
            | Self::Loading
            | Self::PasswordChanged => true,
            Self::None
            | Self::BusCut
            | Self::ScriptsFlushed
            | Self::TagsLost
            | Self::MemoryFull
            | Self::WorkerPaused => false,
        }
    }
}

/// What a fault did, and when.
struct Phase {
    fault: Fault,
    from: u64,
    to: u64,
}

/// Stands where a fault is made.
struct Scene {
    stage: Stage,
    workers: Vec<Worker>,
    dice: Dice,
}

impl Scene {
    fn server(&self) -> &Server {
        &self.stage.server
    }

    /// A worker that is hit now.
    fn any(&mut self) -> &Worker {
        let at = self.dice.below(WORKERS as u64) as usize;
        &self.workers[at]
    }

    async fn counts(&self, what: &str) -> Vec<u64> {
        let mut counts = Vec::new();
        for worker in &self.workers {
            counts.push(worker.count(what).await);
        }
        counts
    }

    /// A field of the server's `INFO`.
    fn info(&self, field: &str) -> Option<String> {
        let info = self.server().command(&["INFO", "everything"]).text();
        info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
    }

    /// How often the server has answered with an error of this code.
    fn errors(&self, code: &str) -> u64 {
        let stat = self.info(&format!("errorstat_{code}")).unwrap_or_else(|| "count=0".to_owned());
        stat.strip_prefix("count=").unwrap().parse().unwrap()
    }

    /// How often it has refused something so, also in a script: that Redis 6.2 counts as `ERR`.
    fn refused(&self, code: &str) -> u64 {
        let is_old = self.info("redis_version").is_some_and(|version| version.starts_with("6."));
        self.errors(code) + if is_old { self.errors("ERR") } else { 0 }
    }

    /// Lets some time pass, up to half a second: short beside the windows of the load, which fall in and out of it.
    async fn a_while(&mut self) {
        let pause = 50 + self.dice.below(450);
        pause_for(Duration::from_millis(pause)).await;
    }

    /// Waits for a storm of changes, and into it.
    async fn storm(&mut self) {
        while window() != STORM {
            pause_for(Duration::from_millis(5)).await;
        }
        self.a_while().await;
    }

    fn set(&self, setting: &str, value: &str) {
        let set = self.server().command(&["CONFIG", "SET", setting, value]);
        assert_eq!(set, Reply::Text(b"OK".to_vec()));
    }

    /// The identities of the connections of a worker.
    fn connections(&self, worker: &str) -> Vec<String> {
        let clients = self.server().command(&["CLIENT", "LIST"]).text();
        let name = format!("name={worker} ");
        let of_worker = clients.lines().filter(|client| client.contains(&name));
        of_worker.map(|client| client.split(' ').next().unwrap().to_owned()).collect()
    }

    /// Makes the fault for about `time`; fails unless it did happen.
    async fn make(&mut self, fault: Fault, time: Duration) {
        let until = now() + time.as_nanos() as u64;
        let (gaps, failures) = (self.counts("gaps").await, self.counts("failures").await);
        let (mut is_hit_by_gaps, mut is_hit_by_failures) = (false, false);
        match fault {
            Fault::None => pause_for(time).await,
            Fault::ServerRestarted => {
                let before = self.info("run_id");
                while now() < until {
                    self.stage.server.kill();
                    pause_for(Duration::from_millis(400)).await;
                    self.stage.server.restart();
                    pause_for(Duration::from_millis(1200)).await;
                }
                assert_ne!(self.info("run_id"), before);
                (is_hit_by_gaps, is_hit_by_failures) = (true, true);
            }
            Fault::ServerPaused => {
                while now() < until {
                    self.server().pause();
                    self.a_while().await;
                    pause_for(Duration::from_millis(500)).await;
                    self.server().resume();
                    self.a_while().await;
                }
                is_hit_by_failures = true;
            }
            Fault::BusCut => {
                let mut cut = 0;
                while now() < until {
                    while window() != STORM {
                        pause_for(Duration::from_millis(5)).await;
                    }
                    // Again and again while most is to be heard: who listens anew is cut off again, and misses some.
                    while window() == STORM {
                        match self.server().command(&["CLIENT", "KILL", "TYPE", "pubsub"]) {
                            Reply::Int(count) => cut += count,
                            other => panic!("{other:?}"),
                        }
                        pause_for(Duration::from_millis(1)).await;
                    }
                }
                assert!(cut >= WORKERS as i64, "{cut} connections were cut");
                is_hit_by_gaps = true;
            }
            Fault::ConnectionCut => {
                self.workers.iter().for_each(|worker| worker.proxy().cut());
                while now() < until {
                    let pause = self.dice.below(300);
                    pause_for(Duration::from_millis(pause)).await;
                    self.any().proxy().cut();
                }
                is_hit_by_gaps = true;
            }
            Fault::HalfOpen => {
                while now() < until {
                    let hit = self.dice.below(WORKERS as u64) as usize;
                    // It has recovered from what hit it before.
                    self.workers[hit].hears().await;
                    let failed = self.workers[hit].count("failures").await;
                    self.workers[hit].proxy().set(Traffic::Swallow);
                    pause_for(Duration::from_millis(1500)).await;
                    // What was swallowed is missing: nothing more may pass on those connections.
                    let name = self.workers[hit].name.clone();
                    let open = self.connections(&name);
                    self.workers[hit].proxy().cut();
                    while self.connections(&name).iter().any(|connection| open.contains(connection)) {
                        pause_for(Duration::from_millis(1)).await;
                    }
                    self.workers[hit].proxy().set(Traffic::Pass);
                    assert!(self.workers[hit].count("failures").await > failed, "nothing was swallowed");
                    pause_for(Duration::from_millis(500)).await;
                }
            }
            Fault::Slow => {
                while now() < until {
                    let hit = self.dice.below(WORKERS as u64) as usize;
                    // It has recovered from what hit it before.
                    self.workers[hit].hears().await;
                    let failed = self.workers[hit].count("failures").await;
                    // Longer than the time limit: what has timed out still runs.
                    let delay = Traffic::Delay(Duration::from_millis(60 + self.dice.below(100)));
                    self.workers[hit].proxy().set(delay);
                    pause_for(Duration::from_millis(900)).await;
                    self.workers[hit].proxy().set(Traffic::Pass);
                    assert!(self.workers[hit].count("failures").await > failed, "nothing was slow");
                    pause_for(Duration::from_millis(300)).await;
                }
            }
            Fault::ScriptsFlushed => {
                let before = self.errors("NOSCRIPT");
                while now() < until {
                    self.server().command(&["SCRIPT", "FLUSH"]);
                    let pause = self.dice.below(100);
                    pause_for(Duration::from_millis(pause)).await;
                }
                let missed = self.errors("NOSCRIPT") - before;
                assert!(missed >= WORKERS as u64, "{missed} scripts were missed");
            }
            Fault::TagsLost => {
                let mut lost = 0;
                while now() < until {
                    for letter in ["t", "f", "a-"] {
                        let keys = self.server().command(&["KEYS", &format!("{PREFIX}:{letter}:*")]);
                        let Reply::List(keys) = keys else { panic!("{keys:?}") };
                        for key in keys.into_iter().map(Reply::text) {
                            if self.dice.below(4) == 0 {
                                lost += u64::from(self.server().command(&["DEL", &key]) == Reply::Int(1));
                            }
                        }
                    }
                    let pause = self.dice.below(100);
                    pause_for(Duration::from_millis(pause)).await;
                }
                assert!(lost >= 10, "{lost} epochs were lost");
            }
            Fault::MemoryFull => {
                let before = self.refused("OOM");
                while now() < until {
                    self.set("maxmemory", "1");
                    self.a_while().await;
                    self.set("maxmemory", "0");
                    self.a_while().await;
                }
                assert!(self.refused("OOM") >= before + WORKERS as u64, "nothing was refused");
            }
            Fault::Replica => {
                let before = self.refused("READONLY");
                while now() < until {
                    // Of a master that is not there: it keeps what it has.
                    self.server().command(&["REPLICAOF", "127.0.0.1", "1"]);
                    self.a_while().await;
                    self.server().command(&["REPLICAOF", "NO", "ONE"]);
                    self.a_while().await;
                }
                assert!(self.refused("READONLY") >= before + WORKERS as u64, "nothing was refused");
            }
            Fault::Loading => {
                let before = self.errors("LOADING");
                self.set("key-load-delay", "5000");
                // It answers between two pieces of what it loads, so there must be some.
                self.server().command(&["DEBUG", "POPULATE", "40", "ballast", "1100"]);
                while now() < until {
                    // Answers when it has loaded.
                    let server = self.server();
                    let reloaded = tokio::task::block_in_place(|| server.command(&["DEBUG", "RELOAD"]));
                    assert_eq!(reloaded, Reply::Text(b"OK".to_vec()));
                    self.a_while().await;
                }
                self.set("key-load-delay", "0");
                assert!(self.errors("LOADING") >= before + WORKERS as u64, "nothing was refused");
            }
            Fault::PasswordChanged => {
                let before = self.errors("NOAUTH");
                // Whoever is inside stays inside.
                let client = redis::Client::open(self.server().url()).unwrap();
                let mut inside = client.get_connection().unwrap();
                let mut tell = |words: &[&str]| -> redis::Value {
                    redis::Cmd::new().arg(words).query(&mut inside).unwrap()
                };
                while now() < until {
                    tell(&["CONFIG", "SET", "requirepass", "another-one"]);
                    tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                    tell(&["CLIENT", "KILL", "TYPE", "pubsub"]);
                    self.a_while().await;
                    tell(&["CONFIG", "SET", "requirepass", ""]);
                    self.a_while().await;
                }
                assert!(self.errors("NOAUTH") >= before + WORKERS as u64, "nobody was kept out");
                (is_hit_by_gaps, is_hit_by_failures) = (true, true);
            }
            Fault::WorkerPaused => {
                while now() < until {
                    // Half of them: the others go on invalidating.
                    let first = self.dice.below(WORKERS as u64) as usize;
                    let stopped = [0, WORKERS / 2].map(|step| &self.workers[(first + step) % WORKERS]);
                    stopped.iter().for_each(|worker| worker.pause());
                    pause_for(Duration::from_secs(3)).await;
                    for worker in stopped {
                        assert!(worker.is_paused());
                        worker.resume();
                    }
                    pause_for(Duration::from_millis(300)).await;
                }
            }
        }
        if fault.cuts_off() {
            // So that something changes that can be invalidated, whenever the last storm was.
            self.storm().await;
        }
        if is_hit_by_gaps {
            let after = self.counts("gaps").await;
            assert!(gaps.iter().zip(&after).all(|(before, after)| before < after), "{gaps:?} {after:?}");
        }
        if is_hit_by_failures {
            let after = self.counts("failures").await;
            assert!(
                failures.iter().zip(&after).all(|(before, after)| before < after),
                "{failures:?} {after:?}"
            );
        }
    }
}

/// Reads the shared tier with fresh caches, until it is told to end.
async fn audit(url: String, has_ended: Arc<AtomicBool>) -> Vec<Record> {
    let redis = Redis::builder().url(url).client_name("audit").lazy().unwrap();
    let mut log = Vec::new();
    while !has_ended.load(Ordering::Relaxed) {
        // With a staleness of zero the bus vouches for nothing, and the epochs are read each time.
        let builder = Cache::builder().prefix(PREFIX).shared(redis.clone());
        let fresh = builder.max_local_staleness(Duration::ZERO).build().unwrap();
        for row in (0..KITCHENS).flat_map(|kitchen| (0..DISHES).map(move |id| (kitchen, id))) {
            for function in [Function::Dish, Function::SharedDish] {
                let start = now();
                let seen = fresh.scope(async { function.entry(row).peek().await }).await;
                let end = now();
                // In a fault the server may not answer: nothing is known then.
                if let Ok(Some(seen)) = seen {
                    log.push(Record { start, end, lag: 0, what: What::Read(function, seen.value) });
                }
            }
        }
        pause_for(Duration::from_millis(15)).await;
    }
    log
}

fn number_from(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_invalidated_is_not_served_whatever_fails() {
    let seconds = number_from("LARDER_HISTORY_SECONDS").unwrap_or(50);
    let seed = number_from("LARDER_HISTORY_SEED").unwrap_or_else(|| now() % 1_000_000);
    eprintln!("LARDER_HISTORY_SEED={seed}");
    let faults = Fault::chosen();
    // So that it can be told to load, and slowly.
    let loads = ["--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024"];
    let arguments = if faults.contains(&Fault::Loading) { &loads[..] } else { &[] };
    let stage = Stage::with_server(Server::with_args(arguments)).await;
    stage.database.dawdle(Duration::from_millis(6));
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        // One of them has no local tier: it reads by what the bus has told.
        let keeps = if number == 0 { Keeps::Nothing } else { Keeps::Values };
        workers.push(stage.worker_behind_a_proxy(&format!("worker-{number}"), STALENESS, keeps).await);
    }
    let mut scene = Scene { stage, workers, dice: Dice::new(seed) };
    let has_ended = Arc::new(AtomicBool::new(false));
    let auditing = tokio::spawn(audit(scene.server().url(), has_ended.clone()));
    for (number, worker) in scene.workers.iter().enumerate() {
        worker.hears().await;
        worker.ask(&format!("begin {TASKS} {}", seed + number as u64)).await;
    }

    let time = Duration::from_secs(seconds) / faults.len() as u32;
    let mut phases = Vec::new();
    for fault in faults {
        let from = now();
        scene.make(fault, time).await;
        phases.push(Phase { fault, from, to: now() });
        for worker in &scene.workers {
            worker.hears().await;
        }
    }
    has_ended.store(true, Ordering::Relaxed);
    let ending: Vec<_> = scene.workers.iter().map(|worker| worker.begin("end")).collect();
    let mut history = History { audits: auditing.await.unwrap(), ..History::default() };
    for log in ending {
        let log = log.end().await;
        history.processes.push(log.split(';').map(Record::of).collect());
    }

    judge(&history, &phases, scene.stage.database.asked());
}

/// Reports, and fails if a promise was broken or too little was done to tell.
fn judge(history: &History, phases: &[Phase], computations: u64) {
    let verdict = check(history, STALENESS);
    let records = || history.processes.iter().flatten();
    eprintln!(
        "fault            seconds   reads  audits  writes  invalidations    err  older elsewhere  longest  slowest read"
    );
    let mut idle: Vec<Fault> = Vec::new();
    for Phase { fault, from, to } in phases {
        let is_within = |record: &&Record| (*from..*to).contains(&record.start);
        let count =
            |is: fn(&What) -> bool| records().filter(is_within).filter(|record| is(&record.what)).count();
        let reads = count(|what| matches!(what, What::Read(..)));
        let writes = count(|what| matches!(what, What::Write(..)));
        let done = count(|what| matches!(what, What::Invalidation(_, true)));
        let failed = count(|what| matches!(what, What::Invalidation(_, false)));
        let audits = history.audits.iter().filter(is_within).count();
        let lags = verdict.lags.iter().filter(|(start, _)| (*from..*to).contains(start));
        let longest = lags.clone().map(|(_, lag)| *lag).max().unwrap_or_default();
        let slowest = records().filter(is_within).map(|record| record.end - record.start).max();
        let slowest = Duration::from_nanos(slowest.unwrap_or_default());
        let took = Duration::from_nanos(to - from).as_secs_f64();
        eprintln!(
            "{:<16} {took:>7.1} {reads:>7} {audits:>7} {writes:>7} {done:>14} {failed:>6} {:>16} {longest:>8.1?} {slowest:>13.1?}",
            format!("{fault:?}"),
            lags.count(),
        );
        let is_idle = (reads as f64) < 100.0 * took || done < 3;
        idle.extend(is_idle.then_some(fault));
    }
    let operations = records().count() + history.audits.len();
    eprintln!(
        "{operations} operations, {} of them reads of kept values that an invalidation forbade to be older; \
         {computations} computations",
        verdict.checked,
    );
    let during =
        |time| phases.iter().find(|phase| (phase.from..phase.to).contains(&time)).map(|phase| phase.fault);
    let (joined, violations): (Vec<_>, Vec<_>) = verdict.violations.iter().partition(|it| {
        it.has_joined && it.function == Function::SharedDish && during(it.read.0).is_some_and(Fault::cuts_off)
    });
    eprintln!("{} reads with `tier = shared` joined an older computation while cut off", joined.len());
    let mut seen = std::collections::HashSet::new();
    let distinct = violations.iter().filter(|it| seen.insert((it.dish.began, &it.reader)));
    for violation in distinct.take(20) {
        eprintln!("{:?}: {violation}", during(violation.read.0));
    }
    assert!(violations.is_empty(), "{} reads broke a promise", violations.len());
    assert!(idle.is_empty(), "too little was done to tell under {idle:?}");
    assert!(verdict.checked > 10_000, "too little was kept to tell");
    assert!(!verdict.lags.is_empty(), "nothing old was ever read: the test would not see it");
}

/// One process that invalidates a dish, and another that reads it.
fn history_of(function: Function, is_ok: bool, began: u64, read: u64) -> History {
    let row = (0, 0);
    let dish = Dish { row, version: 1, began, by: "one".to_owned() };
    let at = |start, end, what| Record { start, end, lag: 0, what };
    let invalidation = at(1000, 1010, What::Invalidation(Scope::Kitchen(0), is_ok));
    let read = at(read, read + 1, What::Read(function, dish));
    History { processes: vec![vec![invalidation], vec![read]], audits: Vec::new() }
}

#[test]
fn the_checker_sees_a_value_older_than_an_invalidation_elsewhere() {
    let bound = Duration::from_nanos(100);
    let violations = |history| check(&history, bound).violations.len();

    for function in [Function::Dish, Function::LocalDish] {
        assert_eq!(violations(history_of(function, true, 999, 1110)), 0, "within the bound");
        assert_eq!(violations(history_of(function, true, 999, 1111)), 1);
        let mut lagging = history_of(function, true, 999, 1111);
        lagging.processes[1][0].lag = 1;
        assert_eq!(violations(lagging), 0, "within the bound, by the clock of the cache");
        assert_eq!(violations(history_of(function, true, 1000, 1111)), 0, "it began with the invalidation");
        assert_eq!(violations(history_of(function, false, 999, 1111)), 0, "it failed");
    }
    assert_eq!(violations(history_of(Function::SharedDish, true, 999, 1010)), 0, "it had not ended");
    assert_eq!(violations(history_of(Function::SharedDish, true, 999, 1011)), 1, "it reads through");
}

#[test]
fn the_checker_sees_a_value_older_than_an_invalidation_here_and_in_the_shared_tier() {
    let bound = Duration::from_nanos(100);
    let mut here = history_of(Function::Dish, true, 999, 1011);
    let read = here.processes.pop().unwrap().pop().unwrap();
    let mut shared = History { processes: here.processes.clone(), audits: vec![read.clone()] };
    here.processes[0].push(read);

    assert_eq!(check(&here, bound).violations.iter().map(|it| it.promise).collect::<Vec<_>>(), [1]);
    assert_eq!(check(&shared, bound).violations.iter().map(|it| it.promise).collect::<Vec<_>>(), [3]);
    shared.processes[0].clear();
    assert_eq!(check(&shared, bound).violations, []);
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    for text in [
        "1 2 3 R dish 0/1/7/1/worker-0",
        "1 2 3 W 0 1 8",
        "1 2 3 I true entry shared_dish 1 2",
        "1 2 3 I false kitchen 1",
        "1 2 3 I true function local_dish",
        "1 2 3 I true dishes",
        "1 2 3 I true everything",
    ] {
        assert_eq!(Record::of(text).to_string(), text);
    }
}
