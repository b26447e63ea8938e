//! Batches over a shared tier: one round trip for all, one computation over all processes, nothing stale.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::testing::Operation;
use larder::backend::{Backend, Memory, Prefix};
use larder::{Cache, Tag, cached};
use support::pair::Pair;
use support::processes::{SOON, hears, process, until};
use tokio::sync::Semaphore;

/// A body that can be held up.
#[derive(Clone)]
struct Rows {
    computed: Arc<AtomicUsize>,
    began: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Rows {
    fn open() -> Self {
        let rows = Self::held();
        rows.open.add_permits(1 << 20);
        rows
    }

    fn held() -> Self {
        Self {
            computed: Arc::default(),
            began: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    async fn read(&self, ids: &[u64]) -> HashMap<u64, u64> {
        self.computed.fetch_add(ids.len(), Ordering::SeqCst);
        self.began.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        ids.iter().map(|id| (*id, id * 10)).collect()
    }

    fn computed(&self) -> usize {
        self.computed.load(Ordering::SeqCst)
    }

    async fn until_begun(&self) {
        self.began.acquire().await.unwrap().forget();
    }
}

#[cached(ttl = 3600, name = "shared/rows", each = ids, skip(cache, rows), cache = cache, when = id < 50)]
async fn low(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    rows.read(ids).await
}

#[tokio::test]
async fn what_goes_past_the_cache_goes_to_the_body_with_what_this_call_gets_a_lease_for() {
    let (pair, rows) = (Pair::new(), Rows::held());
    hears(&pair.cache).await;
    // given that another process computes one of them
    let holder = tokio::spawn({
        let (other, rows) = (pair.other.clone(), rows.clone());
        async move { low(&other, &rows, &[2]).await }
    });
    rows.until_begun().await;

    // when the body is asked for the rest, it is once, and does not wait for the other process
    let call = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), rows.clone());
        async move { low(&cache, &rows, &[70, 1, 2]).await }
    });
    let begun = tokio::time::timeout(SOON, rows.until_begun());
    begun.await.expect("it waits for the other process");
    assert_eq!(rows.computed(), 1 + 2);
    rows.open.add_permits(8);

    assert_eq!(call.await.unwrap(), HashMap::from([(70, 700), (1, 10), (2, 20)]));
    assert_eq!((holder.await.unwrap().len(), rows.computed()), (1, 3));
}

#[cached(ttl = 3600, name = "shared/rows", each = ids, tags = ["rows", "row:{id}"], skip(cache, rows), cache = cache)]
async fn many(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    rows.read(ids).await
}

#[cached(ttl = 3600, name = "shared/through", each = ids, tags = ["rows"], tier = shared, skip(cache, rows), cache = cache)]
async fn through(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    rows.read(ids).await
}

fn of(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, id * 10)).collect()
}

#[tokio::test]
async fn all_that_the_local_tier_lacks_is_read_at_once() {
    let (pair, rows) = (Pair::new(), Rows::open());
    let ids: Vec<u64> = (0..100).collect();
    assert_eq!(many(&pair.other, &rows, &ids).await, of(&ids));

    let before = (pair.faults.calls(Operation::Read), pair.faults.calls(Operation::ReadMany));
    assert_eq!(many(&pair.cache, &rows, &ids).await, of(&ids));
    let after = (pair.faults.calls(Operation::Read), pair.faults.calls(Operation::ReadMany));

    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 1));
    assert_eq!(pair.faults.calls(Operation::Lease), 0);
    assert_eq!(rows.computed(), 100);
    assert_eq!(pair.cache.stats().function("shared/rows").unwrap().shared_hits, 100);
}

#[tokio::test]
async fn only_what_no_tier_has_is_computed() {
    let (pair, rows) = (Pair::new(), Rows::open());
    many(&pair.other, &rows, &[1, 2, 3]).await;

    assert_eq!(many(&pair.cache, &rows, &[3, 4, 1, 5]).await, of(&[1, 3, 4, 5]));
    assert_eq!(many(&pair.other, &rows, &[4, 5]).await, of(&[4, 5]));

    assert_eq!(rows.computed(), 5);
}

