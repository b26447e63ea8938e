//! What the bus tells, and what a process relies on while it is silent.
//!
//! Time stands still unless a test moves it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::Operation;
use larder::backend::TagKey;
use larder::{Invalidate, Tag};
use support::pair::Pair;
use support::processes::{SOON, hears, hour, key, until};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const STALENESS: Duration = Duration::from_secs(2);

/// Lets the other process hold the lease of a key, and the first one wait for it.
async fn waiting(pair: &Pair) -> (JoinHandle<u64>, JoinHandle<u64>) {
    let computing = Arc::new(Notify::new());
    let holder = tokio::spawn({
        let (other, computing) = (pair.other.clone(), computing.clone());
        async move {
            let never = || async {
                computing.notify_one();
                std::future::pending::<u64>().await
            };
            other.get_or_compute(&key(1), &hour(), never).await
        }
    });
    computing.notified().await;
    let waiter = tokio::spawn({
        let cache = pair.cache.clone();
        async move { cache.get_or_compute(&key(1), &hour(), async || 2_u64).await }
    });
    until(|| pair.faults.calls(Operation::Lease) > 0).await;
    (holder, waiter)
}

#[tokio::test]
async fn what_is_read_by_epochs_that_were_heard_is_no_younger_than_those() {
    for many in [false, true] {
        // given a process that knows the epoch of a tag, and hears nothing any more
        let pair = Pair::new();
        let menu = hour().tags(["menu"]);
        for id in 1..=3 {
            pair.other.put(&key(id), 1_u64, &menu).await.unwrap();
        }
        hears(&pair.cache).await;
        assert_eq!(pair.cache.get::<u64>(&key(2), &menu).await.unwrap(), Some(1));
        pair.faults.set_deaf(true);

        // when another invalidates the tag, and it reads by what it knows at the end of the time for which it may
        pair.other.invalidate_tags(["menu"]).await.unwrap();
        pair.pass(STALENESS - Duration::from_millis(1)).await;
        let compute = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, 2_u64)).collect();
        let ask = async |id: u64| match many {
            true => {
                let ids = [(id, key(id)), (3, key(3))];
                pair.cache.get_or_compute_many(ids, &menu, compute).await[&id]
            }
            false => pair.cache.get_or_compute(&key(id), &menu, async || 2_u64).await,
        };
        assert_eq!(ask(1).await, 1, "nobody has said anything else");

        // then that is over with this time
        pair.pass(Duration::from_millis(2)).await;
        assert_eq!(ask(1).await, 2, "many: {many}");
    }
}

#[tokio::test]
async fn who_waits_hears_that_a_lease_was_given_up() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let (holder, waiter) = waiting(&pair).await;

    holder.abort();

    // Its own patience does not end while time stands still.
    let told = tokio::time::timeout(SOON, waiter).await;
    assert_eq!(told.expect("it was not told").unwrap(), 2);
}

#[tokio::test]
async fn who_waits_looks_again_after_a_gap() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let (holder, waiter) = waiting(&pair).await;
    pair.faults.set_deaf(true);
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    // The lease is given up when another can take it.
    let taken = async { pair.third().get_or_compute(&key(1), &hour(), async || 3_u64).await };
    assert_eq!(tokio::time::timeout(SOON, taken).await.expect("it is held"), 3);

    pair.faults.set_deaf(false);
    pair.store.memory().cut_bus();

    let told = tokio::time::timeout(SOON, waiter).await;
    assert_eq!(told.expect("it did not look").unwrap(), 3);
}

#[tokio::test]
async fn who_waits_hears_that_a_lease_was_voided() {
    for by_expiry in [false, true] {
        let pair = Pair::new();
        hears(&pair.cache).await;
        let (holder, waiter) = waiting(&pair).await;

        match by_expiry {
            true => pair.third().expire(&key(1)).await.unwrap(),
            false => pair.third().invalidate(&key(1)).await.unwrap(),
        }

        let told = tokio::time::timeout(SOON, waiter).await;
        assert_eq!(told.expect("it was not told").unwrap(), 2, "by expiry: {by_expiry}");
        holder.abort();
    }
}

#[tokio::test]
async fn who_waits_looks_again_when_the_shared_tier_is_back() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let (holder, waiter) = waiting(&pair).await;
    // given that nobody told it that the lease was given up, and of the fill after it
    pair.faults.set_deaf(true);
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    let taken = async { pair.third().get_or_compute(&key(1), &hour(), async || 3_u64).await };
    assert_eq!(tokio::time::timeout(SOON, taken).await.expect("it is held"), 3);

    // when three calls in a row are not answered
    for id in 10..13 {
        pair.faults.fail(Operation::Read);
        pair.cache.get::<u64>(&key(id), &hour()).await.unwrap_err();
    }

    // then it is asked at once whether it is back, and who waits looks
    let told = tokio::time::timeout(SOON, waiter).await;
    assert_eq!(told.expect("it did not look").unwrap(), 3);
    assert_eq!((pair.shared().openings, pair.shared().is_away), (1, false));
}

#[tokio::test]
async fn the_message_of_ones_own_invalidated_tag_does_not_outdate_what_was_filled_since() {
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &menu).await.unwrap();
    for is_heard_first in [false, true] {
        let heard = pair.shared().messages;
        let gate = is_heard_first.then(|| pair.faults.hold_answer(Operation::InvalidateTags));
        let invalidating = async {
            pair.cache.invalidate_tags(["menu"]).await.unwrap();
            pair.cache.put(&key(1), 2_u64, &menu).await.unwrap();
        };
        let hearing = async {
            if let Some(gate) = gate {
                gate.arrived().await;
                until(|| pair.shared().messages > heard).await;
            }
        };
        tokio::join!(invalidating, hearing);
        // That of the tag and that of the put.
        until(|| pair.shared().messages >= heard + 2).await;

        let reads = pair.faults.calls(Operation::Read);
        assert_eq!(pair.cache.get::<u64>(&key(1), &menu).await.unwrap(), Some(2));
        assert_eq!(pair.faults.calls(Operation::Read), reads, "heard first: {is_heard_first}");
    }
}

