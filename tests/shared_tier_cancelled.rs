//! Callers that go away, at every point where they can: nobody waits for them, and nothing old stays behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::backend::{
    Backend, EntryKey, Epoch, Fill, FillRequest, Grant, InvalidateRequest, Lease, LeaseRequest, LeaseToken,
    Memory, Origin, Prefix, Read, ReadMany, Refill, RefillRequest, Renewal, ServerTime, Subscription, TagKey,
    Tags,
};
use larder::{Cache, Error, cached};
use support::Task;
use support::processes::{hears, hour, key, process, until};

/// A backend whose every call waits for its turn before it runs, and again before it answers.
#[derive(Debug, Clone)]
struct Unhurried(Memory);

impl Unhurried {
    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        tokio::task::yield_now().await;
        let answer = call.await;
        tokio::task::yield_now().await;
        answer
    }
}

impl Backend for Unhurried {
    fn view(&self, prefix: &Prefix) -> Self {
        Self(self.0.view(prefix))
    }
    fn origin(&self) -> Origin {
        self.0.origin()
    }
    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        self.call(self.0.read(key, tags)).await
    }
    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        self.call(self.0.read_many(keys, tags)).await
    }
    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        self.call(self.0.lease(request)).await
    }
    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        self.call(self.0.renew(key, grant, life)).await
    }
    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        self.call(self.0.release(key, token)).await
    }
    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        self.call(self.0.fill(request)).await
    }
    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        self.call(self.0.refill(request)).await
    }
    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        self.call(self.0.epochs(tags)).await
    }
    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        self.call(self.0.invalidate_many(request)).await
    }
    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.call(self.0.heartbeat(nonce)).await
    }
    async fn subscribe(&self) -> Result<Subscription, Error> {
        self.0.subscribe().await
    }
    async fn health(&self) -> Result<ServerTime, Error> {
        self.call(self.0.health()).await
    }
}

#[cached(ttl = 60, tags = ["menu"], skip(source))]
async fn dishes(source: &Row, id: u64) -> u64 {
    let _ = id;
    source.read().await
}

#[cached(ttl = 60, tier = shared, tags = ["menu"], skip(source))]
async fn dishes_through(source: &Row, id: u64) -> u64 {
    let _ = id;
    source.read().await
}

/// A row that is read slowly: it reads first and dawdles then.
#[derive(Debug, Default)]
struct Row(AtomicU64);

impl Row {
    async fn read(&self) -> u64 {
        let row = self.0.load(Ordering::SeqCst);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        row
    }