#[tokio::test]
async fn what_another_process_computes_is_awaited() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;

    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { many(&one, &slow, &[1, 2]).await }
    });
    slow.until_begun().await;
    let second = tokio::spawn({
        let (two, fast) = (two.clone(), fast.clone());
        async move { many(&two, &fast, &[2, 3]).await }
    });
    // What is its own is computed and stored meanwhile.
    until(|| fast.computed() == 1).await;
    let third = process(&store);
    tokio::time::timeout(SOON, async {
        while many_entry(&third, 3).peek().await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("3 is stored");
    slow.open.add_permits(1);

    assert_eq!(first.await.unwrap(), of(&[1, 2]));
    assert_eq!(second.await.unwrap(), of(&[2, 3]));
    assert_eq!((slow.computed(), fast.computed()), (2, 1));
}

#[tokio::test]
async fn two_processes_that_want_what_the_other_one_computes_both_get_it() {
    let (store, rows) = (Memory::new(), Rows::open());
    let caches: Vec<Cache> = (0..4).map(|_| process(&store)).collect();
    let calls: Vec<_> = (0..200_u64)
        .map(|n| {
            let (cache, rows) = (caches[n as usize % 4].clone(), rows.clone());
            tokio::spawn(async move {
                // Overlapping, in orders of their own.
                let mut ids: Vec<u64> = (0..10).map(|i| (n + i) % 50).collect();
                if n % 2 == 0 {
                    ids.reverse();
                }
                assert_eq!(many(&cache, &rows, &ids).await, of(&ids));
            })
        })
        .collect();

    for call in calls {
        tokio::time::timeout(SOON, call).await.expect("it hangs").unwrap();
    }

    assert_eq!(rows.computed(), 50);
    assert!(caches.iter().all(|cache| cache.computations_in_flight() == 0));
}

#[tokio::test]
async fn what_is_invalidated_elsewhere_during_a_batch_is_not_stored() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&one).await;

    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { many(&one, &slow, &[1, 2, 3]).await }
    });
    slow.until_begun().await;
    two.invalidate_tags(["row:1"]).await.unwrap();
    many_entry(&two, 2).invalidate().await.unwrap();
    slow.open.add_permits(1);
    first.await.unwrap();

    many(&one, &fast, &[1, 2, 3]).await;
    assert_eq!(fast.computed(), 2);
    many(&two, &fast, &[1, 2, 3]).await;
    assert_eq!(fast.computed(), 2);
}

#[tokio::test]
async fn with_tier_shared_a_batch_reads_through() {
    let (pair, rows) = (Pair::new(), Rows::open());
    let (one, two) = (&pair.cache, &pair.other);
    through(one, &rows, &[1, 2]).await;
    through(two, &rows, &[1, 2]).await;
    assert_eq!(rows.computed(), 2);
    assert_eq!(one.stats().local_entries, 0);

    // Not a message is heard here: it is what the store says that counts.
    pair.faults.set_deaf(true);
    two.invalidate_tags(["rows"]).await.unwrap();
    through(one, &rows, &[1, 2]).await;
    assert_eq!(rows.computed(), 4);
}

#[tokio::test]
async fn without_the_shared_tier_a_batch_goes_on_by_itself() {
    let (pair, rows) = (Pair::new(), Rows::open());
    pair.faults.set_down(true);

    assert_eq!(many(&pair.cache, &rows, &[1, 2]).await, of(&[1, 2]));
    assert_eq!(through(&pair.cache, &rows, &[1, 2]).await, of(&[1, 2]));

    assert_eq!(rows.computed(), 4);
    assert_eq!(pair.cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn a_batch_that_is_cancelled_gives_its_leases_back() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;

    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { many(&one, &slow, &[1, 2, 3]).await }
    });
    slow.until_begun().await;
    first.abort();

    // Long before the leases would end.
    let second = many(&two, &fast, &[1, 2, 3]);
    assert_eq!(tokio::time::timeout(SOON / 2, second).await.expect("it waits for nobody"), of(&[1, 2, 3]));
}

#[tokio::test]
async fn leases_of_later_runs_are_kept() {
    #[cached(ttl = 3600, name = "shared/slow", lease = "10s", each(id in ids, at_most = 1), skip(cache, rows), cache = cache)]
    async fn slow(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
        let _ = cache;
        rows.read(ids).await
    }

    let (pair, rows) = (Pair::new(), Rows::held());
    let running = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), rows.clone());
        async move { slow(&cache, &rows, &[1, 2, 3, 4, 5, 6]).await }
    });
    // Each run is shorter than the time between two renewals, and all of them longer than a lease.
    for _ in 0..6 {
        rows.until_begun().await;
        for _ in 0..3 {
            pair.pass(Duration::from_millis(900)).await;
        }
        rows.open.add_permits(1);
    }

    running.await.unwrap();
    until(|| pair.faults.calls(Operation::Fill) == 6).await;
    assert!(pair.faults.calls(Operation::Renew) > 0);
}