#[tokio::test]
async fn a_clearing_elsewhere_is_heard() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    assert_eq!(pair.get(1).await, Some(1));
    let heard = pair.shared().messages;

    pair.other.clear().await.unwrap();
    until(|| pair.shared().messages > heard).await;

    assert_eq!(pair.get(1).await, None);
}

#[tokio::test]
async fn a_gap_takes_the_trust_away_until_the_next_heartbeat() {
    let pair = Pair::new();
    hears(&pair.cache).await;
    let (gaps, gate) = (pair.shared().gaps, pair.faults.hold(Operation::Heartbeat));

    pair.store.memory().cut_bus();
    until(|| pair.shared().gaps > gaps).await;

    assert!(!pair.shared().is_confirmed);
    gate.open();
    until(|| pair.shared().is_confirmed).await;
}

#[tokio::test]
async fn epochs_that_were_learned_before_a_gap_are_not_relied_on_after_it() {
    // given a process that knows the epoch of a tag, and an invalidation that it did not hear of
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &menu).await.unwrap();
    assert_eq!(pair.cache.get::<u64>(&key(1), &menu).await.unwrap(), Some(1));
    pair.faults.set_deaf(true);
    pair.other.invalidate_tags(["menu"]).await.unwrap();
    pair.faults.set_deaf(false);

    // when it was told of a gap, hears again, and has learned the other epochs anew
    let gaps = pair.shared().gaps;
    pair.store.memory().cut_bus();
    until(|| pair.shared().gaps > gaps && pair.shared().is_confirmed).await;
    assert_eq!(pair.get(2).await, None);

    assert_eq!(pair.cache.get::<u64>(&key(1), &menu).await.unwrap(), None);
}

#[tokio::test]
async fn epochs_are_not_relied_on_while_no_heartbeat_comes_back() {
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    pair.cache.put(&key(1), 1_u64, &menu).await.unwrap();
    let gate = pair.faults.hold(Operation::Heartbeat);
    pair.faults.set_deaf(true);
    pair.other.invalidate_tags(["menu"]).await.unwrap();

    pair.pass(STALENESS).await;

    assert!(!pair.shared().is_confirmed);
    assert_eq!(pair.cache.get::<u64>(&key(1), &menu).await.unwrap(), None);
    gate.open();
}

#[tokio::test]
async fn an_epoch_that_was_lost_and_drawn_anew_is_asked_for() {
    // given a process that knows the epoch of a tag
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    assert_eq!(pair.cache.get_or_compute(&key(1), &menu, async || 1_u64).await, 1);

    // when the store loses it, and another process fills an entry under the next one
    let store = pair.store.memory();
    let prefix = larder::backend::Prefix::new("app").unwrap();
    larder::backend::Backend::view(store, &prefix).lose_tags(&[TagKey::from(Tag::from("menu"))]);
    assert_eq!(pair.other.get_or_compute(&key(2), &menu, async || 2_u64).await, 2);

    // then that is found
    assert_eq!(pair.cache.get::<u64>(&key(2), &menu).await.unwrap(), Some(2));
}

#[tokio::test]
async fn an_invalidation_that_a_lease_tells_of_takes_effect_before_its_message() {
    let pair = Pair::new();
    let menu = hour().tags(["menu"]);
    hears(&pair.cache).await;
    for id in [1, 2] {
        assert_eq!(pair.cache.get_or_compute(&key(id), &menu, async || id).await, id);
    }
    pair.faults.set_deaf(true);
    pair.other.invalidate_tags(["menu"]).await.unwrap();

    assert_eq!(pair.cache.get_or_compute(&key(3), &menu, async || 3_u64).await, 3);

    assert_eq!(pair.cache.get_or_compute(&key(1), &menu, async || 4_u64).await, 4);
    // What was computed after it stays.
    let reads = pair.faults.calls(Operation::Read);
    assert_eq!(pair.cache.get::<u64>(&key(3), &menu).await.unwrap(), Some(3));
    assert_eq!(pair.faults.calls(Operation::Read), reads);
}

#[tokio::test]
async fn what_is_made_stale_by_tag_stays_stale_here_when_the_message_comes_before_the_answer() {
    for what in ["tag", "function", "everything"] {
        // given a value that may stand in
        let pair = Pair::new();
        let graced = hour().grace(Duration::from_secs(600)).tags(["menu"]);
        hears(&pair.cache).await;
        pair.cache.put(&key(1), 7_u64, &graced).await.unwrap();

        // when it is made stale, and the bus tells of that first
        let gate = pair.faults.hold_answer(Operation::InvalidateTags);
        let heard = pair.shared().messages;
        let expiring = async {
            let set = match what {
                "tag" => Invalidate::tag("menu"),
                "function" => Invalidate::function("dishes"),
                _ => Invalidate::everything(),
            };
            pair.cache.apply(set.softly()).await.unwrap();
        };
        let meanwhile = async {
            gate.arrived().await;
            until(|| pair.shared().messages > heard).await;
            gate.open();
        };
        tokio::join!(expiring, meanwhile);

        // then it stands in
        let fails = async || Err::<u64, ()>(());
        assert_eq!(pair.cache.try_get_or_compute(&key(1), &graced, fails).await, Ok(7), "{what}");
    }
}
