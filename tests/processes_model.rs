//! Two processes over one store, of which a test decides what happens next: which question, answer or message arrives, which body ends,
//! who calls, writes, gives up. Whatever the order, nobody reads what was invalidated before the call began: in the same process, in the
//! other once the message has come, and in one that begins afterwards.
//!
//! `LARDER_MODEL_CASES=100000 cargo test --release --all-features --test processes_model` plays others, and more.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cache_core::testing::{ManualClock, MemoryStage};
use larder::{Cache, Error, ErrorKind, cached, current};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::distant::{Distant, Leg, Way};
use support::processes::hears;
use support::source::Down;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const ROWS: usize = 2;
const PROCESSES: usize = 2;
/// All waits of a case together stay below the time that the shared tier is given to answer.
const WAITS: usize = 4;
const WAIT: Duration = Duration::from_millis(21);

/// What waits for its turn.
struct Gate {
    number: u64,
    what: String,
    /// The process that a message is on its way to.
    message_to: Option<usize>,
    open: oneshot::Sender<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Pass,
    Fail,
}

/// All that is under way, in the order in which it set out.
#[derive(Default)]
struct Board {
    gates: Mutex<Vec<Gate>>,
    /// Whether all pass at once.
    is_open: AtomicBool,
    /// How many have waited.
    numbers: AtomicU64,
    /// Grows with all that happens.
    happened: AtomicU64,
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.gates.lock().unwrap().iter().map(|gate| &gate.what)).finish()
    }
}

impl Board {
    async fn passed(&self, what: String, message_to: Option<usize>) -> Verdict {
        self.happened.fetch_add(1, Ordering::SeqCst);
        if self.is_open.load(Ordering::SeqCst) {
            return Verdict::Pass;
        }
        let (open, opened) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        self.gates.lock().unwrap().push(Gate { number, what, message_to, open });
        let verdict = opened.await.unwrap_or(Verdict::Fail);
        self.happened.fetch_add(1, Ordering::SeqCst);
        verdict
    }

    /// What waits, without what was given up.
    fn waiting(&self) -> MutexGuard<'_, Vec<Gate>> {
        let mut gates = self.gates.lock().unwrap();
        gates.retain(|gate| !gate.open.is_closed());
        gates
    }

    /// Lets one of what is under way go on; tells what.
    fn pass(&self, nth: usize, verdict: Verdict) -> Option<String> {
        let mut gates = self.waiting();
        if gates.is_empty() {
            return None;
        }
        let nth = nth % gates.len();
        let gate = gates.remove(nth);
        let _ = gate.open.send(verdict);
        Some(gate.what)
    }

    fn open_all(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        while self.pass(0, Verdict::Pass).is_some() {}
    }

    fn latest(&self) -> u64 {
        self.numbers.load(Ordering::SeqCst)
    }

    /// The first that has come since, if it is such a one.
    fn first_since(&self, number: u64, what: &str) -> Option<u64> {
        let gates = self.waiting();
        let first = gates.iter().find(|gate| gate.number >= number)?;
        first.what.starts_with(what).then_some(first.number)
    }

    fn is_waiting(&self, number: Option<u64>) -> bool {
        self.waiting().iter().any(|gate| Some(gate.number) == number)
    }

    fn is_message_under_way(&self, process: usize) -> bool {
        self.waiting().iter().any(|gate| gate.message_to == Some(process))
    }

    /// Lets all tasks go on until each waits for its turn.
    async fn settle(&self) {
        let mut quiet = 0;
        let mut happened = self.happened.load(Ordering::SeqCst);
        while quiet < 12 {
            tokio::task::yield_now().await;
            let now = self.happened.load(Ordering::SeqCst);
            quiet = if now == happened { quiet + 1 } else { 0 };
            happened = now;
        }
    }
}

/// The way of one process to the store.
#[derive(Debug, Clone)]
struct Stepped {
    process: usize,
    board: Arc<Board>,
}

impl Way for Stepped {
    async fn passed(&self, what: Leg) -> Result<(), Error> {
        let message_to = (what == Leg::Message).then_some(self.process);
        match self.board.passed(format!("{what:?} of {}", self.process), message_to).await {
            Verdict::Fail if what != Leg::Message => {
                Err(Error::new(ErrorKind::Unreachable, "as the test planned"))
            }
            _ => Ok(()),
        }
    }
}

