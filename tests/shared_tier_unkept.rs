//! Values that are not kept in the process: each call looks for itself by what the bus has told, and who computes is only
//! asked where nothing is found.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Cache, Key, Local, cached};
use support::pair::Pair;
use support::processes::{SOON, hears, hour, until};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The truth, and how often it was asked.
#[derive(Default)]
struct Truth {
    now: AtomicU64,
    asked: AtomicUsize,
}

impl Truth {
    fn read(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.now.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[cached(ttl = 3600, name = "unkept", tags = ["soup"], skip(cache, truth), cache = cache)]
async fn one(cache: &Cache, truth: &Truth, id: u64) -> u64 {
    let _ = (cache, id);
    truth.read()
}

#[cached(ttl = 3600, name = "unkept", each = ids, tags = ["soup"], skip(cache, truth), cache = cache)]
async fn many(cache: &Cache, truth: &Truth, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    ids.iter().map(|id| (*id, truth.read())).collect()
}

#[cached(ttl = 3600, name = "unkept/slow", skip(cache, truth, go), cache = cache)]
async fn slow(cache: &Cache, truth: &Truth, go: &Semaphore) -> u64 {
    let _ = cache;
    let read = truth.read();
    go.acquire().await.unwrap().forget();
    read
}

/// How a call asks for an id.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Single,
    InABatch,
}

impl Asks {
    const BOTH: [Self; 2] = [Self::Single, Self::InABatch];

    async fn ask(self, cache: &Cache, truth: &Truth, id: u64) -> u64 {
        match self {
            Self::Single => one(cache, truth, id).await,
            Self::InABatch => many(cache, truth, &[id]).await[&id],
        }
    }