/// A server that is asked for all of them at once answers none in time.
#[tokio::test]
async fn no_more_leases_are_renewed_at_once_than_a_server_takes_well() {
    const IDS: u64 = 600;
    const AT_ONCE: usize = 256;
    let (pair, rows) = (Pair::new(), Rows::held());
    let running = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), rows.clone());
        async move { many(&cache, &rows, &(0..IDS).collect::<Vec<_>>()).await }
    });
    rows.until_begun().await;
    let gates: Vec<_> = (0..IDS).map(|_| pair.faults.hold(Operation::Renew)).collect();

    pair.pass(Duration::from_secs(4)).await;
    assert_eq!(pair.faults.calls(Operation::Renew), AT_ONCE);
    drop(gates);

    until(|| pair.faults.calls(Operation::Renew) == 600).await;
    rows.open.add_permits(1);
    assert_eq!(running.await.unwrap().len(), 600);
}

/// Who waits for another process asks now and then whether it still computes.
#[tokio::test]
async fn no_more_leases_are_asked_for_at_once_than_a_server_takes_well() {
    const IDS: u64 = 600;
    const AT_ONCE: usize = 256;
    let (pair, rows) = (Pair::new(), Rows::held());
    hears_now(&pair).await;
    let ids: Vec<u64> = (0..IDS).collect();
    let ask = |cache: &Cache| {
        let (cache, rows, ids) = (cache.clone(), rows.clone(), ids.clone());
        tokio::spawn(async move { many(&cache, &rows, &ids).await })
    };
    let asked = || pair.faults.calls(Operation::Lease);
    let holder = ask(&pair.other);
    rows.until_begun().await;
    let before = asked();
    let waiting = ask(&pair.cache);
    until(|| asked() == before + 600).await;
    pair.pass(Duration::ZERO).await;
    assert_eq!(asked(), before + 600);
    let gates: Vec<_> = (0..IDS).map(|_| pair.faults.hold(Operation::Lease)).collect();

    pair.pass(Duration::from_millis(400)).await;
    assert_eq!(asked(), before + 600 + AT_ONCE);
    drop(gates);

    until(|| asked() >= before + 1_200).await;
    rows.open.add_permits(1);
    assert_eq!((holder.await.unwrap().len(), waiting.await.unwrap().len()), (600, 600));
    assert_eq!(rows.computed(), 600);
}

#[cached(ttl = 3600, name = "shared/through", tags = ["rows"], tier = shared, skip(cache, rows), cache = cache)]
async fn through_one(cache: &Cache, rows: &Rows, id: u64) -> u64 {
    let _ = cache;
    rows.read(&[id]).await[&id]
}

#[tokio::test]
async fn with_tier_shared_a_batch_takes_nothing_that_began_before_an_invalidation_elsewhere() {
    let (pair, old, new) = (Pair::new(), Rows::held(), Rows::open());
    hears_now(&pair).await;
    let first = tokio::spawn({
        let (cache, old) = (pair.cache.clone(), old.clone());
        async move { through_one(&cache, &old, 1).await }
    });
    old.until_begun().await;

    // Not heard here: the flight goes on, and nothing shows that it is outdated but what the store says.
    pair.faults.set_deaf(true);
    through_entry(&pair.other, 1).invalidate().await.unwrap();
    let second = tokio::spawn({
        let (cache, new) = (pair.cache.clone(), new.clone());
        async move { through(&cache, &new, &[1, 2]).await }
    });
    until(|| new.computed() > 0 && pair.cache.stats().joined() == 1).await;
    old.open.add_permits(1);

    first.await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, second).await.expect("it hangs").unwrap(), of(&[1, 2]));
    assert_eq!(new.computed(), 2, "1 was computed anew");
}

#[cached(ttl = 3600, name = "shared/gone", each = ids, tier = shared, skip(cache, rows), cache = cache)]
async fn gone(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = cache;
    rows.read(ids).await;
    HashMap::new()
}

/// What one finds to be gone the others need not find one after the other.
#[tokio::test]
async fn with_tier_shared_batches_that_find_nothing_do_not_wait_for_each_other() {
    let (pair, rows) = (Pair::new(), Rows::held());
    hears_now(&pair).await;
    let ask = || {
        let (cache, rows) = (pair.cache.clone(), rows.clone());
        tokio::spawn(async move { gone(&cache, &rows, &[1]).await })
    };
    let first = ask();
    rows.until_begun().await;
    pair.pass(Duration::from_millis(1)).await;
    let others: Vec<_> = (0..20).map(|_| ask()).collect();
    until(|| pair.cache.stats().joined() == 20).await;
    pair.pass(Duration::from_millis(1)).await;

    // The first began before they asked, and the second after that.
    rows.open.add_permits(1);
    rows.until_begun().await;
    pair.pass(Duration::from_millis(1)).await;
    rows.open.add_permits(1 << 10);

    for one in others.into_iter().chain([first]) {
        assert_eq!(one.await.unwrap(), HashMap::new());
    }
    assert_eq!(rows.computed(), 2);
}