/// What is true, and what is under way.
#[derive(Debug, Default)]
struct World {
    rows: [AtomicU64; ROWS],
    /// Whether the source failed to tell a row, or one that was asked for with it.
    has_failed: [AtomicBool; ROWS],
    board: Arc<Board>,
}

/// The id of a row, and how often it was written before it was read.
type Row = (usize, u64);

impl World {
    async fn read(&self, id: usize) -> Result<Row, Down> {
        let row = (id, self.rows[id].load(Ordering::SeqCst));
        current().tag(format!("said:{id}"));
        self.wait(id).await?;
        Ok(row)
    }

    async fn wait(&self, id: usize) -> Result<(), Down> {
        match self.board.passed(format!("the body of {id}"), None).await {
            Verdict::Pass => Ok(()),
            Verdict::Fail => {
                self.fail(&[id]);
                Err(Down("as the test planned".to_owned()))
            }
        }
    }

    fn fail(&self, ids: &[usize]) {
        ids.iter().for_each(|id| self.has_failed[*id].store(true, Ordering::SeqCst));
    }
}

#[derive(Clone)]
struct Call {
    cache: Cache,
    world: Arc<World>,
}

#[cached(ttl = "20ms", name = "model/row", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", refresh)]
async fn row(call: &Call, id: usize) -> Result<Row, Down> {
    call.world.read(id).await
}

#[cached(ttl = "20ms", name = "model/row", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", each = ids)]
async fn rows(call: &Call, ids: &[usize]) -> Result<HashMap<usize, Row>, Down> {
    let mut rows = HashMap::new();
    for id in ids {
        // It is a failure of all.
        let row = call.world.read(*id).await.inspect_err(|_| call.world.fail(ids))?;
        rows.insert(*id, row);
    }
    Ok(rows)
}

#[cached(ttl = "20ms", name = "model/through", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", tier = shared)]
async fn through(call: &Call, id: usize) -> Result<Row, Down> {
    call.world.read(id).await
}

/// What stays in its process.
#[cached(ttl = "20ms", name = "model/here", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", tier = local)]
async fn here(call: &Call, id: usize) -> Result<Row, Down> {
    call.world.read(id).await
}

/// Made of another cached value.
#[cached(ttl = "20ms", name = "model/page", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m")]
async fn page(call: &Call, id: usize, is_of_here: bool) -> Result<Row, Down> {
    let row = if is_of_here { here(call, id).await? } else { row(call, id).await? };
    call.world.wait(id).await?;
    current().tag(format!("said:{id}"));
    Ok(row)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Row,
    Rows,
    Through,
    Page,
    Here,
    PageOfHere,
    Refresh,
}

/// Entries that an invalidation may reach or not.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Of {
    Row,
    Through,
    Page,
    Here,
}

impl Of {
    const ALL: [Self; 4] = [Self::Row, Self::Through, Self::Page, Self::Here];
}

impl How {
    fn of(self) -> Of {
        match self {
            Self::Row | Self::Rows | Self::Refresh => Of::Row,
            Self::Through => Of::Through,
            Self::Page | Self::PageOfHere => Of::Page,
            Self::Here => Of::Here,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Key,
    Tag,
    TagOfValue,
    TagOfBody,
    Function,
    Everything,
    Put,
    KeySoftly,
    TagSoftly,
    TagOfValueSoftly,
}

impl By {
    fn reaches(self, of: Of) -> bool {
        match self {
            Self::Key | Self::KeySoftly | Self::Function | Self::Put => of == Of::Row,
            _ => true,
        }
    }

    /// Whether it moves an epoch.
    fn is_epoch(self) -> bool {
        !matches!(self, Self::Key | Self::KeySoftly | Self::Put)
    }

    fn is_soft(self) -> bool {
        matches!(self, Self::KeySoftly | Self::TagSoftly | Self::TagOfValueSoftly)
    }
}

#[derive(Clone, Copy)]
enum Step {
    Call { process: usize, how: How, id: usize },
    Write { process: usize, by: By, id: usize },
    Pass(usize),
    Fail(usize),
    GiveUp(usize),
    Wait,
    Gap,
}

/// A line each, of which a failure shows many.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { process, how, id } => write!(f, "{how:?} of {id} in {process}"),
            Self::Write { process, by, id } => write!(f, "write {id} in {process}, {by:?}"),
            Self::Pass(nth) => write!(f, "pass {nth}"),
            Self::Fail(nth) => write!(f, "fail {nth}"),
            Self::GiveUp(nth) => write!(f, "give up {nth}"),
            Self::Wait => f.write_str("wait"),
            Self::Gap => f.write_str("gap"),
        }
    }
}