    fn operation(self) -> Operation {
        match self {
            Self::Single => Operation::Read,
            Self::InABatch => Operation::ReadMany,
        }
    }
}

/// A process that keeps nothing, knows all epochs, and one entry in the shared tier.
async fn stage() -> (Pair, Truth) {
    let (pair, truth) = (Pair::with(Cache::builder().local(Local::bytes(0))), Truth::default());
    hears(&pair.cache).await;
    one(&pair.cache, &truth, 0).await;
    one(&pair.other, &truth, 1).await;
    truth.asked.store(0, Ordering::SeqCst);
    (pair, truth)
}

/// What two calls at the same time come to: the second begins while the answer to the first one's look is held, and that is
/// let go when the second looks, too, or joins. And how many looked, and joined.
async fn two_at_once<T>(pair: &Pair, asks: Asks, ask: impl AsyncFn() -> T) -> ((T, T), (usize, u64)) {
    let begun = (pair.faults.calls(asks.operation()), pair.cache.stats().joined());
    let since = || (pair.faults.calls(asks.operation()) - begun.0, pair.cache.stats().joined() - begun.1);
    let gate = pair.faults.hold_answer(asks.operation());
    let second = async {
        gate.arrived().await;
        let opening = async {
            until(|| since() != (1, 0)).await;
            gate.open();
        };
        tokio::join!(ask(), opening).0
    };

    let found = tokio::join!(ask(), second);
    (found, since())
}

#[tokio::test]
async fn each_call_looks_for_itself() {
    for asks in Asks::BOTH {
        let (pair, truth) = stage().await;
        let hits = pair.cache.stats().hits();

        let (found, counts) = two_at_once(&pair, asks, async || asks.ask(&pair.cache, &truth, 1).await).await;

        assert_eq!((found, counts), ((0, 0), (2, 0)), "{asks:?}");
        assert_eq!((pair.cache.stats().hits(), truth.asked()), (hits + 2, 0), "{asks:?}");
    }
}

#[tokio::test]
async fn what_was_invalidated_is_not_found() {
    for asks in Asks::BOTH {
        let (pair, truth) = stage().await;
        truth.now.store(1, Ordering::SeqCst);
        let heard = pair.shared().messages;
        pair.other.invalidate_tags(["soup"]).await.unwrap();
        until(|| pair.shared().messages > heard).await;

        assert_eq!(asks.ask(&pair.cache, &truth, 1).await, 1, "{asks:?}");
        assert_eq!(truth.asked(), 1, "{asks:?}");
    }
}

#[tokio::test]
async fn what_was_invalidated_by_function_or_altogether_is_not_found() {
    for asks in Asks::BOTH {
        for is_all in [true, false] {
            let (pair, truth) = stage().await;
            truth.now.store(1, Ordering::SeqCst);
            let heard = pair.shared().messages;
            match is_all {
                true => pair.other.clear().await.unwrap(),
                false => drop(pair.other.invalidate_function("unkept").await.unwrap()),
            }
            until(|| pair.shared().messages > heard).await;

            assert_eq!(asks.ask(&pair.cache, &truth, 1).await, 1, "{asks:?}, all: {is_all}");
        }
    }
}

#[cached(ttl = 3600, name = "unkept/plain", skip(cache, truth), cache = cache)]
async fn plain(cache: &Cache, truth: &Truth, id: u64) -> u64 {
    let _ = (cache, id);
    truth.read()
}

/// Nothing is known of what the bus may not have told.
#[tokio::test]
async fn who_does_not_hear_reads_the_epochs() {
    let (pair, truth) = stage().await;
    plain(&pair.cache, &truth, 0).await;
    plain(&pair.other, &truth, 1).await;
    pair.faults.set_deaf(true);
    truth.now.store(1, Ordering::SeqCst);
    pair.other.clear().await.unwrap();
    // Nobody has noticed yet that nothing is heard.
    pair.clock.advance(Duration::from_secs(3));

    assert_eq!(plain(&pair.cache, &truth, 1).await, 1);
}

#[tokio::test]
async fn what_is_not_there_is_computed_once() {
    for asks in Asks::BOTH {
        let (pair, truth) = stage().await;
        let looks = pair.faults.calls(asks.operation());
        let gate = pair.faults.hold(Operation::Lease);
        let calls = async {
            let ask = || asks.ask(&pair.cache, &truth, 2);
            tokio::join!(ask(), ask(), ask())
        };
        let opening = async {
            timeout(SOON, gate.arrived()).await.expect("who leads asks for a lease");
            until(|| pair.cache.stats().joined() == 2).await;
            gate.open();
        };

        let (found, ()) = tokio::join!(calls, opening);

        assert_eq!(found, (0, 0, 0), "{asks:?}");
        assert_eq!(truth.asked(), 1, "{asks:?}");
        // Who leads need not look again.
        assert_eq!(pair.faults.calls(asks.operation()), looks + 3, "{asks:?}");
    }
}

/// Who computes has a flight all the same.
#[tokio::test]
async fn who_began_after_an_invalidation_does_not_get_what_was_computed_before() {
    let (pair, truth) = stage().await;
    let go = Semaphore::new(0);
    let first = slow(&pair.cache, &truth, &go);
    let second = async {
        until(|| pair.faults.calls(Operation::Lease) >= 2).await;
        slow_entry(&pair.cache).invalidate().await.unwrap();
        truth.now.store(1, Ordering::SeqCst);
        go.add_permits(2);
        slow(&pair.cache, &truth, &go).await
    };

    let found = tokio::join!(first, second);

    assert_eq!(found, (0, 1));
    let stored = timeout(SOON, slow(&pair.cache, &truth, &go)).await;
    assert_eq!(stored.expect("it is there, and nobody computes"), 1);
}

#[tokio::test]
async fn a_dead_server_is_asked_once() {
    for asks in Asks::BOTH {
        let (pair, truth) = stage().await;
        let calls = || (pair.faults.calls(asks.operation()), pair.faults.calls(Operation::Lease));
        let (looks, leases) = calls();
        pair.faults.set_down(true);

        assert_eq!(asks.ask(&pair.cache, &truth, 1).await, 0, "{asks:?}");

        assert_eq!(calls(), (looks + 1, leases), "{asks:?}");
        assert_eq!(truth.asked(), 1, "{asks:?}");
    }
}

/// A time limit is waited for by one for all.
#[tokio::test]
async fn while_reads_fail_who_comes_later_joins() {
    for asks in Asks::BOTH {
        let (pair, truth) = stage().await;
        pair.faults.fail(asks.operation());
        asks.ask(&pair.cache, &truth, 1).await;

        let (found, counts) = two_at_once(&pair, asks, async || asks.ask(&pair.cache, &truth, 1).await).await;

        assert_eq!((found, counts), ((0, 0), (1, 1)), "{asks:?}");
    }
}

#[cached(ttl = 3600, name = "unkept/sized", skip(cache), cache = cache)]
async fn sized(cache: &Cache, id: u64, length: usize) -> String {
    let _ = cache;
    format!("{id:0length$}")
}

#[cached(ttl = 3600, name = "unkept/sized", each = ids, skip(cache), cache = cache)]
async fn sized_many(cache: &Cache, ids: &[u64], length: usize) -> HashMap<u64, String> {
    let _ = cache;
    ids.iter().map(|id| (*id, format!("{id:0length$}"))).collect()
}

/// How many of two calls at the same time join that ask for a value of this length.
async fn joined_of_two(pair: &Pair, asks: Asks, length: usize) -> u64 {
    let ask = async || match asks {
        Asks::Single => sized(&pair.cache, 1, length).await,
        Asks::InABatch => sized_many(&pair.cache, &[1], length).await[&1].clone(),
    };
    let ((first, second), (_, joined)) = two_at_once(pair, asks, ask).await;
    assert_eq!(first.len(), length, "{asks:?}");
    assert_eq!(first, second, "{asks:?}");
    joined
}

#[tokio::test]
async fn of_large_values_calls_share_what_one_reads() {
    for asks in Asks::BOTH {
        let (pair, _) = stage().await;
        for length in [20_000, 10] {
            sized(&pair.other, 1, length).await;
        }

        // The last value that was seen is what tells.
        sized(&pair.cache, 0, 20_000).await;
        assert_eq!(joined_of_two(&pair, asks, 20_000).await, 1, "{asks:?}");
        assert_eq!(joined_of_two(&pair, asks, 10).await, 1, "{asks:?}");
        assert_eq!(joined_of_two(&pair, asks, 20_000).await, 0, "{asks:?}");
        assert_eq!(joined_of_two(&pair, asks, 20_000).await, 1, "{asks:?}");
    }
}

#[cached(ttl = 100, name = "unkept/refreshed", refresh(after = 0.01), skip(cache, truth), cache = cache)]
async fn refreshed(cache: &Cache, truth: Arc<Truth>, id: u64) -> u64 {
    let _ = (cache, id);
    truth.read()
}

#[tokio::test]
async fn what_is_due_is_recomputed_in_the_background() {
    let (pair, truth) = stage().await;
    let truth = Arc::new(truth);
    refreshed(&pair.cache, truth.clone(), 0).await;
    refreshed(&pair.other, truth.clone(), 1).await;
    // Past the time when it is due, and not past that for which the bus vouches.
    pair.clock.advance(Duration::from_millis(1500));
    let asked = truth.asked();
    truth.now.store(1, Ordering::SeqCst);
    let looks = pair.faults.calls(Operation::Read);

    assert_eq!(refreshed(&pair.cache, truth.clone(), 1).await, 0);

    assert_eq!(pair.faults.calls(Operation::Read), looks + 1, "it was glanced at");
    until(|| truth.asked() > asked).await;
}

#[cached(ttl = 3600, name = "unkept/spoken", skip(cache, truth), cache = cache)]
async fn spoken(cache: &Cache, truth: &Truth, id: u64) -> u64 {
    let _ = cache;
    larder::current().tag(format!("spoken:{id}"));
    truth.read()
}

/// The bus has told nothing of a tag that nobody here knew.
#[tokio::test]
async fn a_tag_that_the_body_spoke_of_is_compared() {
    let (pair, truth) = stage().await;
    spoken(&pair.cache, &truth, 0).await;
    // The first to name a tag stores nothing.
    spoken(&pair.other, &truth, 1).await;
    spoken(&pair.other, &truth, 1).await;
    let asked = truth.asked();
    assert_eq!(spoken(&pair.cache, &truth, 1).await, 0);
    let looks = pair.faults.calls(Operation::Read);
    assert_eq!(spoken(&pair.cache, &truth, 1).await, 0);
    assert_eq!(truth.asked(), asked, "it is there");
    assert_eq!(
        pair.faults.calls(Operation::Read),
        looks + 1,
        "what the bus tells of the tag is known by now"
    );
    truth.now.store(1, Ordering::SeqCst);
    pair.other.invalidate_tags(["spoken:1"]).await.unwrap();

    assert_eq!(spoken(&pair.cache, &truth, 1).await, 1);
}

#[cached(ttl = 3600, name = "unkept/graced", grace = 3600, skip(cache, truth), cache = cache)]
async fn graced(cache: &Cache, truth: &Truth, id: u64) -> u64 {
    let _ = (cache, id);
    truth.read()
}

#[tokio::test]
async fn what_is_stale_is_computed_anew() {
    let (pair, truth) = stage().await;
    graced(&pair.cache, &truth, 0).await;
    graced(&pair.other, &truth, 1).await;
    truth.now.store(1, Ordering::SeqCst);
    graced_entry(&pair.other, 1).expire().await.unwrap();

    assert_eq!(graced(&pair.cache, &truth, 1).await, 1);
}

#[cached(ttl = 3600, name = "unkept/through", tags = ["soup"], tier = shared, skip(cache, truth), cache = cache)]
async fn through(cache: &Cache, truth: &Truth) -> u64 {
    let _ = cache;
    truth.read()
}

/// Whatever the bus has told, or not.
#[tokio::test]
async fn who_reads_through_reads_the_epochs() {
    let (pair, truth) = stage().await;
    through(&pair.cache, &truth).await;
    through(&pair.cache, &truth).await;
    pair.faults.set_deaf(true);
    truth.now.store(1, Ordering::SeqCst);
    pair.other.invalidate_tags(["soup"]).await.unwrap();

    assert_eq!(through(&pair.cache, &truth).await, 1);
}

#[tokio::test]
async fn keys_of_several_functions_are_read_at_once() {
    let (pair, _) = stage().await;
    let options = hour();
    let keys = || ["soups", "salads"].map(|name| (name, Key::of(name, 1).unwrap()));
    for _ in 0..2 {
        for (name, key) in keys() {
            let computed = pair.cache.get_or_compute(&key, &options, async || name.to_owned()).await;
            assert_eq!(computed, name);
        }
    }
    let before = (pair.faults.calls(Operation::Read), pair.faults.calls(Operation::ReadMany));

    let found: HashMap<&str, String> =
        pair.cache.get_or_compute_many(keys(), &options, async |_| HashMap::new()).await;

    assert_eq!(found, HashMap::from(["soups", "salads"].map(|name| (name, name.to_owned()))));
    let after = (pair.faults.calls(Operation::Read), pair.faults.calls(Operation::ReadMany));
    assert_eq!(after, (before.0, before.1 + 1));
}

#[cached(ttl = 3600, name = "unkept/nested", each = ids, skip(cache, truth), cache = cache)]
async fn nested(cache: &Cache, truth: &Truth, ids: &[u64]) -> HashMap<u64, u64> {
    let value = truth.read();
    if value > 0 && truth.asked() == 2 {
        Box::pin(nested(cache, truth, ids)).await;
    }
    ids.iter().map(|id| (*id, value)).collect()
}

/// As everywhere: what it asks for is what it is about to compute.
#[tokio::test]
async fn a_batch_that_asks_for_its_own_ids_computes_them() {
    let (pair, truth) = stage().await;
    nested(&pair.cache, &truth, &[1]).await;
    truth.now.store(1, Ordering::SeqCst);

    nested_refresh(&pair.cache, &truth, &[1]).await;

    assert_eq!(truth.asked(), 3);
}

#[tokio::test]
async fn where_there_is_room_what_is_found_is_kept() {
    for asks in Asks::BOTH {
        let (pair, truth) = (Pair::new(), Truth::default());
        hears(&pair.cache).await;
        one(&pair.cache, &truth, 0).await;
        one(&pair.other, &truth, 1).await;

        asks.ask(&pair.cache, &truth, 1).await;

        assert_eq!(pair.cache.stats().local_entries, 2, "{asks:?}");
    }
}