#[tokio::test]
async fn a_read_that_began_before_an_invalidation_is_joined_by_no_later_batch() {
    let (pair, rows) = (Pair::new(), Rows::open());
    many(&pair.other, &rows, &[1, 2]).await;
    let reading = pair.faults.hold_answer(Operation::ReadMany);
    let first = tokio::spawn({
        let (cache, rows) = (pair.cache.clone(), rows.clone());
        async move { many(&cache, &rows, &[1, 2]).await }
    });
    reading.arrived().await;

    pair.cache.invalidate_tags(["row:1"]).await.unwrap();
    let second = many(&pair.cache, &rows, &[1]);
    let second = tokio::time::timeout(SOON / 2, second).await.expect("it waits for the read of before");
    reading.open();

    assert_eq!(second, of(&[1]));
    first.await.unwrap();
    assert_eq!(rows.computed(), 3, "1 was computed anew, once");
    many(&pair.cache, &rows, &[1, 2]).await;
    assert_eq!(rows.computed(), 3);
}

/// 1 asks for 2.
#[cached(ttl = 3600, name = "shared/leaning", each = ids, skip(cache, rows), cache = cache)]
async fn leaning(cache: &Cache, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    let below = if ids.contains(&1) { leaning_one(cache.clone(), rows.clone(), 2).await } else { 0 };
    let read = rows.read(ids).await;
    read.into_iter().map(|(id, value)| (id, value + below)).collect()
}

#[cached(ttl = 3600, name = "shared/leaning", skip(cache, rows), cache = cache)]
async fn leaning_one(cache: Cache, rows: Rows, id: u64) -> u64 {
    let _ = cache;
    rows.read(&[id]).await[&id]
}

#[tokio::test]
async fn a_body_gets_what_its_batch_waits_for_from_another_process() {
    let (store, slow, fast) = (Memory::new(), Rows::held(), Rows::open());
    let (one, two) = (process(&store), process(&store));
    hears(&two).await;
    let first = tokio::spawn({
        let (one, slow) = (one.clone(), slow.clone());
        async move { leaning(&one, &slow, &[2]).await }
    });
    slow.until_begun().await;

    // It is granted 1 alone, and the body for it asks for 2.
    let second = tokio::spawn({
        let (two, fast) = (two.clone(), fast.clone());
        async move { leaning(&two, &fast, &[1, 2]).await }
    });
    until(|| two.stats().joined() > 1).await;
    slow.open.add_permits(1);

    first.await.unwrap();
    let second = tokio::time::timeout(SOON, second).await.expect("it hangs").unwrap();
    assert_eq!(second, HashMap::from([(1, 30), (2, 20)]));
    assert_eq!((slow.computed(), fast.computed()), (1, 1));
}

#[tokio::test]
async fn what_a_batch_reads_of_epochs_counts_for_all_that_bears_them() {
    let (pair, rows) = (Pair::new(), Rows::open());
    hears_now(&pair).await;
    many(&pair.cache, &rows, &[1]).await;

    pair.faults.set_deaf(true);
    pair.other.invalidate_tags(["rows"]).await.unwrap();
    through(&pair.other, &rows, &[9]).await;
    through(&pair.cache, &rows, &[9]).await;

    assert_eq!(rows.computed(), 2, "9 is read alone");
    many(&pair.cache, &rows, &[1]).await;
    assert_eq!(rows.computed(), 3, "1 bears the same tag");
}

#[tokio::test]
async fn what_was_stored_under_epochs_that_are_not_known_here_is_found_by_a_batch() {
    let (pair, rows) = (Pair::new(), Rows::open());
    hears_now(&pair).await;
    many(&pair.cache, &rows, &[1, 2]).await;

    // The epoch is lost and drawn anew: no message tells that.
    let app = Prefix::new("app").unwrap();
    Backend::view(pair.store.memory(), &app).lose_tags(&[Tag::from("rows").into()]);
    many_entry(&pair.other, 1).put(Some(33)).await.unwrap();
    pair.comes_about(|pair| pair.cache.stats().local_entries == 1).await;

    assert_eq!(many(&pair.cache, &rows, &[1]).await, HashMap::from([(1, 33)]));
    assert_eq!(rows.computed(), 2);
}