/// The least that an answer may be: what was removed is never served again, what was made stale while the source tells.
#[derive(Debug, Clone, Copy, Default)]
struct Floor {
    hard: u64,
    any: u64,
}

impl Floor {
    fn max(self, other: Self) -> Self {
        Self { hard: self.hard.max(other.hard), any: self.any.max(other.any) }
    }

    fn rise(&mut self, by: By, written: u64) {
        self.any = self.any.max(written);
        if !by.is_soft() {
            self.hard = self.hard.max(written);
        }
    }
}

/// By process, what, and row.
type Floors = [[[Floor; ROWS]; Of::ALL.len()]; PROCESSES];

enum Job {
    Call {
        process: usize,
        how: How,
        id: usize,
        floor: [Floor; ROWS],
        task: JoinHandle<Result<Vec<Row>, Down>>,
    },
    /// With the first of what it asks.
    Write {
        process: usize,
        by: By,
        id: usize,
        written: u64,
        first: Option<u64>,
        task: JoinHandle<Result<(), Error>>,
    },
}

impl Job {
    fn is_finished(&self) -> bool {
        match self {
            Self::Call { task, .. } => task.is_finished(),
            Self::Write { task, .. } => task.is_finished(),
        }
    }
}

type Calling = Pin<Box<dyn Future<Output = Result<Vec<Row>, Down>> + Send>>;

fn calling(call: Call, how: How, id: usize) -> Calling {
    match how {
        How::Row => Box::pin(async move { Ok(vec![row(&call, id).await?]) }),
        How::Rows => Box::pin(async move {
            let ids: Vec<usize> = (0..ROWS).map(|n| (n + id) % ROWS).collect();
            Ok(rows(&call, &ids).await?.into_values().collect())
        }),
        How::Through => Box::pin(async move { Ok(vec![through(&call, id).await?]) }),
        How::Page => Box::pin(async move { Ok(vec![page(&call, id, false).await?]) }),
        How::PageOfHere => Box::pin(async move { Ok(vec![page(&call, id, true).await?]) }),
        How::Here => Box::pin(async move { Ok(vec![here(&call, id).await?]) }),
        How::Refresh => Box::pin(async move { Ok(vec![row_refresh(&call, id).await?]) }),
    }
}

async fn write(call: Call, by: By, id: usize, written: u64) -> Result<(), Error> {
    let entry = row_entry(&call, id);
    let cache = &call.cache;
    match by {
        By::Key => entry.invalidate().await,
        By::KeySoftly => entry.expire().await,
        By::Tag => cache.invalidate_tags([format!("row:{id}")]).await,
        By::TagSoftly => cache.expire_tags([format!("row:{id}")]).await,
        By::TagOfValue => cache.invalidate_tags([format!("late:{id}")]).await,
        By::TagOfValueSoftly => cache.expire_tags([format!("late:{id}")]).await,
        By::TagOfBody => cache.invalidate_tags([format!("said:{id}")]).await,
        By::Function => row_clear(&call).await,
        By::Everything => cache.clear().await,
        By::Put => entry.put(Ok((id, written))).await,
    }
}

struct Play {
    world: Arc<World>,
    store: MemoryStage,
    clock: ManualClock,
    caches: Vec<Cache>,
    floors: Floors,
    /// By row, for who asks the shared tier each time.
    read_through: [Floor; ROWS],
    /// What the other process has to hear of first.
    unheard: Vec<(usize, By, usize, u64)>,
    /// What counts there when all has come to its end.
    put_elsewhere: Vec<(usize, By, usize, u64)>,
    jobs: Vec<Job>,
    has_lost: bool,
    has_gaps: bool,
    waits: usize,
}

