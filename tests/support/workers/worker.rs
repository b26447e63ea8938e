//! The other processes: what a test binary does when it was started as a worker.
//!
//! Each test binary has this beside its tests:
//!
//! ```ignore
//! #[test]
//! #[ignore = "what the worker processes run; the tests start it"]
//! fn worker() {
//!     workers::worker::run();
//! }
//! ```

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use larder::{Cache, Entry, Invalidate, Local, Redis, cached, invalidates};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::database::{Client, Row};
use super::deploys;
use super::load::Load;
use super::{lines, now};

/// The variable of the environment that makes a process a worker: its name, the port of the stage, the URL of Redis, its
/// time limit and `max_local_staleness` in ms, what it keeps.
pub const ROLE: &str = "LARDER_TEST_WORKER";

/// What a worker keeps in its local tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Values,
    Nothing,
}

/// The prefix of the workers' caches.
pub const PREFIX: &str = "app";

/// What the cached functions return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dish {
    pub row: Row,
    pub version: u64,
    /// When its computation began.
    pub began: u64,
    /// Who computed it.
    pub by: String,
}

/// The cached functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// Both tiers.
    Dish,
    /// Reads through.
    SharedDish,
    /// Stays here.
    LocalDish,
    /// Both tiers, and the default lease. Not in histories.
    SlowDish,
    /// Refreshed after two seconds of four, and stale for ten minutes more. Not in histories.
    KeptDish,
}

impl Function {
    /// Those of histories.
    pub const ALL: [Self; 3] = [Self::Dish, Self::SharedDish, Self::LocalDish];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dish => "dish",
            Self::SharedDish => "shared_dish",
            Self::LocalDish => "local_dish",
            Self::SlowDish => "slow_dish",
            Self::KeptDish => "kept_dish",
        }
    }

    pub fn named(name: &str) -> Self {
        let mut all = Self::ALL.into_iter().chain([Self::SlowDish, Self::KeptDish]);
        all.find(|function| function.name() == name).expect("a function of ours")
    }

    pub async fn call(self, (kitchen, id): Row) -> Dish {
        match self {
            Self::Dish => dish(kitchen, id).await,
            Self::SharedDish => shared_dish(kitchen, id).await,
            Self::LocalDish => local_dish(kitchen, id).await,
            Self::SlowDish => slow_dish(kitchen, id).await,
            Self::KeptDish => kept_dish(kitchen, id).await,
        }
    }

    /// Several of one kitchen in one call. Only of those in histories.
    pub async fn call_many(self, kitchen: u64, ids: &[u64]) -> Vec<Dish> {
        let dishes = match self {
            Self::Dish => dishes(kitchen, ids).await,
            Self::SharedDish => shared_dishes(kitchen, ids).await,
            Self::LocalDish => local_dishes(kitchen, ids).await,
            Self::SlowDish | Self::KeptDish => panic!("{} has no batch", self.name()),
        };
        assert_eq!(dishes.len(), ids.len(), "a dish for each id");
        dishes.into_values().collect()
    }

    pub async fn refresh(self, (kitchen, id): Row) -> Dish {
        match self {
            Self::Dish => dish_refresh(kitchen, id).await,
            Self::SharedDish => shared_dish_refresh(kitchen, id).await,
            Self::LocalDish => local_dish_refresh(kitchen, id).await,
            Self::SlowDish => slow_dish_refresh(kitchen, id).await,
            Self::KeptDish => kept_dish_refresh(kitchen, id).await,
        }
    }

    pub fn entry(self, (kitchen, id): Row) -> Entry<Dish> {
        match self {
            Self::Dish => dish_entry(kitchen, id),
            Self::SharedDish => shared_dish_entry(kitchen, id),
            Self::LocalDish => local_dish_entry(kitchen, id),
            Self::SlowDish => slow_dish_entry(kitchen, id),
            Self::KeptDish => kept_dish_entry(kitchen, id),
        }
    }
}

#[cached(ttl = 600, name = "dish", tags = ["dishes", "kitchen:{kitchen}"], lease = "1s")]
async fn dish(kitchen: u64, id: u64) -> Dish {
    compute((kitchen, id)).await
}

