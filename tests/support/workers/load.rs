//! What a worker does in a history: random reads, writes followed by invalidations, and a log of all of it.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::database::Row;
use super::worker::{Dish, Function, KitchenChanged, change_dishes, dish_of, me, text};
use super::{now, now_and_lag, pause_for};

/// The rows: so few that calls meet.
pub const KITCHENS: u64 = 2;
pub const DISHES: u64 = 3;

/// The window with a storm of changes. Then there are none, so that what was missed in the storm is not healed by the
/// next change; then some.
pub const STORM: u64 = 0;

/// Which of seven windows of 300 ms it is, for all processes.
pub fn window() -> u64 {
    now() / 300_000_000 % 7
}

/// A call that takes longer than this hangs: a lease lives for ten seconds.
const HANGING: Duration = Duration::from_secs(20);

/// The seeded source of what happens next (SplitMix64).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }
}

/// What was done, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub start: u64,
    pub end: u64,
    /// By how much the coarse clock, which the caches go by, lagged at the start.
    pub lag: u64,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Read(Function, Dish),
    Write(Row, u64),
    /// And whether it was `Ok`.
    Invalidation(Scope, bool),
}

/// What is invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Entry(Function, Row),
    Kitchen(u64),
    Function(Function),
    Dishes,
    Everything,
}

impl Scope {
    pub fn covers(self, of: Function, (kitchen, id): Row) -> bool {
        match self {
            Self::Entry(function, row) => (function, row) == (of, (kitchen, id)),
            Self::Kitchen(tag) => tag == kitchen,
            Self::Function(function) => function == of,
            Self::Dishes | Self::Everything => true,
        }
    }

    async fn invalidate(self) -> Result<(), larder::Error> {
        let cache = &me().cache;
        match self {
            Self::Entry(function, row) => function.entry(row).invalidate().await,
            Self::Kitchen(kitchen) => cache.emit(KitchenChanged(kitchen)).await,
            Self::Function(function) => function.entry((0, 0)).invalidate_function().await,
            Self::Dishes => change_dishes().await,
            Self::Everything => cache.clear().await,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.start, self.end, self.lag)?;
        match &self.what {
            What::Read(function, dish) => write!(f, "R {} {}", function.name(), text(dish)),
            What::Write((kitchen, id), version) => write!(f, "W {kitchen} {id} {version}"),
            What::Invalidation(scope, is_ok) => match scope {
                Scope::Entry(function, (kitchen, id)) => {
                    write!(f, "I {is_ok} entry {} {kitchen} {id}", function.name())
                }
                Scope::Kitchen(kitchen) => write!(f, "I {is_ok} kitchen {kitchen}"),
                Scope::Function(function) => write!(f, "I {is_ok} function {}", function.name()),
                Scope::Dishes => write!(f, "I {is_ok} dishes"),
                Scope::Everything => write!(f, "I {is_ok} everything"),
            },
        }
    }
}

impl Record {
    /// The record of a text.
    pub fn of(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| -> u64 { words[at].parse().unwrap() };
        let what = match words[3] {
            "R" => What::Read(Function::named(words[4]), dish_of(words[5])),
            "W" => What::Write((number(4), number(5)), number(6)),
            _ => {
                let scope = match words[5] {
                    "entry" => Scope::Entry(Function::named(words[6]), (number(7), number(8))),
                    "kitchen" => Scope::Kitchen(number(6)),
                    "function" => Scope::Function(Function::named(words[6])),
                    "dishes" => Scope::Dishes,
                    _ => Scope::Everything,
                };
                What::Invalidation(scope, words[4] == "true")
            }
        };
        Self { start: number(0), end: number(1), lag: number(2), what }
    }
}

/// The load of one worker, and its log.
#[derive(Default)]
pub struct Load {
    has_ended: AtomicBool,
    log: Mutex<Vec<Record>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Load {
    /// Begins with so many tasks.
    pub fn begin(self: &std::sync::Arc<Self>, tasks: u64, seed: u64) {
        let mut running = self.tasks.lock().unwrap();
        for task in 0..tasks {
            let (load, dice) = (self.clone(), Dice::new(seed.wrapping_add(task << 32)));
            running.push(tokio::spawn(async move { load.run(dice).await }));
        }
    }

    /// Ends; answers the log.
    pub async fn end(&self) -> String {
        self.has_ended.store(true, Ordering::Relaxed);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        for task in tasks {
            task.await.expect("a task of the load");
        }
        let log = self.log.lock().unwrap();
        log.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
    }

    async fn run(&self, mut dice: Dice) {
        while !self.has_ended.load(Ordering::Relaxed) {
            let row = (dice.below(KITCHENS), dice.below(DISHES));
            let function = Function::ALL[dice.below(3) as usize];
            let changes = match window() {
                STORM => 80,
                5 | 6 => 8,
                _ => 0,
            };
            match dice.below(1000) {
                roll if roll < changes => self.change(function, row, &mut dice).await,
                roll if roll < changes + 2 => {
                    let call = function.refresh(row);
                    self.log(call, |dish| What::Read(function, dish)).await;
                }
                // Promises nothing by itself; it only adds to what may go wrong.
                roll if roll < changes + 3 => drop(function.entry(row).expire().await),
                roll if roll < 400 => self.read_many(function, row.0, &mut dice).await,
                _ => {
                    for _ in 0..=dice.below(4) {
                        self.log(function.call(row), |dish| What::Read(function, dish)).await;
                    }
                }
            }
            pause_for(Duration::from_micros(dice.below(4000))).await;
        }
    }

    /// Reads several rows of a kitchen in one call.
    async fn read_many(&self, function: Function, kitchen: u64, dice: &mut Dice) {
        let left_out = dice.below(DISHES + 1);
        let ids: Vec<u64> = (0..DISHES).rev().filter(|id| *id != left_out).collect();
        let (start, lag) = now_and_lag();
        let call = function.call_many(kitchen, &ids);
        let dishes = tokio::time::timeout(HANGING, call).await.expect("a call hangs");
        let end = now();
        let read = |dish| Record { start, end, lag, what: What::Read(function, dish) };
        self.log.lock().unwrap().extend(dishes.into_iter().map(read));
    }

    /// Changes a row, and invalidates what shows it.
    async fn change(&self, function: Function, row: Row, dice: &mut Dice) {
        self.log(me().database.write(row), |version| What::Write(row, version)).await;
        let scope = match dice.below(20) {
            0 => Scope::Everything,
            1 => Scope::Function(function),
            2..4 => Scope::Dishes,
            4..10 => Scope::Kitchen(row.0),
            _ => Scope::Entry(function, row),
        };
        self.log(scope.invalidate(), |done| What::Invalidation(scope, done.is_ok())).await;
        // Who has changed something looks at it first.
        self.log(function.call(row), |dish| What::Read(function, dish)).await;
    }

    async fn log<T>(&self, doing: impl Future<Output = T>, what: impl FnOnce(T) -> What) {
        let (start, lag) = now_and_lag();
        let done = tokio::time::timeout(HANGING, doing).await.expect("a call hangs");
        let end = now();
        self.log.lock().unwrap().push(Record { start, end, lag, what: what(done) });
    }
}