impl Play {
    /// With two processes that know nothing, or all epochs.
    async fn begin(knows: bool) -> Self {
        let world = Arc::new(World::default());
        let (store, clock) = (MemoryStage::new(), ManualClock::new());
        world.board.is_open.store(true, Ordering::SeqCst);
        let mut caches = Vec::new();
        for process in 0..PROCESSES {
            let way = Stepped { process, board: world.board.clone() };
            let builder = Cache::builder().prefix("app").seed(1).clock(clock.clock());
            caches.push(builder.shared(Distant::new(store.memory().clone(), way)).build().unwrap());
        }
        for cache in &caches {
            hears(cache).await;
        }
        // The first time an epoch may be too young for what bears it.
        for cache in caches.iter().cycle().take(if knows { 2 * PROCESSES } else { 0 }) {
            for how in [How::Row, How::Through, How::Page, How::Here, How::PageOfHere] {
                for id in 0..ROWS {
                    let call = Call { cache: cache.clone(), world: world.clone() };
                    calling(call, how, id).await.unwrap();
                }
            }
        }
        world.board.settle().await;
        world.board.is_open.store(false, Ordering::SeqCst);
        Self {
            world,
            store,
            clock,
            caches,
            floors: Floors::default(),
            read_through: Default::default(),
            unheard: Vec::new(),
            put_elsewhere: Vec::new(),
            jobs: Vec::new(),
            has_lost: false,
            has_gaps: false,
            waits: 0,
        }
    }

