//! Several caches over one shared tier: what one process fills, changes or loses, the others see.
//!
//! The caches stand for processes, the memory backend for the server; the system's clock runs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder::backend::Memory;
use larder::{Cache, ErrorKind, cached};
use support::processes::{SOON, Source, hears, hour, key, process, until};
use tokio::sync::{Notify, Semaphore};

#[tokio::test]
async fn a_value_computed_by_one_process_is_a_hit_in_the_others() {
    let (store, source) = (Memory::new(), Source::default());
    let (one, two) = (process(&store), process(&store));

    let computed = one.get_or_compute(&key(1), &hour(), || source.next()).await;
    let found = two.get_or_compute(&key(1), &hour(), || source.next()).await;

    assert_eq!((computed, found), (1, 1));
    let stats = two.stats();
    assert_eq!((stats.function("dishes").unwrap().shared_hits, stats.hits(), stats.misses()), (1, 1, 0));
}

#[tokio::test]
async fn a_value_found_in_the_shared_tier_is_in_the_local_one_from_then_on() {
    let store = Memory::new();
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;
    one.put(&key(1), 7_u64, &hour()).await.unwrap();

    for _ in 0..3 {
        assert_eq!(two.get::<u64>(&key(1), &hour()).await.unwrap(), Some(7));
    }

    let stats = two.stats();
    assert_eq!((stats.function("dishes").unwrap().shared_hits, stats.hits()), (1, 3));
}

#[tokio::test]
async fn an_invalidated_entry_is_served_by_nobody() {
    let store = Memory::new();
    let (one, two) = (process(&store), process(&store));
    hears(&one).await;
    hears(&two).await;
    one.put(&key(1), 7_u64, &hour()).await.unwrap();
    assert_eq!(two.get::<u64>(&key(1), &hour()).await.unwrap(), Some(7));

    one.invalidate(&key(1)).await.unwrap();

    assert_eq!(one.get::<u64>(&key(1), &hour()).await.unwrap(), None);
    until(|| two.stats().local_entries == 0).await;
    assert_eq!(two.get::<u64>(&key(1), &hour()).await.unwrap(), None);
}

