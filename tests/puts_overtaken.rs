//! A value that is put does not outlive an invalidation that came meanwhile: it was there before.
//!
//! Time stands still unless a test moves it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Mutex;
use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Cache, cached, updates};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use support::Task;
use support::pair::Pair;
use support::processes::{SOON, hears, hour, key, until};

#[tokio::test]
async fn an_invalidation_of_its_key_before_it_has_the_key_removes_it() {
    for is_elsewhere in [false, true] {
        // given a put that is about to take the key
        let pair = Pair::new();
        hears(&pair.cache).await;
        let gate = pair.faults.hold(Operation::Lease);
        let putting = async { pair.cache.put(&key(1), 1_u64, &hour()).await };

        // when the key is invalidated
        let invalidating = async {
            gate.arrived().await;
            let heard = pair.shared().messages;
            if is_elsewhere {
                pair.other.invalidate(&key(1)).await.unwrap();
                until(|| pair.shared().messages > heard).await;
            } else {
                pair.cache.invalidate(&key(1)).await.unwrap();
            }
            gate.open();
        };
        tokio::join!(putting, invalidating).0.unwrap();

        // then the value is nowhere
        let there = pair.third().get::<u64>(&key(1), &hour()).await.unwrap();
        assert_eq!((pair.get(1).await, there), (None, None), "elsewhere: {is_elsewhere}");
    }
}

#[tokio::test]
async fn an_invalidation_that_was_made_and_not_answered_yet_removes_it_too() {
    for by_tag in [false, true] {
        // given an invalidation whose answer is on its way
        let pair = Pair::new();
        let menu = hour().tags(["menu"]);
        hears(&pair.cache).await;
        pair.faults.set_deaf(true);
        let operation = if by_tag { Operation::InvalidateTags } else { Operation::Invalidate };
        let gate = pair.faults.hold_answer(operation);
        let invalidating = async {
            match by_tag {
                true => pair.cache.invalidate_tags(["menu"]).await.map(drop),
                false => pair.cache.invalidate(&key(1)).await.map(drop),
            }
        };

        // when a value is put that was there before
        let putting = async {
            gate.arrived().await;
            pair.cache.put(&key(1), 1_u64, &menu).await.unwrap();
            gate.open();
        };
        tokio::join!(invalidating, putting).0.unwrap();

        // then it is nowhere
        let there = pair.third().get::<u64>(&key(1), &menu).await.unwrap();
        assert_eq!(there, None, "by tag: {by_tag}");
    }
}

#[tokio::test]
async fn an_invalidation_of_its_tag_elsewhere_removes_it_also_where_it_is_not_heard_of() {
    for is_heard in [true, false] {
        // given a put that is about to take the key, by epochs that are known
        let pair = Pair::new();
        let menu = hour().tags(["menu"]);
        hears(&pair.cache).await;
        pair.cache.put(&key(0), 0_u64, &menu).await.unwrap();
        let gate = pair.faults.hold(Operation::Lease);
        let putting = async { pair.cache.put(&key(1), 1_u64, &menu).await };

        // when its tag is invalidated elsewhere
        let invalidating = async {
            gate.arrived().await;
            let heard = pair.shared().messages;
            pair.faults.set_deaf(!is_heard);
            pair.other.invalidate_tags(["menu"]).await.unwrap();
            if is_heard {
                until(|| pair.shared().messages > heard).await;
            }
            gate.open();
        };
        tokio::join!(putting, invalidating).0.unwrap();

        // then it is not there
        let there = pair.other.get::<u64>(&key(1), &menu).await.unwrap();
        assert_eq!(there, None, "heard: {is_heard}");
    }
}

/// Calls do not join it any more: here since it shows for too long that it does not go on, and elsewhere since a message came late.
#[tokio::test]
async fn who_has_read_what_it_replaces_hands_that_to_nobody_who_begins_later() {
    // given a put that stands still on its way to the shared tier
    let pair = Pair::new();
    hears(&pair.cache).await;
    pair.other.put(&key(1), 0_u64, &hour()).await.unwrap();
    let fill = pair.faults.hold(Operation::Fill);
    let cache = pair.cache.clone();
    let putting = tokio::spawn(async move { cache.put(&key(1), 1_u64, &hour()).await });
    fill.arrived().await;
    // and a call that waits for it no longer, and has read what is there
    let read = pair.faults.hold_answer(Operation::Read);
    let begin = || {
        let cache = pair.cache.clone();
        tokio::spawn(async move { cache.get_or_compute(&key(1), &hour(), || async { 1_u64 }).await })
    };
    let earlier = begin();
    let has_read = async {
        tokio::select! {
            () = read.arrived() => {}
            () = async { loop { pair.pass(Duration::from_secs(1)).await } } => {}
        }
    };
    tokio::time::timeout(SOON, has_read).await.unwrap();

    // when the value is there
    fill.open();
    putting.await.unwrap().unwrap();

    // then whoever begins gets it
    let later = begin();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    read.open();
    assert_eq!(later.await.unwrap(), 1);
    assert_eq!(earlier.await.unwrap(), 0, "it began before");
    assert_eq!(pair.get(1).await, Some(1));
}