    fn call(&self, process: usize) -> Call {
        Call { cache: self.caches[process].clone(), world: self.world.clone() }
    }

    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Call { process, how, id } => {
                let floor = self.floor(process, how.of());
                let task = tokio::spawn(calling(self.call(process), how, id));
                self.jobs.push(Job::Call { process, how, id, floor, task });
            }
            Step::Write { process, by, id } if self.meets(process, by, id) => {}
            Step::Write { process, by, id } => {
                let written = self.world.rows[id].fetch_add(1, Ordering::SeqCst) + 1;
                let before = self.world.board.latest();
                let task = tokio::spawn(write(self.call(process), by, id, written));
                self.world.board.settle().await;
                let first = self.world.board.first_since(before, "Question(\"epochs\")");
                self.jobs.push(Job::Write { process, by, id, written, first, task });
            }
            Step::Pass(nth) => _ = self.world.board.pass(nth, Verdict::Pass),
            Step::Fail(nth) => {
                self.has_lost |= self.world.board.pass(nth, Verdict::Fail).is_some();
            }
            Step::GiveUp(nth) if !self.jobs.is_empty() => {
                match self.jobs.swap_remove(nth % self.jobs.len()) {
                    Job::Call { task, .. } => task.abort(),
                    Job::Write { task, .. } => task.abort(),
                }
            }
            Step::GiveUp(_) => {}
            Step::Wait if self.waits < WAITS => {
                self.waits += 1;
                self.pass(WAIT);
            }
            Step::Wait => {}
            Step::Gap => {
                self.has_gaps = true;
                self.store.memory().cut_bus();
            }
        }
        self.pass(Duration::from_micros(1));
        self.world.board.settle().await;
        self.ended().await
    }

    /// Whether this would be written while another process puts the row: where nobody has learned an epoch yet, either may come last.
    fn meets(&self, process: usize, by: By, id: usize) -> bool {
        let is_met = |job: &Job| match job {
            Job::Write { process: other, by: By::Put, id: of, first, .. } => {
                *other != process && *of == id && (!by.is_epoch() || self.world.board.is_waiting(*first))
            }
            Job::Write { process: other, by: other_by, id: of, .. } => {
                *other != process && *of == id && by == By::Put && !other_by.is_epoch()
            }
            Job::Call { .. } => false,
        };
        self.jobs.iter().any(is_met)
    }

    fn pass(&self, time: Duration) {
        self.store.pass(time);
        self.clock.advance(time);
    }

    /// Looks at what has come to its end.
    async fn ended(&mut self) -> Result<(), TestCaseError> {
        let (ended, under_way): (Vec<_>, Vec<_>) = self.jobs.drain(..).partition(Job::is_finished);
        self.jobs = under_way;
        for job in ended {
            match job {
                Job::Call { process, how, id, floor, task } => {
                    let Ok(rows) = task.await.unwrap() else { continue };
                    // Lost meanwhile: it was on its own.
                    let is_on_its_own = how.of() == Of::Through && self.has_lost;
                    for (of, written) in rows.iter().filter(|_| !is_on_its_own) {
                        self.allows(process, how, *of, *written, floor[*of])?;
                    }
                    if how == How::Refresh && !self.has_lost {
                        self.promise(process, By::Put, id, rows[0].1);
                    }
                }
                Job::Write { process, by, id, written, task, .. } => {
                    if task.await.unwrap().is_ok() {
                        self.promise(process, by, id, written);
                    }
                }
            }
        }
        let board = &self.world.board;
        let (heard, unheard): (Vec<_>, Vec<_>) =
            self.unheard.drain(..).partition(|(process, ..)| !board.is_message_under_way(*process));
        self.unheard = unheard;
        for (process, by, id, written) in heard {
            for of in Of::ALL.into_iter().filter(|of| by.reaches(*of)) {
                self.floors[process][of as usize][id].rise(by, written);
            }
        }
        Ok(())
    }

    /// The least that a call which begins now may answer with.
    fn floor(&self, process: usize, of: Of) -> [Floor; ROWS] {
        let floors = self.floors[process][of as usize];
        // Whom the shared tier does not answer, it does not tell.
        let is_told = of == Of::Through && !self.has_lost;
        std::array::from_fn(|id| if is_told { floors[id].max(self.read_through[id]) } else { floors[id] })
    }

    fn promise(&mut self, process: usize, by: By, id: usize, written: u64) {
        for other in (0..PROCESSES).filter(|other| *other != process) {
            // What is computed elsewhere meanwhile is joined there, until it ends.
            let later = if by == By::Put { &mut self.put_elsewhere } else { &mut self.unheard };
            later.push((other, by, id, written));
        }
        if by.reaches(Of::Through) {
            self.read_through[id].rise(by, written);
        }
        for of in Of::ALL.into_iter().filter(|of| by.reaches(*of)) {
            self.floors[process][of as usize][id].rise(by, written);
        }
    }

    fn allows(
        &self,
        process: usize,
        how: How,
        id: usize,
        written: u64,
        floor: Floor,
    ) -> Result<(), TestCaseError> {
        let has_failed = self.world.has_failed[id].load(Ordering::SeqCst);
        let least = match has_failed {
            false => floor.any,
            // What it had may stand in for a while: nobody has told which of it is outdated.
            true if self.has_gaps => 0,
            true => floor.hard,
        };
        prop_assert!(
            written >= least,
            "{how:?} of {id} in {process} is {written}, and was promised to be {floor:?}"
        );
        Ok(())
    }

    /// Lets time pass until `holds`, for a while: what was lost is noticed in time.
    async fn comes_about(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            self.world.board.settle().await;
            if holds(self) {
                break;
            }
            self.pass(Duration::from_millis(50));
        }
    }

    /// Lets all come to its end, and looks at what is left.
    async fn end(mut self) -> Result<(), TestCaseError> {
        self.world.board.open_all();
        self.comes_about(|play| play.jobs.iter().all(Job::is_finished)).await;
        self.ended().await?;
        self.unheard.append(&mut self.put_elsewhere);
        self.ended().await?;
        prop_assert!(self.jobs.is_empty(), "something hangs");
        prop_assert!(self.unheard.is_empty());

        let third =
            Cache::builder().prefix("app").clock(self.clock.clock()).shared(self.store.memory().clone());
        self.caches.push(third.build().unwrap());
        let mut floors = self.floors.to_vec();
        floors.push(std::array::from_fn(|of| {
            std::array::from_fn(|id| {
                self.floors.iter().map(|floors| floors[of][id]).fold(Floor::default(), Floor::max)
            })
        }));
        for (process, floors) in floors.iter().enumerate() {
            for how in [How::Row, How::Through, How::Page, How::Here, How::PageOfHere] {
                for (id, floor) in floors[how.of() as usize].iter().enumerate() {
                    let calling = tokio::spawn(calling(self.call(process), how, id));
                    self.comes_about(|_| calling.is_finished()).await;
                    prop_assert!(calling.is_finished(), "{how:?} of {id} hangs in {process}");
                    let answer = calling.await.unwrap().unwrap();
                    self.allows(process, how, id, answer[0].1, *floor)?;
                }
            }
        }
        self.world.board.settle().await;
        for cache in &self.caches {
            prop_assert_eq!(cache.computations_in_flight(), 0);
        }
        Ok(())
    }
}