#[tokio::test]
async fn an_invalidated_tag_is_outdated_everywhere() {
    let store = Memory::new();
    let (one, two) = (process(&store), process(&store));
    let menu = hour().tags(["menu"]);
    hears(&two).await;
    for id in 0..10 {
        one.put(&key(id), id, &menu).await.unwrap();
        assert_eq!(two.get::<u64>(&key(id), &menu).await.unwrap(), Some(id));
    }

    one.invalidate_tags(["menu"]).await.unwrap();

    for id in 0..10 {
        assert_eq!(one.get::<u64>(&key(id), &menu).await.unwrap(), None);
    }
    let messages = || two.stats().shared.unwrap().messages;
    let before = messages();
    one.invalidate_tags(["other"]).await.unwrap();
    until(|| messages() > before).await;
    for id in 0..10 {
        assert_eq!(two.get::<u64>(&key(id), &menu).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_key_is_computed_once_over_all_processes() {
    let (store, source) = (Memory::new(), Arc::new(Source::default()));
    let processes: Vec<_> = (0..4).map(|_| process(&store)).collect();
    let started = Arc::new(Semaphore::new(0));

    let calls: Vec<_> = (0..400)
        .map(|n| {
            let (cache, source, started) = (processes[n % 4].clone(), source.clone(), started.clone());
            tokio::spawn(async move {
                let slow = || async {
                    // Until all others have asked.
                    let _all = started.acquire_many(399).await.unwrap();
                    source.next().await
                };
                let (key, options) = (key(1), hour());
                let call = cache.get_or_compute(&key, &options, slow);
                started.add_permits(1);
                call.await
            })
        })
        .collect();

    for call in calls {
        assert_eq!(tokio::time::timeout(SOON, call).await.expect("it hangs").unwrap(), 1);
    }
    assert_eq!(source.computed.load(Ordering::SeqCst), 1);
    for process in &processes {
        let stats = process.stats();
        assert_eq!(stats.calls(), 100);
        assert_eq!(process.computations_in_flight(), 0);
    }
}

#[tokio::test]
async fn a_holder_that_goes_away_makes_room_for_another_process() {
    let (store, source) = (Memory::new(), Source::default());
    let (one, two) = (process(&store), process(&store));
    let computing = Arc::new(Notify::new());
    let holder = tokio::spawn({
        let (one, computing) = (one.clone(), computing.clone());
        async move {
            let never = || async {
                computing.notify_one();
                std::future::pending::<u64>().await
            };
            one.get_or_compute(&key(1), &hour(), never).await
        }
    });
    computing.notified().await;
    let (key_one, options) = (key(1), hour());
    let waiter = two.get_or_compute(&key_one, &options, || source.next());
    let waiter = tokio::time::timeout(SOON, waiter);

    holder.abort();

    assert_eq!(waiter.await.expect("it waits for a holder that is gone"), 1);
}

#[tokio::test]
async fn a_value_that_was_invalidated_while_it_was_computed_elsewhere_is_stored_nowhere() {
    let (store, source) = (Memory::new(), Source::default());
    let (one, two) = (process(&store), process(&store));
    for by_tag in [false, true] {
        let (key_one, options) = (key(u64::from(by_tag)), hour().tags(["menu"]));
        let (begun, go) = (Notify::new(), Notify::new());
        let slow = || async {
            begun.notify_one();
            go.notified().await;
            source.next().await
        };
        let computing = one.get_or_compute(&key_one, &options, slow);
        let invalidating = async {
            begun.notified().await;
            match by_tag {
                true => two.invalidate_tags(["menu"]).await.unwrap(),
                false => two.invalidate(&key_one).await.unwrap(),
            }
            go.notify_one();
        };

        let (given, ()) = tokio::join!(computing, invalidating);

        assert_eq!(two.get::<u64>(&key_one, &options).await.unwrap(), None, "by tag: {by_tag}");
        let again = two.get_or_compute(&key_one, &options, || source.next()).await;
        assert!(again > given);
    }
}

#[tokio::test]
async fn what_may_have_been_missed_is_asked_for_again() {
    let store = Memory::new();
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;
    one.put(&key(1), 7_u64, &hour()).await.unwrap();
    assert_eq!(two.get::<u64>(&key(1), &hour()).await.unwrap(), Some(7));
    let gaps = || two.stats().shared.unwrap().gaps;
    let before = gaps();

    store.cut_bus();
    until(|| gaps() > before).await;

    assert_eq!(two.get::<u64>(&key(1), &hour()).await.unwrap(), Some(7));
    assert_eq!(two.stats().function("dishes").unwrap().shared_hits, 2);
}

#[tokio::test]
async fn two_prefixes_share_nothing_and_are_cleared_apart() {
    let store = Memory::new();
    let one = process(&store);
    let other = Cache::builder().prefix("other").shared(store.clone()).build().unwrap();
    one.put(&key(1), 1_u64, &hour()).await.unwrap();
    other.put(&key(1), 2_u64, &hour()).await.unwrap();

    one.clear().await.unwrap();

    assert_eq!(one.get::<u64>(&key(1), &hour()).await.unwrap(), None);
    assert_eq!(process(&store).get::<u64>(&key(1), &hour()).await.unwrap(), None);
    let fresh = Cache::builder().prefix("other").shared(store).build().unwrap();
    assert_eq!(fresh.get::<u64>(&key(1), &hour()).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_value_of_another_type_is_a_miss_and_replaced() {
    let (store, source) = (Memory::new(), Source::default());
    let (old, new) = (process(&store), process(&store));
    old.put(&key(1), "seven".to_owned(), &hour()).await.unwrap();

    assert_eq!(new.get::<u64>(&key(1), &hour()).await.unwrap(), None);
    assert_eq!(new.get_or_compute(&key(1), &hour(), || source.next()).await, 1);

    assert_eq!(new.stats().function("dishes").unwrap().misses.version, 2);
    assert_eq!(process(&store).get::<u64>(&key(1), &hour()).await.unwrap(), Some(1));
}

#[cached(ttl = 60, secret(token))]
async fn profile(token: &str) -> usize {
    token.len()
}

#[tokio::test]
async fn secret_arguments_need_a_key_that_all_processes_have() {
    let store = Memory::new();
    let lacking = process(&store);
    let with = || Cache::builder().shared(store.clone()).secret_key([7; 32]).build().unwrap();
    let (one, two) = (with(), with());

    assert_eq!(lacking.scope(profile("hunter2")).await, 7);
    assert_eq!(one.scope(profile("hunter2")).await, 7);
    assert_eq!(two.scope(profile("hunter2")).await, 7);

    assert_eq!(lacking.stats().function("profile").unwrap().bypassed, 1);
    assert_eq!(two.stats().function("profile").unwrap().shared_hits, 1);
    let refused = lacking.scope(async { profile_entry("hunter2").invalidate().await }).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(refused.to_string().ends_with("alike in all of them"), "{refused}");
}

#[cached(ttl = 60, tier = local, tags = ["menu"])]
async fn handle(source: &u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(*source as usize))
}

#[tokio::test]
async fn values_that_stay_here_are_invalidated_by_other_processes_too() {
    let store = Memory::new();
    let (one, two) = (process(&store), process(&store));
    hears(&one).await;
    let first = one.scope(handle(&1)).await;
    assert!(Arc::ptr_eq(&first, &one.scope(handle(&1)).await));

    two.invalidate_tags(["menu"]).await.unwrap();

    let mut second = one.scope(handle(&1)).await;
    let waiting = async {
        while Arc::ptr_eq(&first, &second) {
            tokio::task::yield_now().await;
            second = one.scope(handle(&1)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("the old one is served");
}
