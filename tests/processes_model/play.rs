//! A play of steps, and what is promised after each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cache_core::testing::{ManualClock, MemoryStage};
use larder::{Cache, Error};
use proptest::prelude::*;
use tokio::task::JoinHandle;

use crate::board::{Stepped, Verdict};
use crate::support::distant::Distant;
use crate::support::processes::hears;
use crate::support::source::Down;
use crate::world::{By, Call, How, Of, ROWS, Row, World, calling, write};

pub const PROCESSES: usize = 2;
/// All waits of a case together stay below the time that the shared tier is given to answer.
pub const WAITS: usize = 4;
pub const WAIT: Duration = Duration::from_millis(21);

#[derive(Clone, Copy)]
pub enum Step {
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
pub struct Floor {
    pub hard: u64,
    pub any: u64,
}

impl Floor {
    pub fn max(self, other: Self) -> Self {
        Self { hard: self.hard.max(other.hard), any: self.any.max(other.any) }
    }

    pub fn rise(&mut self, by: By, written: u64) {
        self.any = self.any.max(written);
        if !by.is_soft() {
            self.hard = self.hard.max(written);
        }
    }
}

/// By process, what, and row.
pub type Floors = [[[Floor; ROWS]; Of::ALL.len()]; PROCESSES];

pub enum Job {
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
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Call { task, .. } => task.is_finished(),
            Self::Write { task, .. } => task.is_finished(),
        }
    }
}

pub struct Play {
    pub world: Arc<World>,
    pub store: MemoryStage,
    pub clock: ManualClock,
    pub caches: Vec<Cache>,
    pub floors: Floors,
    /// By row, for who asks the shared tier each time.
    pub read_through: [Floor; ROWS],
    /// What the other process has to hear of first.
    pub unheard: Vec<(usize, By, usize, u64)>,
    /// What counts there when all has come to its end.
    pub put_elsewhere: Vec<(usize, By, usize, u64)>,
    pub jobs: Vec<Job>,
    pub has_lost: bool,
    pub has_gaps: bool,
    pub waits: usize,
}

impl Play {
    /// With two processes that know nothing, or all epochs.
    pub async fn begin(knows: bool) -> Self {
        let world = Arc::new(World::default());
        let (store, clock) = (MemoryStage::new(), ManualClock::new());
        world.board.open_all();
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
        world.board.close();
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

    pub fn call(&self, process: usize) -> Call {
        Call { cache: self.caches[process].clone(), world: self.world.clone() }
    }

    pub async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Call { process, how, id } => {
                let floor = self.floor(process, how.of());
                let task = tokio::spawn(calling(self.call(process), how, id));
                self.jobs.push(Job::Call { process, how, id, floor, task });
            }
            Step::Write { process, by, id } if self.meets(process, by, id) => {}
            Step::Write { process, by, id } => {
                let written = self.world.rows[id].fetch_add(1, Ordering::SeqCst) + 1;
                let before = self.world.board.next_number();
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
    pub fn meets(&self, process: usize, by: By, id: usize) -> bool {
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

    pub fn pass(&self, time: Duration) {
        self.store.pass(time);
        self.clock.advance(time);
    }

    /// Looks at what has come to its end.
    pub async fn ended(&mut self) -> Result<(), TestCaseError> {
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
    pub fn floor(&self, process: usize, of: Of) -> [Floor; ROWS] {
        let floors = self.floors[process][of as usize];
        // Whom the shared tier does not answer, it does not tell.
        let is_told = of == Of::Through && !self.has_lost;
        std::array::from_fn(|id| if is_told { floors[id].max(self.read_through[id]) } else { floors[id] })
    }

    pub fn promise(&mut self, process: usize, by: By, id: usize, written: u64) {
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

    pub fn allows(
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
    pub async fn comes_about(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            self.world.board.settle().await;
            if holds(self) {
                break;
            }
            self.pass(Duration::from_millis(50));
        }
    }

    /// Lets all come to its end, and looks at what is left.
    pub async fn end(mut self) -> Result<(), TestCaseError> {
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