fn step(puts: bool, fails: bool, gaps: bool) -> impl Strategy<Value = Step> {
    let process = 0..PROCESSES;
    let how = prop_oneof![
        3 => Just(How::Row),
        2 => Just(How::Rows),
        2 => Just(How::Through),
        2 => Just(How::Page),
        1 => Just(How::Here),
        1 => Just(How::PageOfHere),
        1 => Just(How::Refresh),
    ];
    let by = prop_oneof![
        Just(By::Key),
        Just(By::Tag),
        Just(By::TagOfValue),
        // What is put does not bear the tags that a body names.
        Just(if puts { By::Put } else { By::TagOfBody }),
        Just(By::Function),
        Just(By::Everything),
        Just(By::KeySoftly),
        Just(By::TagSoftly),
        Just(By::TagOfValueSoftly),
    ];
    prop_oneof![
        6 => (process.clone(), how, 0..ROWS).prop_map(|(process, how, id)| Step::Call { process, how, id }),
        3 => (process, by, 0..ROWS).prop_map(|(process, by, id)| Step::Write { process, by, id }),
        24 => (0..12_usize).prop_map(Step::Pass),
        1 => (0..12_usize).prop_map(move |nth| if fails { Step::Fail(nth) } else { Step::Pass(nth) }),
        1 => (0..8_usize).prop_map(Step::GiveUp),
        1 => Just(if gaps { Step::Gap } else { Step::Wait }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (any::<bool>(), any::<bool>(), any::<bool>())
        .prop_flat_map(|(puts, fails, gaps)| prop::collection::vec(step(puts, fails, gaps), 1..120))
}

/// Some that are always the same; as many others as are asked for.
fn config() -> ProptestConfig {
    let asked = std::env::var("LARDER_MODEL_CASES").ok().map(|cases| cases.parse().expect("a number"));
    ProptestConfig {
        cases: asked.unwrap_or(400),
        rng_seed: if asked.is_none() { RngSeed::Fixed(0) } else { RngSeed::Random },
        max_shrink_time: 120_000,
        max_shrink_iters: 100_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nobody_reads_what_was_invalidated_whatever_arrives_first(knows in any::<bool>(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::begin(knows).await;
            for step in steps {
                play.step(step).await?;
            }
            play.end().await
        })?;
    }
}

impl Play {
    /// Lets what is named go on, in that order.
    async fn go(&mut self, named: &[&str]) {
        for what in named {
            let nth = self.world.board.waiting().iter().position(|gate| gate.what == *what);
            let nth = nth.unwrap_or_else(|| panic!("{what} is not among {:?}", self.world.board));
            self.step(Step::Pass(nth)).await.unwrap();
        }
    }

    /// Lets a question of a process reach the store, and its answer come back.
    async fn answered(&mut self, what: &str, process: usize) {
        let legs = [format!("Question({what:?}) of {process}"), format!("Answer({what:?}) of {process}")];
        self.go(&legs.each_ref().map(String::as_str)).await;
    }

    /// Lets all go on but what is named.
    async fn go_on_without(&mut self, named: &[&str]) {
        let other =
            |board: &Board| board.waiting().iter().position(|gate| !named.contains(&gate.what.as_str()));
        while let Some(nth) = other(&self.world.board) {
            self.step(Step::Pass(nth)).await.unwrap();
        }
    }
}

/// Found by the above: the lease was granted after the invalidation, and the message came after the lease.
#[tokio::test]
async fn a_put_is_outdated_by_what_is_heard_of_after_its_lease() {
    let mut play = Play::begin(true).await;
    play.step(Step::Write { process: 1, by: By::Put, id: 0 }).await.unwrap();
    play.step(Step::Write { process: 0, by: By::TagOfValue, id: 0 }).await.unwrap();

    play.answered("invalidate_many", 0).await;
    play.answered("lease", 1).await;
    play.go(&["Message of 1"]).await;

    play.end().await.unwrap();
}

/// Likewise: the put has learned the epoch that is the new one already.
#[tokio::test]
async fn so_it_is_by_what_this_process_is_about_to_make_stale() {
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 0, by: By::Put, id: 0 }).await.unwrap();
    play.step(Step::Write { process: 0, by: By::TagOfValueSoftly, id: 0 }).await.unwrap();

    play.go(&["Question(\"invalidate_many\") of 0"]).await;
    play.go_on_without(&["Answer(\"invalidate_many\") of 0", "Message of 0"]).await;

    play.end().await.unwrap();
}

