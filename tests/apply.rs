//! A set of invalidations does what its parts would do one by one, in one call.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Cache, ErrorKind, Invalidate, Key, cached};
use proptest::prelude::*;
use support::pair::Pair;
use support::processes::{hears, hour, key, until};
use support::{MINUTE, Stage, Task};

#[cached(ttl = "1h", grace = "1h", tags = ["menu", "menu:{id}"])]
async fn menu(id: u64) -> u64 {
    id
}

#[cached(ttl = "1h", grace = "1h", tags = ["guests", "menu:{id}"])]
async fn guests(id: u64) -> u64 {
    id
}

/// One thing to invalidate.
#[derive(Debug, Clone, Copy)]
enum One {
    Tag(&'static str),
    Key(u64),
    Entry(u64),
    Function(&'static str),
    FunctionOf,
    Everything,
}

/// With whether it is done softly.
type Part = (One, bool);

fn part() -> impl Strategy<Value = Part> {
    let tag = prop::sample::select(vec!["menu", "guests", "menu:1", "menu:2", "nobody"]);
    let name = prop::sample::select(vec!["menu", "guests", "nobody"]);
    let one = prop_oneof![
        4 => tag.prop_map(One::Tag),
        2 => (0..4_u64).prop_map(One::Key),
        2 => (0..4_u64).prop_map(One::Entry),
        1 => name.prop_map(One::Function),
        1 => Just(One::FunctionOf),
        1 => Just(One::Everything),
    ];
    (one, any::<bool>())
}

fn set(parts: &[Part]) -> Invalidate {
    let of = |(one, is_soft): &Part| {
        let set = match *one {
            One::Tag(tag) => Invalidate::tag(tag),
            One::Key(id) => Invalidate::key(guests_entry(id).key().unwrap()),
            One::Entry(id) => Invalidate::entry(&menu_entry(id)),
            One::Function(name) => Invalidate::function(name),
            One::FunctionOf => Invalidate::function_of(&menu_entry(0)),
            One::Everything => Invalidate::everything(),
        };
        if *is_soft { set.softly() } else { set }
    };
    parts.iter().map(of).collect()
}

async fn one_by_one(cache: &Cache, parts: &[Part]) {
    for (one, is_soft) in parts {
        match (*one, is_soft) {
            (One::Tag(tag), false) => cache.invalidate_tags([tag]).await.unwrap(),
            (One::Tag(tag), true) => cache.expire_tags([tag]).await.unwrap(),
            (One::Key(id), false) => cache.invalidate(guests_entry(id).key().unwrap()).await.unwrap(),
            (One::Key(id), true) => cache.expire(guests_entry(id).key().unwrap()).await.unwrap(),
            (One::Entry(id), false) => menu_entry(id).invalidate().await.unwrap(),
            (One::Entry(id), true) => menu_entry(id).expire().await.unwrap(),
            (One::Function(name), false) => drop(cache.invalidate_function(name).await.unwrap()),
            (One::Function(name), true) => drop(cache.expire_function(name).await.unwrap()),
            (One::FunctionOf, false) => menu_entry(0).invalidate_function().await.unwrap(),
            (One::FunctionOf, true) => menu_entry(0).expire_function().await.unwrap(),
            (One::Everything, false) => cache.clear().await.unwrap(),
            // There is no verb for it: each function is expired.
            (One::Everything, true) => {
                for function in ["menu", "guests"] {
                    cache.expire_function(function).await.unwrap();
                }
            }
        }
    }
}

/// What is left of each entry: fresh, stale, or nothing.
async fn left() -> Vec<Option<bool>> {
    let mut left = Vec::new();
    for id in 0..4 {
        left.push(menu_entry(id).peek().await.unwrap().map(|peek| peek.is_fresh));
        left.push(guests_entry(id).peek().await.unwrap().map(|peek| peek.is_fresh));
    }
    left
}

fn left_after(invalidate: impl AsyncFnOnce(&Cache)) -> Vec<Option<bool>> {
    let stage = Stage::new();
    stage.run(async {
        for id in 0..4 {
            menu(id).await;
            guests(id).await;
        }
        invalidate(&stage.cache).await;
        left().await
    })
}

proptest! {
    #[test]
    fn a_set_leaves_what_the_verbs_leave_one_by_one(parts in prop::collection::vec(part(), 0..5)) {
        let at_once = left_after(async |cache| cache.apply(set(&parts)).await.unwrap());
        let in_turn = left_after(async |cache| one_by_one(cache, &parts).await);

        prop_assert_eq!(at_once, in_turn);
    }
}

#[test]
fn a_flight_that_a_set_concerns_is_neither_joined_nor_stored() {
    for hits in [Invalidate::tag("menu:1"), Invalidate::key(&key(1)), Invalidate::everything()] {
        let stage = Stage::new();
        let (one, options) = (key(1), hour().tags(["menu:1"]));
        let (send, receive) = tokio::sync::oneshot::channel();
        let mut before = stage.begin(
            stage.cache.get_or_compute(&one, &options, || async move { receive.await.unwrap_or(0_u64) }),
        );

        stage.run(stage.cache.apply(Invalidate::tag("other").and(hits))).unwrap();
        let after = stage.run(stage.cache.get_or_compute(&one, &options, async || 2_u64));
        send.send(1).unwrap();

        assert!(!before.waits());
        assert_eq!(after, 2);
        assert_eq!(stage.run(stage.cache.get::<u64>(&one, &options)).unwrap(), Some(2));
    }
}

fn everything_of_the_pair() -> Invalidate {
    let keys = (0..100).map(|id| Invalidate::key(&key(id)));
    let stale = (100..150).map(|id| Invalidate::key(&key(id)).softly());
    let tags = (0..50).map(|n| Invalidate::tag(format!("t{n}")));
    keys.chain(stale).chain(tags).chain([Invalidate::function("app::menus")]).collect()
}

#[tokio::test]
async fn a_set_is_one_call_of_the_shared_tier() {
    let pair = Pair::new();
    hears(&pair.cache).await;

    pair.cache.apply(everything_of_the_pair()).await.unwrap();

    assert_eq!(pair.faults.calls(Operation::InvalidateMany), 1);
    for single in [Operation::Invalidate, Operation::Expire, Operation::InvalidateTags] {
        assert_eq!(pair.faults.calls(single), 0, "{single:?}");
    }
}

#[tokio::test]
async fn a_set_reaches_the_other_process_whole() {
    let pair = Pair::new();
    hears(&pair.other).await;
    let tagged = hour().tags(["t7"]);
    for cache in [&pair.cache, &pair.other] {
        cache.put(&key(1), 1_u64, &hour()).await.unwrap();
        cache.put(&key(1_000), 1_u64, &tagged).await.unwrap();
    }
    assert_eq!(pair.other.stats().local_entries, 2);
    let heard = pair.other.stats().shared.unwrap().messages;

    pair.cache.apply(everything_of_the_pair()).await.unwrap();
    until(|| pair.other.stats().shared.unwrap().messages >= heard + 151).await;

    assert_eq!(pair.other.get::<u64>(&key(1), &hour()).await.unwrap(), None);
    assert_eq!(pair.other.get::<u64>(&key(1_000), &tagged).await.unwrap(), None);
}

#[tokio::test]
async fn a_set_that_fails_is_applied_here_and_repeated_there() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let tagged = hour().tags(["t7"]);
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    pair.cache.put(&key(1_000), 1_u64, &tagged).await.unwrap();
    pair.faults.fail(Operation::InvalidateMany);

    let error = pair.cache.apply(everything_of_the_pair()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unreachable);
    // Here it is done, and nothing comes back from there.
    assert_eq!(pair.get(1).await, None);
    assert_eq!(pair.cache.get::<u64>(&key(1_000), &tagged).await.unwrap(), None);
    // There it will be: 100 keys, 50 stale ones, 50 tags and a function.
    pair.comes_about(|pair| pair.shared().repeated_invalidations == 201).await;
    assert_eq!(pair.shared().queued_invalidations, 0);
    let third = pair.third();
    assert_eq!(third.get::<u64>(&key(1), &hour()).await.unwrap(), None);
    assert_eq!(third.get::<u64>(&key(1_000), &tagged).await.unwrap(), None);
}

#[tokio::test]
async fn a_set_takes_effect_though_its_caller_goes_away() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    let set = everything_of_the_pair().and(Invalidate::tag("more"));
    let gate = pair.faults.hold(Operation::InvalidateMany);
    let mut caller = Task::begun(pair.cache.apply(set));
    gate.arrived().await;
    assert!(caller.waits());

