//! What happens while something else is on its way: a value read, computed or put, an invalidation repeated, a
//! heartbeat lost.
//!
//! Time stands still unless a test moves it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::{Faulty, MemoryStage, Operation};
use larder::{Cache, ErrorKind, cached};
use support::pair::Pair;
use support::processes::{SOON, hears, hour, key, process, until};
use tokio::sync::Notify;

#[tokio::test]
async fn an_invalidation_while_an_earlier_one_is_repeated_is_repeated_too() {
    for by_tag in [false, true] {
        // given an invalidation that could not reach the shared tier, and its repetition that was made and not answered
        let pair = Pair::new();
        let menu = hour().tags(["menu"]);
        let invalidate = async || match by_tag {
            true => pair.cache.invalidate_tags(["menu"]).await,
            false => pair.cache.invalidate(&key(1)).await,
        };
        let operation = if by_tag { Operation::InvalidateTags } else { Operation::Invalidate };
        hears(&pair.cache).await;
        pair.faults.set_down(true);
        assert_eq!(invalidate().await.unwrap_err().kind(), ErrorKind::Unreachable);
        let gate = pair.faults.hold_answer(operation);
        pair.faults.set_down(false);
        tokio::select! {
            () = gate.arrived() => {}
            () = pair.comes_about(|_| false) => {}
        }

        // when another process fills the key with what is old by the next invalidation
        pair.other.put(&key(1), 1_u64, &menu).await.unwrap();
        pair.faults.fail(operation);
        assert_eq!(invalidate().await.unwrap_err().kind(), ErrorKind::Unreachable);
        gate.open();

        // then that is made there too
        pair.comes_about(|pair| !pair.shared().is_away).await;
        let found = pair.third().get::<u64>(&key(1), &menu).await.unwrap();
        assert_eq!(found, None, "by tag: {by_tag}");
        assert_eq!(pair.cache.get::<u64>(&key(1), &menu).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_value_put_elsewhere_while_an_older_one_is_read_keeps_that_out_of_the_local_tier() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.other.put(&key(1), 1_u64, &hour()).await.unwrap();
    let gate = pair.faults.hold_answer(Operation::Read);
    let (key_one, options) = (key(1), hour());
    let reading = pair.cache.get_or_compute(&key_one, &options, async || 9_u64);
    let putting = async {
        gate.arrived().await;
        let heard = pair.shared().messages;
        pair.other.put(&key(1), 2_u64, &hour()).await.unwrap();
        until(|| pair.shared().messages > heard).await;
        gate.open();
    };

    let (read, ()) = tokio::join!(reading, putting);

    assert_eq!(read, 1, "it began before the put");
    assert_eq!(pair.get(1).await, Some(2));
}

#[tokio::test]
async fn a_value_put_elsewhere_while_one_is_computed_without_a_lease_is_not_stored_over() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let (begun, go) = (Notify::new(), Notify::new());
    pair.faults.fail(Operation::Read);
    let (key_one, options) = (key(1), hour());
    let computing = pair.cache.get_or_compute(&key_one, &options, async || {
        begun.notify_one();
        go.notified().await;
        1_u64
    });
    let putting = async {
        begun.notified().await;
        let heard = pair.shared().messages;
        pair.other.put(&key(1), 2_u64, &hour()).await.unwrap();
        until(|| pair.shared().messages > heard).await;
        go.notify_one();
    };

    let (computed, ()) = tokio::join!(computing, putting);

    assert_eq!(computed, 1);
    assert_eq!(pair.get(1).await, Some(2));
}

#[tokio::test]
async fn what_another_process_filled_is_kept_here_by_who_waited_for_it() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let computing = tokio::spawn({
        let (other, begun, go) = (pair.other.clone(), begun.clone(), go.clone());
        async move {
            let slow = || async {
                begun.notify_one();
                go.notified().await;
                1_u64
            };
            other.get_or_compute(&key(1), &hour(), slow).await
        }
    });
    begun.notified().await;
    let waiting = tokio::spawn({
        let cache = pair.cache.clone();
        async move { cache.get_or_compute(&key(1), &hour(), async || 9_u64).await }
    });
    until(|| pair.faults.calls(Operation::Lease) > 0).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }

    go.notify_one();

    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(computing.await.unwrap(), 1);
    assert_eq!(pair.cache.stats().local_entries, 1);
}