/// A page is made of what a computation from before came to: the shared tier alone knows that this is outdated.
#[tokio::test]
async fn so_is_what_is_made_of_the_answer_to_an_earlier_call() {
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 1, by: By::TagOfBody, id: 0 }).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.go_on_without(&["the body of 0"]).await;
    play.step(Step::Write { process: 1, by: By::TagOfValue, id: 0 }).await.unwrap();
    play.go_on_without(&["the body of 0", "Message of 0"]).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go_on_without(&["the body of 0", "Message of 0"]).await;

    play.go_on_without(&["Message of 0"]).await;

    play.end().await.unwrap();
}

/// Or of an entry here, while this process is about to make it stale.
#[tokio::test]
async fn so_is_what_is_made_of_an_entry_that_is_made_stale_meanwhile() {
    let mut play = Play::begin(true).await;
    play.step(Step::Wait).await.unwrap();
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Write { process: 0, by: By::TagOfValueSoftly, id: 0 }).await.unwrap();
    let answer = ["Answer(\"invalidate_many\") of 0", "Message of 0"];
    play.go(&["Question(\"invalidate_many\") of 0"]).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go_on_without(&[answer[0], answer[1], "Question(\"epochs\") of 0"]).await;

    play.go(&answer).await;

    play.end().await.unwrap();
}

/// Or of an entry here that was computed without a lease: the epoch was learned meanwhile, by another call.
#[tokio::test]
async fn so_is_what_is_made_of_an_entry_that_the_shared_tier_was_not_asked_about() {
    const BODY: &str = "the body of 0";
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 1, by: By::TagOfBody, id: 0 }).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.answered("read", 0).await;
    play.step(Step::Fail(0)).await.unwrap();
    play.step(Step::Write { process: 1, by: By::TagOfValue, id: 0 }).await.unwrap();
    play.go_on_without(&[BODY, "Message of 0"]).await;

    // The other call asks, and knows all from then on.
    play.step(Step::Call { process: 0, how: How::Through, id: 0 }).await.unwrap();
    play.go_on_without(&[BODY, "Message of 0"]).await;
    let latest = play.world.board.waiting().iter().rposition(|gate| gate.what == BODY);
    play.step(Step::Pass(latest.unwrap())).await.unwrap();
    play.go_on_without(&[BODY, "Message of 0", "Question(\"fill\") of 0"]).await;
    play.go(&[BODY]).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go_on_without(&["Message of 0"]).await;

    play.end().await.unwrap();
}

/// Or what is put while the bus is broken: what was learned before a gap is forgotten, and the message was lost.
#[tokio::test]
async fn so_is_a_put_by_what_a_gap_has_swallowed() {
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 1, by: By::Put, id: 0 }).await.unwrap();
    play.step(Step::Gap).await.unwrap();
    play.go(&["Message of 1"]).await;
    play.step(Step::Call { process: 1, how: How::Through, id: 0 }).await.unwrap();
    play.answered("read", 1).await;
    play.answered("epochs", 1).await;
    play.step(Step::Write { process: 0, by: By::Tag, id: 0 }).await.unwrap();
    play.answered("invalidate_many", 0).await;

    play.end().await.unwrap();
}