#[cached(ttl = 600, name = "dish", each = ids, tags = ["dishes", "kitchen:{kitchen}"], lease = "1s")]
async fn dishes(kitchen: u64, ids: &[u64]) -> HashMap<u64, Dish> {
    compute_all(kitchen, ids).await
}

#[cached(
    ttl = 600,
    name = "shared_dish",
    tags = ["dishes", "kitchen:{kitchen}"],
    tier = shared,
    lease = "1s"
)]
async fn shared_dish(kitchen: u64, id: u64) -> Dish {
    compute((kitchen, id)).await
}

#[cached(
    ttl = 600,
    name = "shared_dish",
    each(id in ids, at_most = 2),
    tags = ["dishes", "kitchen:{kitchen}"],
    tier = shared,
    lease = "1s",
)]
async fn shared_dishes(kitchen: u64, ids: &[u64]) -> HashMap<u64, Dish> {
    compute_all(kitchen, ids).await
}

#[cached(ttl = 600, name = "local_dish", tags = ["dishes", "kitchen:{kitchen}"], tier = local)]
async fn local_dish(kitchen: u64, id: u64) -> Dish {
    compute((kitchen, id)).await
}

#[cached(
    ttl = 600,
    name = "local_dish",
    each = ids,
    tags = ["dishes", "kitchen:{kitchen}"],
    tier = local
)]
async fn local_dishes(kitchen: u64, ids: &[u64]) -> HashMap<u64, Dish> {
    compute_all(kitchen, ids).await
}

#[cached(ttl = 600, tags = ["dishes", "kitchen:{kitchen}"])]
async fn slow_dish(kitchen: u64, id: u64) -> Dish {
    compute((kitchen, id)).await
}

#[cached(
    ttl = 4,
    tags = ["dishes", "kitchen:{kitchen}"],
    lease = "2s",
    refresh(after = 0.5),
    grace = "10m",
    timeout(soft = "100ms")
)]
async fn kept_dish(kitchen: u64, id: u64) -> Dish {
    compute((kitchen, id)).await
}

/// This process, once it is a worker.
pub struct Me {
    pub name: String,
    pub database: Client,
    pub cache: Cache,
}

static ME: OnceLock<Me> = OnceLock::new();

/// This process, which is a worker.
pub fn me() -> &'static Me {
    ME.get().expect("this process is a worker")
}

/// One after the other: what is computed last began last.
async fn compute_all(kitchen: u64, ids: &[u64]) -> HashMap<u64, Dish> {
    let mut dishes = HashMap::new();
    for id in ids {
        dishes.insert(*id, compute((kitchen, *id)).await);
    }
    dishes
}

/// Something in a kitchen has changed: what that means, the cache is told once.
pub struct KitchenChanged(pub u64);

/// A writer that says what it changes.
#[invalidates(tags = ["dishes"], strict)]
pub async fn change_dishes() -> Result<(), larder::Error> {
    Ok(())
}

async fn compute(row: Row) -> Dish {
    let began = now();
    let version = me().database.read(row).await;
    Dish { row, version, began, by: me().name.clone() }
}

/// Works until the test ends, if this process is a worker.
pub fn run() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let role: Vec<&str> = role.split(' ').collect();
    let [name, port, url, time_limit, staleness, keeps] = role[..] else { panic!("a role: {role:?}") };
    let millis = |text: &str| Duration::from_millis(text.parse().unwrap());
    let (port, time_limit, staleness) = (port.parse().unwrap(), millis(time_limit), millis(staleness));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::builder().url(url).client_name(name).time_limit(time_limit).lazy().unwrap();
        let builder = Cache::builder().prefix(PREFIX).shared(redis).max_local_staleness(staleness);
        let keeps_nothing = keeps == format!("{:?}", Keeps::Nothing);
        let builder = if keeps_nothing { builder.local(Local::bytes(0)) } else { builder };
        let cache = builder.build().unwrap();
        cache.install().unwrap();
        cache.on(|changed: &KitchenChanged| Invalidate::tag(format!("kitchen:{}", changed.0)));
        let me = Me { name: name.to_owned(), database: Client::new(name, port), cache };
        assert!(ME.set(me).is_ok(), "a process works once");
        work(name, port).await;
    });
    // The test has ended: whatever still runs has nobody to tell.
    std::process::exit(0);
}

