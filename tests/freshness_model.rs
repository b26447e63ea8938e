//! Random calls, failures, invalidations and times against a small model of what freshness promises.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::cached;
use proptest::prelude::*;
use support::source::{Down, Scene};

const TTL: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(600);
/// After a failure, at the latest then, it is tried again.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Each answer is another number, so that the test knows when it was computed.
#[derive(Clone, Default)]
struct Numbers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    asked: AtomicU64,
    is_down: AtomicBool,
    /// The step at which each attempt began, and whether it failed.
    attempts: Mutex<Vec<Attempt>>,
    step: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    number: u64,
    step: u64,
    has_failed: bool,
}

impl Numbers {
    async fn next(&self) -> Result<u64, Down> {
        let number = self.0.asked.fetch_add(1, Ordering::SeqCst);
        let (step, has_failed) = (self.0.step.load(Ordering::SeqCst), self.0.is_down.load(Ordering::SeqCst));
        self.0.attempts.lock().unwrap().push(Attempt { number, step, has_failed });
        tokio::task::yield_now().await;
        if has_failed { Err(Down("down".into())) } else { Ok(number) }
    }
}

#[cached(ttl = 60, tags = ["numbers"], skip(numbers), grace = "10m", refresh)]
async fn number(numbers: &Numbers, id: u64) -> Result<u64, Down> {
    let _ = id;
    numbers.next().await
}

#[derive(Debug, Clone)]
enum Step {
    Call,
    Advance(Duration),
    SetDown(bool),
    Invalidate(Hard),
    Expire,
}

#[derive(Debug, Clone, Copy)]
enum Hard {
    Entry,
    Tag,
    Function,
    Everything,
}

fn step() -> impl Strategy<Value = Step> {
    // Around the boundaries, and anywhere.
    let time = prop_oneof![
        3 => 1..2_000_u64,
        2 => Just(48_000),
        1 => Just(59_999),
        1 => Just(60_000),
        1 => 0..700_000_u64,
    ];
    let hard = prop_oneof![Just(Hard::Entry), Just(Hard::Tag), Just(Hard::Function), Just(Hard::Everything)];
    prop_oneof![
        8 => Just(Step::Call),
        6 => time.prop_map(|millis| Step::Advance(Duration::from_millis(millis))),
        2 => any::<bool>().prop_map(Step::SetDown),
        1 => hard.prop_map(Step::Invalidate),
        1 => Just(Step::Expire),
    ]
}

/// What is stored, as the model sees it.
#[derive(Debug, Clone, Copy)]
struct Stored {
    number: u64,
    created: Duration,
    /// When it was made stale, if it was.
    expired: Option<Duration>,
}

impl Stored {
    fn is_fresh(&self, now: Duration) -> bool {
        self.expired.is_none() && now < self.created + TTL
    }

    fn may_stand_in(&self, now: Duration) -> bool {
        let by_time = self.created + TTL + GRACE;
        now < self.expired.map_or(by_time, |expired| by_time.min(expired + GRACE))
    }
}

#[derive(Default)]
struct Model {
    now: Duration,
    stored: Option<Stored>,
    /// Attempts that the model knows of.
    seen: usize,
    /// When the last attempt failed.
    failed: Option<Duration>,
    began: HashMap<u64, u64>,
}

impl Model {
    /// Takes in what was tried since; attempts end at once here.
    fn learn(&mut self, numbers: &Numbers) -> Vec<Attempt> {
        let attempts = numbers.0.attempts.lock().unwrap()[self.seen..].to_vec();
        self.seen += attempts.len();
        for attempt in &attempts {
            self.began.insert(attempt.number, attempt.step);
            if attempt.has_failed {
                self.failed = Some(self.now);
            } else {
                self.failed = None;
                self.stored = Some(Stored { number: attempt.number, created: self.now, expired: None });
            }
        }
        attempts
    }

    fn may_rest(&self) -> bool {
        self.failed.is_some_and(|failed| self.now < failed + LONGEST_REST)
    }
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (scene, numbers, mut model) = (Scene::new(), Numbers::default(), Model::default());
    let (mut calls, mut invalidated_at) = (0_u64, 0_u64);
    for (index, step) in steps.into_iter().enumerate() {
        let at = index as u64 + 1;
        numbers.0.step.store(at, Ordering::SeqCst);
        match step {
            Step::Advance(time) => {
                scene.clock.advance(time);
                model.now += time;
            }
            Step::SetDown(is_down) => numbers.0.is_down.store(is_down, Ordering::SeqCst),
            Step::Invalidate(hard) => {
                match hard {
                    Hard::Entry => {
                        scene.cache.scope(async { number_entry(1).invalidate().await }).await.unwrap()
                    }
                    Hard::Tag => scene.cache.invalidate_tags(["numbers"]).await.unwrap(),
                    Hard::Function => {
                        scene
                            .cache
                            .scope(async { number_entry(1).invalidate_function().await })
                            .await
                            .unwrap();
                    }
                    Hard::Everything => scene.cache.clear().await.unwrap(),
                }
                (invalidated_at, model.stored) = (at, None);
            }
            Step::Expire => {
                scene.cache.scope(async { number_entry(1).expire().await }).await.unwrap();
                let now = model.now;
                model.stored.iter_mut().for_each(|stored| _ = stored.expired.get_or_insert(now));
            }
            Step::Call => {
                calls += 1;
                let (before, is_down) = (model.stored, numbers.0.is_down.load(Ordering::SeqCst));
                let rested = model.may_rest();
                let answer = scene.cache.scope(number(&numbers, 1)).await;
                let during = model.learn(&numbers);

                match (&answer, before) {
                    (Ok(told), Some(stored)) if *told == stored.number => {
                        prop_assert!(stored.may_stand_in(model.now), "{stored:?} at {:?}", model.now);
                        let tried_in_vain = during.iter().any(|attempt| attempt.has_failed) || rested;
                        prop_assert!(stored.is_fresh(model.now) || tried_in_vain, "stale without need");
                        prop_assert!(
                            !stored.is_fresh(model.now) || during.is_empty(),
                            "a hit waits for nobody"
                        );
                    }
                    (Ok(told), _) => {
                        prop_assert!(during.iter().any(|attempt| attempt.number == *told), "from nowhere");
                        let was_fresh = before.is_some_and(|stored| stored.is_fresh(model.now));
                        prop_assert!(!was_fresh, "a fresh value was there");
                    }
                    (Err(_), before) => {
                        prop_assert!(is_down);
                        let stands_in = before.is_some_and(|stored| stored.may_stand_in(model.now));
                        prop_assert!(!stands_in, "{before:?} could have stood in");
                    }
                }
                if let Ok(told) = answer {
                    let began = model.began[&told];
                    prop_assert!(
                        began > invalidated_at,
                        "computed at step {began}, invalidated at {invalidated_at}"
                    );
                }
            }
        }
        // A refresh in the background comes to its end here.
        scene.settle().await;
        model.learn(&numbers);
    }
    let stats = scene.cache.stats();
    prop_assert_eq!(stats.calls(), calls);
    prop_assert_eq!(scene.cache.computations_in_flight(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_one_that_freshness_allows(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}
