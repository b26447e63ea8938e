//! Random operations of the direct verbs beside a map that says what each must answer.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_core::testing::ManualClock;
use cache_core::{Cache, Key, Local, Options};
use proptest::prelude::*;

const KEYS: u8 = 4;
const TAGS: u8 = 3;

#[derive(Debug, Clone)]
enum Op {
    /// With this ttl in seconds and these tags, where it computes.
    Compute(u8, u64, BTreeSet<u8>),
    TryCompute(u8, bool),
    Get(u8),
    /// As another type than the one stored.
    GetText(u8),
    Put(u8, u64, BTreeSet<u8>),
    Invalidate(u8),
    Expire(u8),
    InvalidateTags(BTreeSet<u8>),
    ExpireTags(BTreeSet<u8>),
    InvalidateFunction,
    ExpireFunction,
    Clear,
    Sweep,
    /// In tenths of a second.
    Advance(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (key, ttl) = (|| 0..KEYS, || prop_oneof![8 => 1..30_u64, 1 => Just(0)]);
    let tags = || prop::collection::btree_set(0..TAGS, 0..=3);
    prop_oneof![
        8 => (key(), ttl(), tags()).prop_map(|(key, ttl, tags)| Op::Compute(key, ttl, tags)),
        2 => (key(), any::<bool>()).prop_map(|(key, fails)| Op::TryCompute(key, fails)),
        6 => key().prop_map(Op::Get),
        1 => key().prop_map(Op::GetText),
        3 => (key(), ttl(), tags()).prop_map(|(key, ttl, tags)| Op::Put(key, ttl, tags)),
        1 => key().prop_map(Op::Invalidate),
        1 => key().prop_map(Op::Expire),
        2 => tags().prop_map(Op::InvalidateTags),
        2 => tags().prop_map(Op::ExpireTags),
        1 => Just(Op::InvalidateFunction),
        1 => Just(Op::ExpireFunction),
        1 => Just(Op::Clear),
        1 => Just(Op::Sweep),
        4 => (1..200_u64).prop_map(Op::Advance),
    ]
}

#[derive(Debug)]
struct Stored {
    value: u64,
    until: u64,
    tags: BTreeSet<u8>,
}

/// What can be served, by key; the rest is gone as far as a caller can tell.
#[derive(Debug, Default)]
struct Model {
    /// In tenths of a second.
    now: u64,
    stored: BTreeMap<u8, Stored>,
    next: u64,
}

impl Model {
    fn get(&self, key: u8) -> Option<u64> {
        self.stored.get(&key).filter(|stored| self.now < stored.until).map(|stored| stored.value)
    }

    fn put(&mut self, key: u8, ttl: u64, tags: &BTreeSet<u8>) {
        let stored = Stored { value: self.next, until: self.now + ttl * 10, tags: tags.clone() };
        self.stored.insert(key, stored);
    }

    fn drop_tagged(&mut self, tags: &BTreeSet<u8>) {
        self.stored.retain(|_, stored| stored.tags.is_disjoint(tags));
    }
}

/// In process nothing waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn names(tags: &BTreeSet<u8>) -> Vec<String> {
    tags.iter().map(|tag| format!("tag:{tag}")).collect()
}

fn options(ttl: u64, tags: &BTreeSet<u8>) -> Options {
    Options::ttl(Duration::from_secs(ttl)).tags(names(tags))
}

fn run(ops: &[Op]) {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(clock.clock()).local(Local::bytes(1 << 20)).build().unwrap();
    let key = |key: u8| Key::of("model", key).unwrap();
    let mut model = Model::default();
    for op in ops {
        model.next += 1;
        let new = model.next;
        match op {
            Op::Compute(id, ttl, tags) => {
                let told = now(cache.get_or_compute(&key(*id), &options(*ttl, tags), async || new));
                match model.get(*id) {
                    Some(value) if *ttl > 0 => assert_eq!(told, value),
                    _ if *ttl > 0 => {
                        assert_eq!(told, new);
                        model.put(*id, *ttl, tags);
                    }
                    // Past the cache.
                    _ => assert_eq!(told, new),
                }
            }
            Op::TryCompute(id, fails) => {
                let compute = async || if *fails { Err(new) } else { Ok(new) };
                let told = now(cache.try_get_or_compute(&key(*id), &options(5, &BTreeSet::new()), compute));
                match model.get(*id) {
                    Some(value) => assert_eq!(told, Ok(value)),
                    None if *fails => assert_eq!(told, Err(new)),
                    None => {
                        assert_eq!(told, Ok(new));
                        model.put(*id, 5, &BTreeSet::new());
                    }
                }
            }
            Op::Get(id) => assert_eq!(
                now(cache.get::<u64>(&key(*id), &options(5, &BTreeSet::new()))).unwrap(),
                model.get(*id)
            ),
            Op::GetText(id) => {
                assert_eq!(now(cache.get::<String>(&key(*id), &options(5, &BTreeSet::new()))).unwrap(), None)
            }
            Op::Put(id, ttl, tags) => {
                now(cache.put(&key(*id), new, &options(*ttl, tags))).unwrap();
                model.put(*id, *ttl, tags);
            }
            Op::Invalidate(id) => {
                now(cache.invalidate(&key(*id))).unwrap();
                model.stored.remove(id);
            }
            Op::Expire(id) => {
                now(cache.expire(&key(*id))).unwrap();
                model.stored.remove(id);
            }
            Op::InvalidateTags(tags) => {
                now(cache.invalidate_tags(names(tags))).unwrap();
                model.drop_tagged(tags);
            }
            Op::ExpireTags(tags) => {
                now(cache.expire_tags(names(tags))).unwrap();
                model.drop_tagged(tags);
            }
            Op::InvalidateFunction => {
                now(cache.invalidate_function("model")).unwrap();
                model.stored.clear();
            }
            Op::ExpireFunction => {
                now(cache.expire_function("model")).unwrap();
                model.stored.clear();
            }
            Op::Clear => {
                now(cache.clear()).unwrap();
                model.stored.clear();
            }
            Op::Sweep => cache.sweep(),
            Op::Advance(tenths) => {
                clock.advance(Duration::from_millis(tenths * 100));
                model.now += tenths;
            }
        }
        assert_eq!(cache.computations_in_flight(), 0);
    }
    for id in 0..KEYS {
        assert_eq!(now(cache.get::<u64>(&key(id), &options(5, &BTreeSet::new()))).unwrap(), model.get(id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_direct_verbs_answer_as_a_map_would(ops in prop::collection::vec(op(), 1..60)) {
        run(&ops);
    }
}