#[tokio::test]
async fn of_two_puts_at_once_none_leaves_an_older_value_behind() {
    // given an older value in both tiers
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();

    // when the put that began last takes the key first
    let gate = pair.faults.hold(Operation::Lease);
    let fill = pair.faults.hold(Operation::Fill);
    let first = async { pair.cache.put(&key(1), 2_u64, &hour()).await };
    let second = async { pair.cache.put(&key(1), 3_u64, &hour()).await };
    let order = async {
        gate.arrived().await;
        fill.arrived().await;
        gate.open();
        // It sees that it was overtaken.
        until(|| pair.faults.calls(Operation::Invalidate) == 1).await;
        fill.open();
    };
    let (first, second, ()) = tokio::join!(first, second, order);
    first.unwrap();
    second.unwrap();

    // then nobody sees the older value
    let (here, there) = (pair.get(1).await, pair.third().get::<u64>(&key(1), &hour()).await.unwrap());
    assert_ne!(here, Some(1));
    assert_ne!(there, Some(1));
    assert_eq!(pair.get(1).await, there);
}

#[tokio::test]
async fn a_put_whose_lease_ended_leaves_no_older_value_behind() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    let gate = pair.faults.hold(Operation::Fill);
    let putting = async { pair.cache.put(&key(1), 2_u64, &hour()).await };
    let losing = async {
        gate.arrived().await;
        pair.store.pass(Duration::from_secs(10));
        gate.open();
    };

    let (put, ()) = tokio::join!(putting, losing);

    put.unwrap();
    assert_ne!(pair.get(1).await, Some(1));
    assert_ne!(pair.third().get::<u64>(&key(1), &hour()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_put_of_what_is_too_large_says_when_the_older_value_stays_behind_for_now() {
    let store = MemoryStage::new().memory().clone();
    let (backend, faults) = Faulty::new(store.clone());
    let cache = Cache::builder().prefix("app").shared(backend).max_value_bytes(100).build().unwrap();
    cache.put(&key(1), "small".to_owned(), &hour()).await.unwrap();
    faults.fail(Operation::Invalidate);

    let refused = cache.put(&key(1), "x".repeat(1_000), &hour()).await;

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unreachable);
    until(|| !cache.stats().shared.unwrap().is_away).await;
    assert_eq!(process(&store).get::<String>(&key(1), &hour()).await.unwrap(), None);
    cache.put(&key(1), "x".repeat(1_000), &hour()).await.unwrap();
    assert_eq!(cache.get::<String>(&key(1), &hour()).await.unwrap(), Some("x".repeat(1_000)));
}

#[tokio::test]
async fn a_value_too_large_for_the_shared_tier_stays_here_though_the_removal_of_the_older_one_is_heard() {
    let store = MemoryStage::new().memory().clone();
    let (backend, faults) = Faulty::new(store.clone());
    let cache = Cache::builder().prefix("app").shared(backend).max_value_bytes(100).build().unwrap();
    let large = "x".repeat(1_000);
    hears(&cache).await;
    cache.put(&key(1), "small".to_owned(), &hour()).await.unwrap();
    let heard = || cache.stats().shared.unwrap().messages;
    for message_first in [false, true] {
        let (before, gate) = (heard(), message_first.then(|| faults.hold_answer(Operation::Invalidate)));
        let putting = async { cache.put(&key(1), large.clone(), &hour()).await };
        let hearing = async {
            if let Some(gate) = gate {
                gate.arrived().await;
                until(|| heard() > before).await;
            }
        };

        let (put, ()) = tokio::join!(putting, hearing);
        put.unwrap();
        until(|| heard() > before).await;

        let found = cache.get::<String>(&key(1), &hour()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&large), "message first: {message_first}");
    }
}

#[tokio::test]
async fn an_invalidation_that_failed_during_a_look_is_not_undone_by_what_another_process_fills() {
    // given a call that looked, found nothing, and has not been told yet
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    let read = pair.faults.hold_answer(Operation::Read);
    let calling = async { pair.cache.get_or_compute(&key(1), &menu, async || 2_u64).await };
    let meanwhile = async {
        read.arrived().await;
        // when an invalidation cannot be made there nor repeated, and another process fills what is older
        let repetition = pair.faults.hold(Operation::Health);
        pair.faults.fail(Operation::InvalidateTags);
        pair.cache.invalidate_tags(["menu"]).await.unwrap_err();
        pair.other.put(&key(1), 1_u64, &menu).await.unwrap();
        read.open();
        repetition
    };
    let (_, repetition) = tokio::join!(calling, meanwhile);

    // then later calls do not get it
    assert_eq!(pair.cache.get_or_compute(&key(1), &menu, async || 2_u64).await, 2);
    repetition.open();
}

