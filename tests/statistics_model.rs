//! Random operations beside a small model of the cache: the statistics, the values and who computes are the
//! model's after each step, and hits + stale + misses + joined are the calls made.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use larder::{FunctionStats, cached};
use proptest::prelude::*;
use support::{Stage, Task};
use tokio::sync::oneshot;

const TTL: u64 = 60;
const KEYS: u8 = 3;

/// Where computations wait for what the test decides.
#[derive(Default)]
struct Desk {
    /// By the number of the computation.
    verdicts: RefCell<BTreeMap<u64, oneshot::Sender<Verdict>>>,
    begun: RefCell<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Value,
    Error,
    Panic,
}

#[cached(ttl = 60, tags = ["all", "key:{key}"], skip(desk))]
async fn ask(desk: &Desk, key: u8) -> Result<u64, u64> {
    let _ = key;
    let number = desk.begun.replace_with(|begun| *begun + 1);
    let (sender, verdict) = oneshot::channel();
    desk.verdicts.borrow_mut().insert(number, sender);
    match verdict.await.expect("the desk decides") {
        Verdict::Value => Ok(number),
        Verdict::Error => Err(number),
        Verdict::Panic => panic!("on purpose"),
    }
}

#[derive(Debug, Clone)]
enum Op {
    Call(u8),
    Refresh(u8),
    /// Ends the n-th of the computations that run.
    Decide(usize, Verdict),
    /// Drops the n-th of the callers that wait.
    Cancel(usize),
    Put(u8),
    Invalidate(u8),
    Expire(u8),
    InvalidateTag(u8),
    ExpireTag(u8),
    InvalidateFunction,
    ExpireFunction,
    Clear,
    Advance(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    prop_oneof![
        10 => key().prop_map(Op::Call),
        2 => key().prop_map(Op::Refresh),
        6 => (any::<usize>(), prop_oneof![6 => Just(Verdict::Value), 2 => Just(Verdict::Error), 1 => Just(Verdict::Panic)])
            .prop_map(|(which, verdict)| Op::Decide(which, verdict)),
        2 => any::<usize>().prop_map(Op::Cancel),
        1 => key().prop_map(Op::Put),
        1 => key().prop_map(Op::Invalidate),
        1 => key().prop_map(Op::Expire),
        1 => key().prop_map(Op::InvalidateTag),
        1 => key().prop_map(Op::ExpireTag),
        1 => Just(Op::InvalidateFunction),
        1 => Just(Op::ExpireFunction),
        1 => Just(Op::Clear),
        2 => (1..2 * TTL).prop_map(Op::Advance),
    ]
}

/// What is stored of a key, as the model sees it.
#[derive(Debug, Clone, Copy)]
struct Stored {
    value: u64,
    until: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Current,
    Expired,
    Invalidated,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    key: u8,
    /// Nothing it bears was invalidated since.
    is_current: bool,
}

/// A caller that waits: for its own computation, or for that of another.
#[derive(Debug, Clone, Copy)]
enum Role {
    Leads(u64),
    Follows(u64),
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    stored: BTreeMap<u8, Stored>,
    /// By the number of the computation.
    flights: BTreeMap<u64, Flight>,
    /// Which of them is joined.
    table: BTreeMap<u8, u64>,
    next: u64,
    calls: u64,
    hits: u64,
    absent: u64,
    expired: u64,
    invalidated: u64,
    joined: u64,
    errors: u64,
    abandoned: u64,
    fills: u64,
    refused: u64,
}

enum Told {
    Answer(u64),
    Waits(Role),
}

impl Model {
    fn fresh(&self, key: u8) -> Option<u64> {
        let stored = self.stored.get(&key)?;
        (stored.state == State::Current && self.now < stored.until).then_some(stored.value)
    }

    fn call(&mut self, key: u8) -> Told {
        self.calls += 1;
        if let Some(value) = self.fresh(key) {
            self.hits += 1;
            return Told::Answer(value);
        }
        let told = self.join(key);
        match (&told, self.stored.get(&key).map(|stored| stored.state)) {
            (Told::Waits(Role::Follows(_)), _) => self.joined += 1,
            (_, None) => self.absent += 1,
            (_, Some(State::Invalidated)) => self.invalidated += 1,
            (_, Some(_)) => self.expired += 1,
        }
        told
    }

    /// Joins the flight of `key`, finds what is stored, or leads.
    fn join(&mut self, key: u8) -> Told {
        if let Some(number) = self.table.get(&key)
            && self.flights[number].is_current
        {
            return Told::Waits(Role::Follows(*number));
        }
        match self.fresh(key) {
            Some(value) => Told::Answer(value),
            None => Told::Waits(Role::Leads(self.lead(key))),
        }
    }