    drop(caller);
    gate.open();

    until(|| pair.cache.stats().local_entries == 0).await;
    assert_eq!(pair.other.get::<u64>(&key(1), &hour()).await.unwrap(), None);
}

#[test]
fn a_handle_is_invalidated_in_its_own_cache() {
    let (one, other) = (Stage::new(), Stage::new());
    for stage in [&one, &other] {
        stage.run(async {
            menu(1).await;
            guests(1).await;
        });
    }
    let entry = one.run(async { menu_entry(1) });

    other.run(other.cache.apply(Invalidate::entry(&entry).and(Invalidate::tag("guests")))).unwrap();

    assert_eq!(one.run(left())[2..4], [None, Some(true)]);
    assert_eq!(other.run(left())[2..4], [Some(true), None]);
}

/// Cannot be a key.
#[derive(Debug, Clone, Copy)]
struct Broken;

impl serde::Serialize for Broken {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("broken"))
    }
}

#[cached(ttl = 60)]
#[allow(dead_code, reason = "only its handle is used")]
async fn of_broken(id: Broken) -> u64 {
    let _ = id;
    0
}

#[test]
fn a_handle_that_names_no_entry_is_an_error_and_the_rest_is_applied() {
    let stage = Stage::new();
    let (error, left) = stage.run(async {
        menu(1).await;
        let set = Invalidate::entry(&of_broken_entry(Broken)).and(Invalidate::tag("menu"));
        (stage.cache.apply(set).await.unwrap_err(), left().await)
    });

    assert_eq!(error.kind(), ErrorKind::Key);
    assert_eq!(left[2], None);
}