/// What another thread does while the value of the tag `b` is encoded.
static MEANWHILE: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Slow {
    tag: String,
}

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let meanwhile = if self.tag == "b" { MEANWHILE.lock().unwrap().take() } else { None };
        if let Some(meanwhile) = meanwhile {
            std::thread::spawn(meanwhile).join().unwrap();
        }
        let mut slow = serializer.serialize_struct("Slow", 1)?;
        slow.serialize_field("tag", &self.tag)?;
        slow.end()
    }
}

#[cached(ttl = 60, tags_from = |slow| [slow.tag.clone()], skip(tag))]
async fn slow(tag: &str) -> Slow {
    Slow { tag: tag.to_owned() }
}

#[tokio::test]
async fn an_invalidation_of_a_tag_that_only_the_value_knows_leaves_no_older_value() {
    let cache = Cache::default();
    let test = async {
        // given a value, and another one to be put in its place
        slow("a").await;
        let other = cache.clone();
        *MEANWHILE.lock().unwrap() = Some(Box::new(move || {
            Task::new(other.invalidate_tags(["b"])).end().unwrap();
        }));

        // when its tag is invalidated while it is put
        slow_entry().put(Slow { tag: "b".to_owned() }).await.unwrap();

        // then neither is there
        assert!(MEANWHILE.lock().unwrap().is_none());
        assert_eq!(slow("c").await.tag, "c");
    };
    cache.scope(test).await;
}

/// Rows whose tag only the row knows.
#[cached(ttl = 3600, name = "puts/owned", tags_from = |row| [format!("owner:{}", row % 10)], skip(cache, row), cache = cache)]
async fn owned(cache: &Cache, row: u64) -> u64 {
    let _ = cache;
    row
}

#[updates(entry = owned_entry(cache), value = |row| *row)]
async fn write_owned(cache: &Cache, row: u64) -> u64 {
    let _ = cache;
    row
}

#[tokio::test]
async fn an_invalidation_of_a_tag_that_the_value_knows_removes_it() {
    for by_writer in [false, true] {
        // given a tag that the shared tier knows, and a put that is about to take the key
        let pair = Pair::new();
        hears(&pair.cache).await;
        for _ in 0..2 {
            owned(&pair.cache, 7).await;
            owned_entry(&pair.cache).invalidate().await.unwrap();
        }
        let gate = pair.faults.hold(Operation::Lease);
        let putting = async {
            match by_writer {
                true => drop(write_owned(&pair.cache, 17).await),
                false => owned_entry(&pair.cache).put(17).await.unwrap(),
            }
        };

        // when that tag is invalidated
        let invalidating = async {
            gate.arrived().await;
            pair.cache.invalidate_tags(["owner:7"]).await.unwrap();
            gate.open();
        };
        tokio::join!(putting, invalidating);

        // then the value is nowhere
        assert_eq!(owned(&pair.cache, 27).await, 27, "by a writer: {by_writer}");
    }
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing_older_here_than_elsewhere() {
    for is_forced in [false, true] {
        let pair = Pair::new();
        hears(&pair.cache).await;
        owned(&pair.cache, 1).await;
        owned(&pair.cache, 1).await;
        let gate = pair.faults.hold_answer(Operation::Fill);
        {
            let storing = async {
                match is_forced {
                    true => drop(owned_refresh(&pair.cache, 11).await),
                    false => owned_entry(&pair.cache).put(11).await.unwrap(),
                }
            };
            tokio::select! {
                () = storing => panic!("its answer is held back"),
                () = gate.arrived() => {}
            }
        }
        gate.open();

        let here = owned(&pair.cache, 21).await;
        assert_eq!(
            here,
            owned_entry(&pair.other).peek().await.unwrap().unwrap().value,
            "forced: {is_forced}"
        );
        assert_ne!(here, 1);
    }
}