    fn lead(&mut self, key: u8) -> u64 {
        let number = self.next;
        self.next += 1;
        self.flights.insert(number, Flight { key, is_current: true });
        self.table.insert(key, number);
        number
    }

    fn land(&mut self, number: u64, verdict: Verdict) {
        let flight = self.flights.remove(&number).expect("it flies");
        let is_attached = self.table.get(&flight.key) == Some(&number);
        if is_attached {
            self.table.remove(&flight.key);
        }
        match verdict {
            Verdict::Panic => self.abandoned += 1,
            Verdict::Error => self.errors += 1,
            Verdict::Value if is_attached && flight.is_current => self.store(flight.key, number),
            Verdict::Value => self.refused += 1,
        }
    }

    fn store(&mut self, key: u8, value: u64) {
        self.fills += 1;
        self.stored.insert(key, Stored { value, until: self.now + TTL, state: State::Current });
    }

    /// An epoch moves.
    fn outdate(&mut self, which: impl Fn(u8) -> bool, state: State) {
        for (_, stored) in self.stored.iter_mut().filter(|(key, _)| which(**key)) {
            stored.state = stored.state.max(state);
        }
        for flight in self.flights.values_mut().filter(|flight| which(flight.key)) {
            flight.is_current = false;
        }
    }

    fn advance(&mut self, secs: u64) {
        self.now += secs;
        let now = self.now;
        self.stored.retain(|_, stored| stored.state == State::Current && now < stored.until);
    }

    fn check(&self, stats: &FunctionStats) {
        let told =
            [stats.hits, stats.misses.absent, stats.misses.expired, stats.misses.invalidated, stats.joined];
        assert_eq!(told, [self.hits, self.absent, self.expired, self.invalidated, self.joined]);
        assert_eq!(stats.hits + stats.stale + stats.misses.total() + stats.joined, self.calls);
        let told = [stats.computations, stats.errors, stats.abandoned, stats.fills, stats.refused_fills];
        assert_eq!(told, [self.next, self.errors, self.abandoned, self.fills, self.refused]);
    }
}

type Caller<'w> = (u8, Role, Task<'w, Result<u64, u64>>);

/// The cache and the model, side by side.
struct World<'w> {
    stage: &'w Stage,
    desk: &'w Desk,
    model: Model,
    waiting: Vec<Caller<'w>>,
}