#[tokio::test]
async fn a_heartbeat_that_was_lost_tells_of_messages_that_may_be() {
    // given a value in the local tier, and a bus that loses messages for a while
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    pair.faults.set_deaf(true);
    pair.other.invalidate(&key(1)).await.unwrap();
    let beats = pair.faults.calls(Operation::Heartbeat);
    pair.comes_about(|pair| pair.faults.calls(Operation::Heartbeat) > beats).await;

    // when messages arrive again, on the same subscription
    pair.faults.set_deaf(false);
    let subscriptions = pair.faults.calls(Operation::Subscribe);
    for _ in 0..200 {
        pair.pass(Duration::from_millis(20)).await;
    }

    // then what was missed is asked for again
    assert_eq!(pair.faults.calls(Operation::Subscribe), subscriptions);
    assert_eq!(pair.get(1).await, None);
    assert!(pair.shared().is_confirmed);
}

#[tokio::test]
async fn a_call_after_an_invalidation_does_not_join_a_put_from_before() {
    let menu = hour().tags(["menu"]);
    for has_lease in [false, true] {
        let pair = Pair::new();
        hears(&pair.cache).await;
        let gate = match has_lease {
            true => pair.faults.hold_answer(Operation::Lease),
            false => pair.faults.hold(Operation::Lease),
        };
        let putting = async { pair.cache.put(&key(1), 1_u64, &menu).await.unwrap() };
        let calling = async {
            gate.arrived().await;
            pair.cache.invalidate_tags(["menu"]).await.unwrap();
            let asked = pair.faults.calls(Operation::Lease);
            let call = async { pair.cache.get_or_compute(&key(1), &menu, async || 2_u64).await };
            // It asks for the lease itself, which the other one may have.
            let opening = async {
                until(|| pair.faults.calls(Operation::Lease) > asked).await;
                gate.open();
            };
            tokio::time::timeout(SOON, async { tokio::join!(call, opening).0 }).await.expect("it joined")
        };

        let ((), called) = tokio::join!(putting, calling);

        assert_eq!(called, 2, "has the lease: {has_lease}");
        // Nor is the older value there afterwards.
        for cache in [&pair.cache, &pair.third()] {
            assert_ne!(
                cache.get::<u64>(&key(1), &menu).await.unwrap(),
                Some(1),
                "has the lease: {has_lease}"
            );
        }
    }
}

#[tokio::test]
async fn a_put_during_which_messages_may_be_missing_is_kept_in_the_shared_tier() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let gate = pair.faults.hold(Operation::Lease);
    let gaps = pair.shared().gaps;
    let putting = async { pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap() };
    let meanwhile = async {
        gate.arrived().await;
        pair.store.memory().cut_bus();
        until(|| pair.shared().gaps > gaps).await;
        gate.open();
    };

    tokio::join!(putting, meanwhile);

    assert_eq!(pair.third().get::<u64>(&key(1), &hour()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_call_after_an_invalidation_does_not_join_a_look_from_before() {
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    pair.other.put(&key(1), 1_u64, &menu).await.unwrap();
    let gate = pair.faults.hold_answer(Operation::Read);
    let looking = async { pair.cache.get::<u64>(&key(1), &menu).await.unwrap() };
    let calling = async {
        gate.arrived().await;
        pair.cache.invalidate_tags(["menu"]).await.unwrap();
        let call = async { pair.cache.get_or_compute(&key(1), &menu, async || 2_u64).await };
        let called = tokio::time::timeout(SOON, call).await.expect("it joined");
        gate.open();
        called
    };

    let (looked, called) = tokio::join!(looking, calling);

    assert_eq!((looked, called), (Some(1), 2));
}

#[tokio::test]
async fn cut_off_a_computation_is_joined_for_no_longer_than_the_staleness() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.faults.set_down(true);
    pair.faults.set_deaf(true);
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = tokio::spawn({
        let (cache, begun, go) = (pair.cache.clone(), begun.clone(), go.clone());
        async move {
            let slow = || async {
                begun.notify_one();
                go.notified().await;
                1_u64
            };
            cache.get_or_compute(&key(1), &hour(), slow).await
        }
    });
    begun.notified().await;

    pair.pass(Duration::from_secs(2)).await;
    let (key, options) = (key(1), hour());
    let second = pair.cache.get_or_compute(&key, &options, async || 2_u64);

    assert_eq!(tokio::time::timeout(SOON, second).await.expect("it joined"), 2);
    go.notify_one();
    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(pair.cache.get_or_compute(&key, &options, async || 3_u64).await, 2);
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_leaves_no_older_value_in_the_local_tier() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    pair.faults.lose_answer(Operation::Fill);

    let refused = pair.cache.put(&key(1), 2_u64, &hour()).await.unwrap_err();

    assert_eq!(refused.kind(), ErrorKind::Unreachable);
    assert_eq!(pair.get(1).await, Some(2), "it was stored");
}

#[tokio::test]
async fn while_the_shared_tier_is_away_nothing_is_sent_there() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let sent = || [Operation::Fill, Operation::Invalidate].map(|operation| pair.faults.calls(operation));
    let before = sent();
    let (key_one, options) = (key(1), hour());
    let computed = pair.cache.get_or_compute(&key_one, &options, async || {
        pair.faults.set_down(true);
        for id in 10..13 {
            let _ = pair.cache.get::<u64>(&key(id), &hour()).await;
        }
        1_u64
    });
    assert_eq!(computed.await, 1);
    assert!(pair.shared().is_away);

    pair.cache.invalidate(&key(2)).await.unwrap_err();

    assert_eq!(sent(), before);
}