#[tokio::test]
async fn a_large_batch_asks_for_some_leases_at_a_time() {
    let (pair, rows) = (Pair::new(), Rows::open());
    hears_now(&pair).await;
    let leases = || pair.faults.calls(Operation::Lease);
    let before = leases();
    let mut gates: Vec<_> = (0..600).map(|_| pair.faults.hold(Operation::Lease)).collect();

    let running = tokio::spawn({
        let (cache, rows, ids) = (pair.cache.clone(), rows.clone(), (0..600).collect::<Vec<u64>>());
        async move { many(&cache, &rows, &ids).await }
    });
    gates[255].arrived().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(leases() - before, 256);
    // Whichever is granted makes room for one.
    gates.remove(100).open();
    until(|| leases() - before == 257).await;
    drop(gates);

    let found = tokio::time::timeout(SOON, running).await.expect("it hangs").unwrap();
    assert_eq!(found.len(), 600);
    assert_eq!(leases() - before, 600);
    assert_eq!(rows.computed(), 600);
}

/// Waits until the first process of a pair hears the bus: the gap at its beginning is over then.
async fn hears_now(pair: &Pair) {
    pair.get(0).await;
    pair.comes_about(|pair| pair.shared().is_confirmed).await;
}

#[tokio::test]
async fn an_item_that_is_gone_is_gone_from_both_tiers() {
    #[cached(ttl = 3600, grace = 3600, name = "shared/gone", each = ids, skip(cache, has_rows), cache = cache)]
    async fn found(cache: &Cache, has_rows: Option<bool>, ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
        let _ = cache;
        match has_rows {
            Some(true) => Ok(of(ids)),
            Some(false) => Ok(HashMap::new()),
            None => Err("down".to_owned()),
        }
    }

    let pair = Pair::new();
    found(&pair.cache, Some(true), &[1]).await.unwrap();
    found_entry(&pair.cache, 1).expire().await.unwrap();
    // While it is stale it stands in.
    assert_eq!(found(&pair.cache, None, &[1]).await.unwrap(), of(&[1]));
    pair.pass(std::time::Duration::from_secs(60)).await;

    assert_eq!(found(&pair.cache, Some(false), &[1]).await.unwrap(), of(&[]));

    assert_eq!(found(&pair.cache, None, &[1]).await.unwrap_err(), "down");
    assert_eq!(found(&pair.third(), None, &[1]).await.unwrap_err(), "down");
}

#[tokio::test]
async fn two_batches_of_which_each_leads_what_the_other_follows_do_not_wait_for_each_other() {
    #[cached(ttl = 3600, name = "batches/pairs", each = ids, skip(cache, gate), cache = cache)]
    async fn pairs(cache: &Cache, gate: &Semaphore, ids: &[u64]) -> HashMap<u64, u64> {
        let _ = cache;
        gate.acquire().await.unwrap().forget();
        ids.iter().map(|id| (*id, id * 10)).collect()
    }
    async fn goes_on<T>(call: &mut std::pin::Pin<Box<impl Future<Output = T>>>, done: impl Fn() -> bool) {
        let meanwhile = async {
            until(done).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { biased; _ = call => panic!("it has to wait"), () = meanwhile => {} }
    }
    // given another process that computes both
    let pair = Pair::new();
    hears(&pair.cache).await;
    let [never, gate] = [0, 0].map(|permits| Arc::new(Semaphore::new(permits)));
    let there = tokio::spawn({
        let (other, gate) = (pair.other.clone(), gate.clone());
        async move { pairs(&other, &gate, &[1, 2]).await }
    });
    until(|| pair.other.computations_in_flight() > 0).await;
    // and here two batches, of which the one leads 1 and follows 2, and the other leads 2 and follows 1
    let base = pair.faults.calls(Operation::Lease);
    let asked = |count| {
        let faults = &pair.faults;
        move || faults.calls(Operation::Lease) - base >= count
    };
    let mut first = Box::pin(pairs(&pair.cache, &never, &[1]));
    goes_on(&mut first, asked(1)).await;
    let mut one = Box::pin(pairs(&pair.cache, &never, &[2, 1]));
    goes_on(&mut one, asked(2)).await;
    let mut other = Box::pin(pairs(&pair.cache, &never, &[1, 2]));
    goes_on(&mut other, || true).await;
    drop(first);
    goes_on(&mut other, asked(3)).await;
    goes_on(&mut one, || true).await;

    // when it has filled them
    gate.add_permits(1);
    there.await.unwrap();

    // then both have them
    let both = tokio::time::timeout(SOON, async { tokio::join!(one, other) });
    let (one, other) = both.await.expect("they wait for each other");
    assert_eq!((one[&2], other[&1]), (20, 10));
}