impl World<'_> {
    fn begin(&mut self, key: u8, is_refresh: bool) {
        let (stage, desk) = (self.stage, self.desk);
        let mut task = match is_refresh {
            true => Task::new(stage.cache.scope(async move { ask_refresh(desk, key).await })),
            false => Task::new(stage.cache.scope(async move { ask(desk, key).await })),
        };
        let told = match is_refresh {
            true => Told::Waits(Role::Leads(self.model.lead(key))),
            false => self.model.call(key),
        };
        match (task.poll(), told) {
            (Poll::Ready(answer), Told::Answer(value)) => assert_eq!(answer, Ok(value)),
            (Poll::Pending, Told::Waits(role)) => self.waiting.push((key, role, task)),
            (Poll::Ready(answer), Told::Waits(role)) => panic!("answered {answer:?}, the model: {role:?}"),
            (Poll::Pending, Told::Answer(value)) => panic!("waits, the model has {value}"),
        }
    }

    /// Ends a computation, and polls those who hear of it in the order in which they came.
    fn decide(&mut self, number: u64, verdict: Verdict) {
        let sender = self.desk.verdicts.borrow_mut().remove(&number).expect("it runs");
        sender.send(verdict).expect("it waits");
        let leader =
            self.waiting.iter().position(|(_, role, _)| matches!(role, Role::Leads(led) if *led == number));
        let (_, _, mut task) = self.waiting.remove(leader.expect("it has a leader"));
        self.model.land(number, verdict);
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.poll()));
        match (verdict, polled) {
            (Verdict::Panic, Err(_)) => {}
            (Verdict::Value, Ok(Poll::Ready(answer))) => assert_eq!(answer, Ok(number)),
            (Verdict::Error, Ok(Poll::Ready(answer))) => assert_eq!(answer, Err(number)),
            (_, polled) => panic!("{verdict:?} ended as {polled:?}"),
        }
        drop(task);
        match verdict {
            Verdict::Value => self.settle(number, Some(Ok(number))),
            Verdict::Error => self.settle(number, Some(Err(number))),
            Verdict::Panic => self.settle(number, None),
        }
    }

    /// Polls the followers of `number`: they have its landing, or start over.
    fn settle(&mut self, number: u64, landing: Option<Result<u64, u64>>) {
        for (key, role, mut task) in std::mem::take(&mut self.waiting) {
            if !matches!(role, Role::Follows(followed) if followed == number) {
                self.waiting.push((key, role, task));
                continue;
            }
            assert!(task.is_woken(), "a follower of {number} sleeps on");
            let told = match landing {
                Some(landing) => Err(landing),
                None => Ok(self.model.join(key)),
            };
            match (told, task.poll()) {
                (Err(landing), Poll::Ready(answer)) => assert_eq!(answer, landing),
                (Ok(Told::Answer(value)), Poll::Ready(answer)) => assert_eq!(answer, Ok(value)),
                (Ok(Told::Waits(role)), Poll::Pending) => self.waiting.push((key, role, task)),
                (_, polled) => panic!("a follower of {number} came to {polled:?}"),
            }
        }
    }

    fn cancel(&mut self, which: usize) {
        let (_, role, task) = self.waiting.remove(which);
        drop(task);
        if let Role::Leads(number) = role {
            self.desk.verdicts.borrow_mut().remove(&number);
            self.model.land(number, Verdict::Panic);
            self.settle(number, None);
        }
    }

    fn advance(&mut self, secs: u64) {
        self.stage.clock.advance(Duration::from_secs(secs));
        self.model.advance(secs);
        for (_, _, task) in &mut self.waiting {
            assert!(task.waits(), "time alone ends no wait for a leader that lives");
        }
    }

    fn act(&mut self, op: &Op) {
        let stage = self.stage;
        let cache = &stage.cache;
        match *op {
            Op::Call(key) => self.begin(key, false),
            Op::Refresh(key) => self.begin(key, true),
            Op::Decide(which, verdict) => {
                let running: Vec<u64> = self.model.flights.keys().copied().collect();
                if !running.is_empty() {
                    self.decide(running[which % running.len()], verdict);
                }
            }
            Op::Cancel(which) => {
                if !self.waiting.is_empty() {
                    self.cancel(which % self.waiting.len());
                }
            }
            Op::Put(key) => {
                stage.run(async { ask_entry(key).put(Ok(1_000)).await }).expect("put");
                self.model.table.remove(&key);
                self.model.store(key, 1_000);
            }
            Op::Invalidate(key) => {
                stage.run(async { ask_entry(key).invalidate().await }).expect("in process it cannot fail");
                self.model.table.remove(&key);
                self.model.stored.remove(&key);
            }
            Op::Expire(key) => {
                stage.run(async { ask_entry(key).expire().await }).expect("in process it cannot fail");
                self.model.table.remove(&key);
                if let Some(stored) = self.model.stored.get_mut(&key) {
                    stored.state = stored.state.max(State::Expired);
                }
            }
            Op::InvalidateTag(key) => {
                stage.run(cache.invalidate_tags([format!("key:{key}")])).expect("in process it cannot fail");
                self.model.outdate(|of| of == key, State::Invalidated);
            }
            Op::ExpireTag(key) => {
                stage.run(cache.expire_tags([format!("key:{key}")])).expect("in process it cannot fail");
                self.model.outdate(|of| of == key, State::Expired);
            }
            Op::InvalidateFunction => {
                stage.run(cache.invalidate_function("ask")).expect("in process it cannot fail");
                self.model.outdate(|_| true, State::Invalidated);
            }
            Op::ExpireFunction => {
                stage.run(cache.expire_function("ask")).expect("in process it cannot fail");
                self.model.outdate(|_| true, State::Expired);
            }
            Op::Clear => {
                stage.run(cache.clear()).expect("in process it cannot fail");
                self.model.outdate(|_| true, State::Invalidated);
                self.model.stored.clear();
            }
            Op::Advance(secs) => self.advance(secs),
        }
    }
}

fn run(ops: &[Op]) {
    let (stage, desk) = (Stage::new(), Desk::default());
    let mut world = World { stage: &stage, desk: &desk, model: Model::default(), waiting: Vec::new() };
    for op in ops {
        world.act(op);
        if let Some(stats) = stage.cache.stats().function("ask") {
            world.model.check(stats);
        }
        assert_eq!(stage.cache.computations_in_flight(), world.model.table.len());
    }
    while !world.waiting.is_empty() {
        world.cancel(0);
    }
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_statistics_are_those_of_the_model(ops in prop::collection::vec(op(), 1..80)) {
        std::panic::set_hook(Box::new(|info| {
            if info.payload_as_str() != Some("on purpose") {
                #[allow(clippy::print_stderr, reason = "a failure is shown")]
                { eprintln!("{info}"); }
            }
        }));
        run(&ops);
    }
}