#[test]
fn nothing_is_nothing() {
    let stage = Stage::new();

    assert!(Invalidate::nothing().is_empty() && Invalidate::tags([""; 0]).is_empty());
    assert!(!Invalidate::tag("").is_empty() && !Invalidate::everything().softly().is_empty());
    stage.run(stage.cache.apply(Invalidate::nothing())).unwrap();
}

#[test]
fn a_soft_set_is_stale_and_not_gone() {
    let stage = Stage::new();
    stage.run(async {
        menu(1).await;
        let key: &Key = &menu_entry(1).key().unwrap().clone();

        stage.cache.apply(Invalidate::key(key).softly()).await.unwrap();
        assert_eq!(left().await[2], Some(false));

        stage.cache.apply(Invalidate::key(key).softly().and(Invalidate::key(key))).await.unwrap();
        assert_eq!(left().await[2], None);
    });
}

#[tokio::test]
async fn a_stale_entry_is_kept_there_for_its_grace() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache
        .scope(async {
            menu(1).await;
            pair.cache.apply(Invalidate::entry(&menu_entry(1)).softly()).await.unwrap();
        })
        .await;

    let there = async || {
        let third = pair.third();
        third.scope(async { menu_entry(1).peek().await.unwrap().map(|peek| peek.is_fresh) }).await
    };
    assert_eq!(there().await, Some(false));
    pair.store.pass(Duration::from_secs(3600) + MINUTE);
    assert_eq!(there().await, None);
}

/// The error of what nobody waits for any more is told to whoever looks at the statistics.
#[tokio::test]
async fn a_set_that_fails_after_its_caller_went_away_is_counted() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.faults.fail(Operation::InvalidateTags);
    let mut applying = Box::pin(pair.cache.apply(Invalidate::tag("menu")));
    assert!(support::source::waits(&mut applying).await);

    drop(applying);

    until(|| pair.cache.stats().failed_invalidations == 1).await;
    pair.faults.fail(Operation::InvalidateTags);
    pair.cache.apply(Invalidate::tag("menu")).await.unwrap_err();
    assert_eq!(pair.cache.stats().failed_invalidations, 1, "the caller was told");
}