    fn write(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

fn two() -> (Cache, Cache) {
    let store = Memory::new();
    (process(&Unhurried(store.clone())), process(&store))
}

/// Polls `call` so many times and drops it. Between polls everything else goes on. Whether it had ended.
async fn polled(call: impl Future, times: usize) -> bool {
    let mut call = Task::new(call);
    for _ in 0..times {
        if call.poll().is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// What a caller does that goes away.
type Act = fn(&Cache, &Row, usize) -> std::pin::Pin<Box<dyn Future<Output = bool>>>;

macro_rules! acts {
    ($(($cache:ident, $row:ident) => $call:expr),* $(,)?) => {
        [$({
            let act: Act = |cache, row, times| {
                let ($cache, $row) = (cache.clone(), Row(AtomicU64::new(row.0.load(Ordering::SeqCst))));
                Box::pin(async move { polled($call, times).await })
            };
            act
        }),*]
    };
}

fn acts() -> [Act; 7] {
    acts![
        (cache, row) => cache.scope(dishes(&row, 1)),
        (cache, row) => cache.scope(dishes_refresh(&row, 1)),
        (cache, row) => cache.scope(async { dishes_entry(1).put(row.0.load(Ordering::SeqCst)).await }),
        (cache, row) => cache.scope(async { let _ = &row; dishes_entry(1).peek().await }),
        (cache, row) => cache.scope(async { let _ = &row; dishes_entry(1).expire().await }),
        (cache, row) => cache.scope(dishes_through(&row, 1)),
        (cache, row) => cache.scope(dishes_through_refresh(&row, 1)),
    ]
}

#[tokio::test]
async fn a_caller_that_goes_away_at_any_point_is_in_nobodys_way() {
    for act in acts() {
        for times in 0.. {
            let (one, two) = two();
            let row = Row::default();
            hears(&one).await;

            let has_ended = act(&one, &row, times).await;

            // A lease that was left would be in the way for 10 s.
            let calls = async {
                assert_eq!(two.scope(dishes(&row, 1)).await, 0);
                assert_eq!(one.scope(dishes(&row, 1)).await, 0);
                assert_eq!(two.scope(dishes_through(&row, 1)).await, 0);
                assert_eq!(one.scope(dishes_through(&row, 1)).await, 0);
            };
            tokio::time::timeout(Duration::from_secs(3), calls).await.expect("somebody waits for it");
            assert_eq!(one.computations_in_flight(), 0);
            if has_ended {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_at_any_point_leaves_nothing_old_behind() {
    for by_tag in [false, true] {
        for elsewhere in [false, true] {
            for act in acts() {
                for times in 0.. {
                    let (one, two) = two();
                    let row = Row::default();
                    hears(&one).await;
                    let has_ended = act(&one, &row, times).await;

                    let new = row.write();
                    let by = if elsewhere { &two } else { &one };
                    let heard = one.stats().shared.unwrap().messages;
                    let invalidating = async {
                        if by_tag {
                            return by.invalidate_tags(["menu"]).await;
                        }
                        dishes_through_entry(1).invalidate().await?;
                        dishes_entry(1).invalidate().await
                    };
                    by.scope(invalidating).await.unwrap();
                    let messages = if by_tag { 1 } else { 2 };
                    until(|| one.stats().shared.unwrap().messages >= heard + messages).await;

                    for cache in [&one, &two] {
                        assert_eq!(cache.scope(dishes(&row, 1)).await, new, "{by_tag} {elsewhere} {times}");
                        assert_eq!(cache.scope(dishes_through(&row, 1)).await, new);
                    }
                    if has_ended {
                        break;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_at_any_point_takes_no_follower_with_it() {
    for act in acts() {
        for times in 0.. {
            let (one, _two) = two();
            let row = Row::default();
            hears(&one).await;
            let followers: Vec<_> = (0..3)
                .map(|n| {
                    let one = one.clone();
                    tokio::spawn(async move {
                        for _ in 0..n {
                            tokio::task::yield_now().await;
                        }
                        let row = Row::default();
                        (one.scope(dishes(&row, 1)).await, one.scope(dishes_through(&row, 1)).await)
                    })
                })
                .collect();

            let has_ended = act(&one, &row, times).await;

            for follower in followers {
                let told = tokio::time::timeout(Duration::from_secs(3), follower).await;
                assert_eq!(told.expect("it waits for who is gone").unwrap(), (0, 0));
            }
            assert_eq!(one.computations_in_flight(), 0);
            if has_ended {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_panics_gives_its_lease_up() {
    let (one, two) = two();
    let panicking = tokio::spawn({
        let one = one.clone();
        async move {
            let panics = || async {
                tokio::task::yield_now().await;
                std::panic::resume_unwind(Box::new("as planned"))
            };
            one.get_or_compute::<u64, _, _>(&key(1), &hour(), panics).await
        }
    });
    assert!(panicking.await.unwrap_err().is_panic());

    let (key, options) = (key(1), hour());
    let calling = two.get_or_compute(&key, &options, async || 1_u64);
    assert_eq!(tokio::time::timeout(Duration::from_secs(3), calling).await.expect("it waits"), 1);
    assert_eq!(one.get_or_compute(&key, &options, async || 2_u64).await, 1);
}

#[tokio::test]
async fn every_call_that_ends_is_counted_once() {
    let (one, two) = two();
    let row = std::sync::Arc::new(Row::default());
    hears(&one).await;
    let mut calls = Vec::new();
    for n in 0..400_u64 {
        let (cache, row) = (if n % 3 == 0 { two.clone() } else { one.clone() }, row.clone());
        calls.push(tokio::spawn(async move {
            for _ in 0..n % 17 {
                tokio::task::yield_now().await;
            }
            match n % 40 {
                0 => cache.invalidate_tags(["menu"]).await.unwrap(),
                1 => cache.scope(async { dishes_entry(n % 4).invalidate().await }).await.unwrap(),
                2 => cache.scope(async { dishes_entry(n % 4).expire().await }).await.unwrap(),
                3 => drop(cache.scope(async { dishes_entry(n % 4).put(0).await }).await),
                4 => drop(cache.scope(dishes_refresh(&row, n % 4)).await),
                n if n < 20 => drop(cache.scope(dishes_through(&row, n % 4)).await),
                n => drop(cache.scope(dishes(&row, n % 4)).await),
            }
        }));
    }

    for call in calls {
        call.await.unwrap();
    }

    let count = |name: &str| -> u64 {
        [&one, &two].iter().filter_map(|cache| cache.stats().function(name).map(|f| f.calls())).sum()
    };
    assert_eq!(count("dishes_through"), 400 / 40 * 15);
    assert_eq!(count("dishes"), 400 / 40 * 20);
    assert_eq!(one.computations_in_flight() + two.computations_in_flight(), 0);
}
