//! `cache.subscribe()`: what happens in a cache, as it happens, without slowing a call.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use larder::{Cache, Event, Events, Invalidate, Invalidated, Invalidator, MissReason, Tier, cached};
use support::MINUTE;
use support::pair::Pair;
use support::processes::{SOON, Source as Numbers, hears, hour, key, until};
use support::source::{Down, Scene, Source, waits};

#[cached(ttl = 60, name = "row", tags = ["rows", "row:{id}"], skip(source), refresh)]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[cached(ttl = 60, name = "kept", tags = ["row:{id}"], skip(source), grace = "10m")]
async fn kept(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

/// All that waits, in one word each; keys without the name of the function, which is told beside.
fn told(events: &mut Events) -> Vec<String> {
    std::iter::from_fn(|| events.try_next()).map(|event| word(&event)).collect()
}

fn word(event: &Event) -> String {
    match event {
        Event::Hit { function, key, tier } => format!("{tier:?} hit {function} {key}"),
        Event::Stale { function, key } => format!("stale {function} {key}"),
        Event::Miss { function, key, reason } => format!("{reason:?} miss {function} {key}"),
        Event::Joined { function, key } => format!("joined {function} {key}"),
        Event::Fill { function, key } => format!("fill {function} {key}"),
        Event::RefusedFill { function, key } => format!("refused {function} {key}"),
        Event::Refresh { function, key } => format!("refresh {function} {key}"),
        Event::FailedRefresh { function, key } => format!("failed refresh {function} {key}"),
        Event::Invalidation { of, is_soft, by } => {
            let of = match of {
                Invalidated::Entry(key) => format!("entry {key}"),
                Invalidated::Tag(tag) => format!("tag {tag}"),
                Invalidated::Function(path) => format!("function {path}"),
                Invalidated::Everything => "everything".to_owned(),
                other => format!("{other:?}"),
            };
            format!("{by:?} {} {of}", if *is_soft { "expires" } else { "invalidates" })
        }
        other => format!("{other:?}"),
    }
}

/// Waits until `expected` is told, whatever else is.
async fn hears_of(events: &mut Events, expected: &str) {
    let hearing = async {
        loop {
            let event = events.next().await.expect("the cache is there");
            if word(&event) == expected {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, hearing).await.unwrap_or_else(|_| panic!("not told: {expected}"));
}

#[tokio::test]
async fn a_call_is_told_with_its_function_its_key_and_its_reason() {
    let scene = Scene::new();
    let mut events = scene.cache.subscribe();
    let test = async {
        row(&scene.source, 1).await.unwrap();
        row(&scene.source, 1).await.unwrap();
        assert_eq!(
            told(&mut events),
            ["Absent miss row row:v0:1", "fill row row:v0:1", "Local hit row row:v0:1"]
        );

        row_entry(1).invalidate().await.unwrap();
        row(&scene.source, 1).await.unwrap();
        scene.cache.apply(Invalidate::tag("rows")).await.unwrap();
        row(&scene.source, 1).await.unwrap();
        assert_eq!(
            told(&mut events),
            [
                "Here invalidates entry row:v0:1",
                "Absent miss row row:v0:1",
                "fill row row:v0:1",
                "Here invalidates tag rows",
                "Invalidated miss row row:v0:1",
                "fill row row:v0:1",
            ]
        );
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn a_stale_value_a_follower_and_a_refused_fill_are_told() {
    let scene = Scene::new();
    let mut events = scene.cache.subscribe();
    let test = async {
        kept(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.pass(MINUTE).await;
        kept(&scene.source, 1).await.unwrap();
        // What may yet be answered by a stale value is known to be a miss in the end.
        assert_eq!(
            told(&mut events),
            ["fill kept kept:v0:1", "Absent miss kept kept:v0:1", "stale kept kept:v0:1"]
        );

        scene.source.set_down(false);
        scene.source.hold();
        let mut leader = Box::pin(kept(&scene.source, 2));
        assert!(waits(&mut leader).await);
        let mut follower = Box::pin(kept(&scene.source, 2));
        assert!(waits(&mut follower).await);
        scene.cache.invalidate_tags(["row:2"]).await.unwrap();
        scene.source.release();
        leader.await.unwrap();
        follower.await.unwrap();
    };
    scene.cache.scope(test).await;

    let mut told = told(&mut events);
    told.sort();
    assert_eq!(
        told,
        [
            "Absent miss kept kept:v0:2",
            "Here invalidates tag row:2",
            "joined kept kept:v0:2",
            "refused kept kept:v0:2",
        ]
    );
}

#[tokio::test]
async fn a_refresh_is_told_and_whether_it_failed() {
    for fails in [false, true] {
        let scene = Scene::new();
        let test = async {
            row(&scene.source, 1).await.unwrap();
            scene.source.set_down(fails);
            let mut events = scene.cache.subscribe();
            scene.pass(Duration::from_secs(55)).await;
            row(&scene.source, 1).await.unwrap();
            scene.settle().await;
            told(&mut events)
        };
        let told = scene.cache.scope(test).await;

        let ends = if fails { "failed refresh row row:v0:1" } else { "fill row row:v0:1" };
        assert_eq!(told, ["Local hit row row:v0:1", "refresh row row:v0:1", ends]);
    }
}

#[tokio::test]
async fn what_is_invalidated_is_told_and_how() {
    let cache = Cache::default();
    let mut events = cache.subscribe();

    cache.expire(&key(1)).await.unwrap();
    cache.expire_tags(["menu"]).await.unwrap();
    cache.invalidate_function("app::menus::menu_of").await.unwrap();
    cache.clear().await.unwrap();

    assert_eq!(
        told(&mut events),
        [
            "Here expires entry dishes:v0:1",
            "Here expires tag menu",
            "Here invalidates function app::menus::menu_of",
            "Here invalidates everything",
        ]
    );
}

#[tokio::test]
async fn what_another_process_does_is_told_as_its_own() {
    let (pair, numbers) = (Pair::new(), Numbers::default());
    hears(&pair.cache).await;
    hears(&pair.other).await;
    let menu = hour().tags(["menu"]);
    pair.other.get_or_compute(&key(1), &menu, || numbers.next()).await;
    let (mut here, mut there) = (pair.cache.subscribe(), pair.other.subscribe());

    pair.cache.get_or_compute(&key(1), &menu, || numbers.next()).await;
    hears_of(&mut here, "Shared hit dishes dishes:v0:1").await;

    pair.other.invalidate(&key(1)).await.unwrap();
    pair.other.expire(&key(2)).await.unwrap();
    pair.other.invalidate_tags(["menu"]).await.unwrap();
    pair.other.clear().await.unwrap();
    for what in ["invalidates entry dishes:v0:1", "expires entry dishes:v0:2", "invalidates tag menu"] {
        hears_of(&mut here, &format!("Elsewhere {what}")).await;
    }
    hears_of(&mut here, "Elsewhere invalidates everything").await;

    // To who did it, it is told once: the messages come back to it.
    pair.cache.invalidate_tags(["end"]).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "Elsewhere invalidates tag end") {
        let event = tokio::time::timeout(SOON, there.next()).await.expect("it is told");
        told.push(word(&event.expect("the cache is there")));
    }
    assert_eq!(
        told,
        [
            "Here invalidates entry dishes:v0:1",
            "Here expires entry dishes:v0:2",
            "Here invalidates tag menu",
            "Here invalidates everything",
            "Elsewhere invalidates tag end",
        ]
    );
}

#[tokio::test]
async fn a_gap_and_the_state_of_the_shared_tier_are_told() {
    let (pair, numbers) = (Pair::new(), Numbers::default());
    hears(&pair.cache).await;
    let mut events = pair.cache.subscribe();

    pair.store.memory().cut_bus();
    hears_of(&mut events, "Gap").await;

    pair.faults.set_down(true);
    for id in 0..5 {
        pair.cache.get_or_compute(&key(id), &hour(), || numbers.next()).await;
    }
    hears_of(&mut events, "BreakerOpened").await;

    pair.faults.set_down(false);
    pair.comes_about(|pair| !pair.shared().is_away).await;
    hears_of(&mut events, "BreakerClosed").await;
}

#[tokio::test]
async fn a_call_without_the_macro_is_told_too() {
    let cache = Cache::default();
    let mut events = cache.subscribe();

    cache.get::<u64>(&key(1), &hour()).await.unwrap();
    cache.get_or_compute(&key(1), &hour(), async || 1_u64).await;
    cache.get_or_compute(&key(1), &hour(), async || 1_u64).await;
    cache.get::<u64>(&key(1), &hour()).await.unwrap();

    assert_eq!(
        told(&mut events),
        [
            "Absent miss dishes dishes:v0:1",
            "Absent miss dishes dishes:v0:1",
            "fill dishes dishes:v0:1",
            "Local hit dishes dishes:v0:1",
            "Local hit dishes dishes:v0:1",
        ]
    );
}

#[cached(ttl = 60, name = "token", secret(token))]
async fn owner(token: &str) -> u64 {
    token.len() as u64
}

#[tokio::test]
async fn a_secret_is_told_as_a_digest() {
    let cache = Cache::default();
    let mut events = cache.subscribe();

    cache.scope(async { (owner("hunter2").await, owner("hunter2").await) }).await;

    let told = told(&mut events);
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|told| !told.contains("hunter2")), "{told:?}");
}

#[tokio::test]
async fn who_is_slow_loses_the_oldest_and_is_told_how_many() {
    let cache = Cache::default();
    let mut slow = cache.subscribe_with(2);
    let mut other = cache.subscribe();

    for tag in ["a", "b", "c", "d", "e"] {
        cache.invalidate_tags([tag]).await.unwrap();
    }

    assert_eq!(slow.next().await, Some(Event::Lost(3)));
    assert_eq!(told(&mut slow), ["Here invalidates tag d", "Here invalidates tag e"]);
    assert_eq!(told(&mut other).len(), 5);
    cache.invalidate_tags(["f"]).await.unwrap();
    assert_eq!(told(&mut slow), ["Here invalidates tag f"], "it has caught up");
}

#[tokio::test]
async fn events_are_those_of_the_own_cache_from_the_subscription_on() {
    let (cache, other) = (Cache::default(), Cache::default());
    cache.invalidate_tags(["before"]).await.unwrap();
    let mut events = cache.subscribe();

    other.get_or_compute(&key(1), &hour(), async || 1_u64).await;
    other.get_or_compute(&key(1), &hour(), async || 1_u64).await;
    cache.invalidate_tags(["after"]).await.unwrap();

    assert_eq!(told(&mut events), ["Here invalidates tag after"]);
}

#[tokio::test]
async fn a_subscription_ends_with_the_cache_and_does_not_keep_it() {
    let cache = Cache::default();
    let mut events = cache.subscribe();
    cache.invalidate_tags(["last"]).await.unwrap();
    let waiting = tokio::spawn(async move {
        let last = events.next().await.map(|event| word(&event));
        (last, events.next().await)
    });
    tokio::task::yield_now().await;

    drop(cache);

    let (last, end) = tokio::time::timeout(SOON, waiting).await.expect("it is not told").unwrap();
    assert_eq!((last.as_deref(), end), (Some("Here invalidates tag last"), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_calls_are_what_is_counted() {
    const TASKS: u64 = 8;
    const CALLS: u64 = 2_000;
    let cache = Cache::default();
    let mut events = cache.subscribe_with(1 << 20);
    let calling = (0..TASKS).map(|task| {
        let cache = cache.clone();
        tokio::spawn(async move {
            for call in 0..CALLS {
                let id = (task * 7 + call) % 13;
                let body = async || {
                    tokio::task::yield_now().await;
                    call
                };
                cache.get_or_compute(&key(id), &hour(), body).await;
                if call % 50 == 0 {
                    cache.invalidate(&key(id)).await.unwrap();
                }
            }
        })
    });
    for task in calling.collect::<Vec<_>>() {
        task.await.unwrap();
    }

    let stats = cache.stats();
    let function = stats.function("dishes").unwrap();
    let (mut hits, mut misses, mut joined, mut fills, mut refused, mut others) = (0, 0, 0, 0, 0, 0);
    while let Some(event) = events.try_next() {
        match event {
            Event::Hit { tier: Tier::Local, .. } => hits += 1,
            Event::Miss { reason: MissReason::Absent, .. } => misses += 1,
            Event::Joined { .. } => joined += 1,
            Event::Fill { .. } => fills += 1,
            Event::RefusedFill { .. } => refused += 1,
            Event::Invalidation { by: Invalidator::Here, .. } => others += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(hits + misses + joined, TASKS * CALLS);
    assert_eq!(
        (hits, misses, joined, fills, refused),
        (function.hits, function.misses.total(), function.joined, function.fills, function.refused_fills)
    );
    assert_eq!(others, TASKS * CALLS / 50);
}

#[test]
fn no_call_waits_for_a_subscriber_that_takes_nothing() {
    let stage = support::Stage::new();
    let events = stage.cache.subscribe_with(1);

    // `run` fails where a call has to wait.
    stage.run(async {
        for id in 0..1_000 {
            stage.cache.get_or_compute(&key(id), &hour(), async || id).await;
            stage.cache.get_or_compute(&key(id), &hour(), async || id).await;
        }
    });

    assert!(format!("{events:?}").contains("waiting: 1, lost: 2999"), "{events:?}");
}

#[tokio::test]
async fn who_waits_for_an_event_is_woken_from_another_thread() {
    let cache = Cache::default();
    let mut events = cache.subscribe();
    let waiting = tokio::spawn(async move { events.next().await.map(|event| word(&event)) });
    until(|| !waiting.is_finished()).await;

    let other = cache.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(other.invalidate_tags(["menu"])).unwrap();
    })
    .join()
    .unwrap();

    let told = tokio::time::timeout(SOON, waiting).await.expect("it is not woken").unwrap();
    assert_eq!(told.as_deref(), Some("Here invalidates tag menu"));
}

#[cached(ttl = 60, name = "item", each = ids)]
async fn items(ids: &[u64]) -> std::collections::HashMap<u64, u64> {
    ids.iter().filter(|id| **id < 9).map(|id| (*id, *id)).collect()
}

#[tokio::test]
async fn each_item_of_a_batch_is_told() {
    let cache = Cache::default();
    cache.scope(items(&[1])).await;
    let mut events = cache.subscribe();

    cache.scope(items(&[1, 2])).await;

    assert_eq!(
        told(&mut events),
        ["Local hit item item:v0:1", "Absent miss item item:v0:2", "fill item item:v0:2"]
    );
}

/// Uses the cache where it is woken, as an executor may that polls at once.
struct UsesTheCache {
    cache: Cache,
    times: AtomicU64,
}

impl Wake for UsesTheCache {
    fn wake(self: Arc<Self>) {
        // Under the lock that orders it with a fill.
        support::Task::new(self.cache.invalidate(&key(1))).end().unwrap();
        self.times.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn who_is_woken_by_a_fill_may_use_the_cache_at_once() {
    let (done, ended) = std::sync::mpsc::channel();
    // A lock that is held meanwhile would stop this thread for ever.
    std::thread::spawn(move || {
        let cache = Cache::default();
        let mut events = cache.subscribe();
        let hearing = async move { while !matches!(events.next().await, Some(Event::Fill { .. })) {} };
        let hearing = RefCell::new(Box::pin(hearing));
        let user = Arc::new(UsesTheCache { cache: cache.clone(), times: AtomicU64::new(0) });
        let waker = Waker::from(user.clone());

        let body = async || {
            // From here on the next event is the fill.
            assert!(hearing.borrow_mut().as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            1_u64
        };
        let computed = support::Task::new(cache.get_or_compute(&key(1), &hour(), body)).end();

        let again = support::Task::new(cache.get_or_compute(&key(1), &hour(), async || 2_u64)).end();
        done.send((computed, user.times.load(Ordering::SeqCst), again)).unwrap();
    });

    assert_eq!(ended.recv_timeout(SOON).expect("it hangs"), (1, 1, 2));
}