#[tokio::test]
async fn a_value_that_was_found_is_fresh_for_as_long_as_it_was_where_it_was_computed() {
    let pair = Pair::new();
    let options = larder::Options::ttl(Duration::from_secs(100));
    pair.other.put(&key(1), 1_u64, &options).await.unwrap();
    pair.store.pass(Duration::from_secs(60));
    hears(&pair.cache).await;
    assert_eq!(pair.cache.get::<u64>(&key(1), &options).await.unwrap(), Some(1));

    for (seconds, found) in [(39, Some(1)), (2, None)] {
        pair.store.pass(Duration::from_secs(seconds));
        pair.pass(Duration::from_secs(seconds)).await;
        pair.comes_about(|pair| pair.shared().is_confirmed).await;
        assert_eq!(pair.cache.get::<u64>(&key(1), &options).await.unwrap(), found);
    }
}

/// Bears a tag that only the value knows.
#[cached(ttl = 3600, name = "races/named", tags_from = |(id, _)| [format!("soup:{id}")], skip(cache, truth), cache = cache)]
async fn named(cache: &Cache, truth: &AtomicU64, id: u64) -> (u64, u64) {
    let _ = cache;
    (id, truth.load(Ordering::SeqCst))
}

/// A call that leads is held up at an operation, the tag is invalidated, and another call comes: what the two get.
async fn around_an_invalidation(operation: Operation, which: usize, is_there: bool) -> (u64, u64) {
    // given a process that knows all epochs but that of the tag
    let pair = Pair::new();
    let truth = AtomicU64::new(0);
    hears(&pair.cache).await;
    named(&pair.cache, &truth, 2).await;
    // The first to name a tag stores nothing: before it nobody could say whether that was invalidated.
    named(&pair.other, &truth, 1).await;
    if is_there {
        named(&pair.other, &truth, 1).await;
    }
    let mut gate = pair.faults.hold_answer(operation);

    // when
    let first = named(&pair.cache, &truth, 1);
    let second = async {
        for _ in 1..which {
            gate.arrived().await;
            gate = pair.faults.hold_answer(operation);
        }
        gate.arrived().await;
        truth.store(1, Ordering::SeqCst);
        pair.cache.invalidate_tags(["soup:1"]).await.unwrap();
        let joined = pair.cache.stats().joined();
        let opening = async {
            until(|| pair.cache.stats().joined() > joined).await;
            gate.open();
        };
        tokio::join!(named(&pair.cache, &truth, 1), opening).0
    };
    let both = tokio::time::timeout(SOON, async { tokio::join!(first, second) }).await;

    // then
    let stats = pair.cache.stats();
    assert_eq!(stats.function("races/named").unwrap().shared_hits > 0, is_there, "{operation:?}");
    let (first, second) = both.expect("both are answered");
    (first.1, second.1)
}

/// Who joins cannot know that the flight is about to bear it.
#[tokio::test]
async fn who_began_after_a_late_tag_was_invalidated_is_not_handed_what_was_read_or_stored_before() {
    // The epoch of the tag is read after the entry is, and borne before the fill is answered.
    for (operation, which, is_there) in [(Operation::Read, 2, true), (Operation::Fill, 1, false)] {
        let (first, second) = around_an_invalidation(operation, which, is_there).await;

        assert_eq!(first, 0, "{operation:?}: it began before");
        assert_eq!(second, 1, "{operation:?}: it began after");
    }
}