async fn work(name: &str, port: u16) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the test runs");
    let (mut reader, mut writer) = lines(stream);
    writer.write_all(format!("worker {name}\n").as_bytes()).await.expect("the test runs");
    let (answers, mut sending) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(answer) = sending.recv().await {
            if writer.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let load = Arc::new(Load::default());
    while let Ok(Some(line)) = reader.next_line().await {
        let (answers, load) = (answers.clone(), load.clone());
        tokio::spawn(async move {
            let (number, command) = line.split_once(' ').expect("a command of ours");
            let answer = perform(command, &load).await;
            let _ = answers.send(format!("{number} {answer}\n"));
        });
    }
}

async fn perform(command: &str, load: &Arc<Load>) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let number = |at: usize| -> u64 { words[at].parse().unwrap() };
    match words[0] {
        "read" => text(&Function::named(words[1]).call((number(2), number(3))).await),
        "refresh" => text(&Function::named(words[1]).refresh((number(2), number(3))).await),
        "read_many" => {
            let (function, row) = (Function::named(words[1]), (number(2), number(3)));
            let calls: Vec<_> = (0..number(4)).map(|_| tokio::spawn(function.call(row))).collect();
            let mut answers = std::collections::HashSet::new();
            for call in calls {
                answers.insert(text(&call.await.unwrap()));
            }
            answers.into_iter().collect::<Vec<_>>().join(",")
        }
        "peek" => match Function::named(words[1]).entry((number(2), number(3))).peek().await {
            Ok(Some(peek)) if peek.is_fresh => "fresh".to_owned(),
            Ok(Some(_)) => "stale".to_owned(),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        },
        "invalidate" => outcome(Function::named(words[1]).entry((number(2), number(3))).invalidate().await),
        "call_deployed" => deploys::call(words[1], number(2)).await,
        "invalidate_deployed" => outcome(deploys::invalidate(words[1], number(2)).await),
        "invalidate_function" => outcome(me().cache.invalidate_function(words[1]).await.map(drop)),
        "invalidate_tag" => outcome(me().cache.invalidate_tags([words[1]]).await),
        "hears" => {
            // Asks once, so that somebody listens.
            let _ = dish_entry(u64::MAX, 0).peek().await;
            let is_confirmed =
                || me().cache.stats().shared.is_some_and(|shared| shared.is_confirmed && !shared.is_away);
            while !is_confirmed() {
                tokio::task::yield_now().await;
            }
            "ok".to_owned()
        }
        "stats" => stats(),
        "begin" => {
            load.begin(number(1), number(2));
            "ok".to_owned()
        }
        "end" => load.end().await,
        other => panic!("{other} is no command"),
    }
}

fn outcome(done: Result<(), larder::Error>) -> String {
    done.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

fn stats() -> String {
    let stats = me().cache.stats();
    let shared = stats.shared.as_ref().unwrap();
    let sum = |count: fn(&larder::FunctionStats) -> u64| stats.functions.iter().map(count).sum::<u64>();
    format!(
        "calls={} hits={} shared_hits={} joined={} computations={} fills={} refused={} messages={} gaps={} \
         failures={} openings={} repeated={} absent={} version={} undecodable={}",
        stats.calls(),
        stats.hits(),
        sum(|function| function.shared_hits),
        stats.joined(),
        sum(|function| function.computations),
        sum(|function| function.fills),
        sum(|function| function.refused_fills),
        shared.messages,
        shared.gaps,
        shared.failures,
        shared.openings,
        shared.repeated_invalidations,
        sum(|function| function.misses.absent),
        sum(|function| function.misses.version),
        sum(|function| function.misses.undecodable),
    )
}

/// A dish in one word.
pub fn text(dish: &Dish) -> String {
    let Dish { row: (kitchen, id), version, began, by } = dish;
    format!("{kitchen}/{id}/{version}/{began}/{by}")
}

/// The dish of a word.
pub fn dish_of(text: &str) -> Dish {
    let parts: Vec<&str> = text.split('/').collect();
    let [kitchen, id, version, began, by] = parts[..] else { panic!("a dish, not {text}") };
    let number = |text: &str| -> u64 { text.parse().unwrap() };
    Dish {
        row: (number(kitchen), number(id)),
        version: number(version),
        began: number(began),
        by: by.to_owned(),
    }
}
