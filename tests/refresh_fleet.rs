//! Freshness over a shared tier: several processes recompute what one does, and stale values of one stand in for all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use cache_core::testing::{Faults, Faulty, ManualClock, MemoryStage};
use larder::{Cache, cached};
use support::MINUTE;
use support::source::{Down, Source, waits};

/// The share of a minute after which a value is due.
const DUE: Duration = Duration::from_secs(48);

/// Several processes over one shared tier, and the time of all.
struct Fleet {
    store: MemoryStage,
    clock: ManualClock,
    processes: Vec<Cache>,
    /// Of the first process.
    faults: Faults,
    source: Source,
}

impl Fleet {
    async fn new(count: usize) -> Self {
        let (store, clock) = (MemoryStage::new(), ManualClock::new());
        let (first, faults) = Faulty::new(store.memory().clone());
        let build =
            |builder: larder::CacheBuilder| builder.prefix("app").clock(clock.clock()).seed(1).build();
        let mut processes = vec![build(Cache::builder().shared(first)).unwrap()];
        for _ in 1..count {
            processes.push(build(Cache::builder().shared(store.memory().clone())).unwrap());
        }
        let fleet = Self { store, clock, processes, faults, source: Source::new() };
        // Beats, until all hear the bus.
        for _ in 0..8 {
            for cache in &fleet.processes {
                cache.scope(async { other(0).await }).await;
            }
            fleet.pass(Duration::from_millis(250)).await;
        }
        fleet
    }

    async fn settle(&self) {
        for _ in 0..300 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time go by for all, in steps that heartbeats can follow.
    async fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_millis(500));
            self.store.pass(step);
            self.clock.advance(step);
            self.settle().await;
            left -= step;
        }
    }
}

#[cached(ttl = 600)]
async fn other(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, tags = ["row"], skip(source), refresh)]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[tokio::test]
async fn of_all_processes_one_refreshes() {
    let fleet = Fleet::new(4).await;
    for cache in &fleet.processes {
        cache.scope(row(&fleet.source, 1)).await.unwrap();
    }
    assert_eq!(fleet.source.asked(), 1);
    fleet.source.write();
    fleet.source.hold();
    fleet.pass(DUE).await;

    for _ in 0..3 {
        for cache in &fleet.processes {
            assert_eq!(cache.scope(row(&fleet.source, 1)).await, Ok(0), "nobody waits");
        }
        fleet.settle().await;
    }
    assert_eq!(fleet.source.asked(), 2);
    fleet.source.release();
    fleet.settle().await;
    fleet.pass(Duration::from_secs(1)).await;

    for cache in &fleet.processes {
        assert_eq!(cache.scope(row(&fleet.source, 1)).await, Ok(1));
    }
    fleet.settle().await;
    assert_eq!(fleet.source.asked(), 2);
}

#[tokio::test]
async fn what_another_process_has_refreshed_is_taken_over() {
    let fleet = Fleet::new(2).await;
    for cache in &fleet.processes {
        cache.scope(row(&fleet.source, 1)).await.unwrap();
    }
    fleet.source.write();
    fleet.pass(DUE).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(row(&fleet.source, 1)).await.unwrap();
    fleet.settle().await;
    assert_eq!(fleet.source.asked(), 2);

    // Its own value is due, too.
    two.scope(row(&fleet.source, 1)).await.unwrap();
    fleet.settle().await;

    assert_eq!(two.scope(row(&fleet.source, 1)).await, Ok(1));
    assert_eq!(fleet.source.asked(), 2);
}

#[tokio::test]
async fn a_refresh_that_another_process_invalidates_is_not_stored() {
    for by_tag in [true, false] {
        let fleet = Fleet::new(2).await;
        let [one, two] = &fleet.processes[..] else { unreachable!() };
        one.scope(row(&fleet.source, 1)).await.unwrap();
        fleet.source.hold();
        fleet.pass(DUE).await;
        one.scope(row(&fleet.source, 1)).await.unwrap();
        fleet.settle().await;
        assert_eq!(fleet.source.asked(), 2, "it has read the old row");

        fleet.source.write();
        match by_tag {
            true => two.invalidate_tags(["row"]).await.unwrap(),
            false => two.scope(async { row_entry(1).invalidate().await }).await.unwrap(),
        }
        fleet.source.release();
        fleet.settle().await;

        for cache in [two, one] {
            assert_eq!(cache.scope(row(&fleet.source, 1)).await, Ok(1));
        }
    }
}

#[cached(ttl = 60, tier = shared, skip(source), refresh, grace = "10m")]
async fn through(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn what_reads_through_is_refreshed_and_rests_like_all() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(through(&fleet.source)).await.unwrap();
    fleet.source.write();
    fleet.pass(DUE).await;
    assert_eq!(two.scope(through(&fleet.source)).await, Ok(0));
    fleet.settle().await;
    assert_eq!(one.scope(through(&fleet.source)).await, Ok(1));
    assert_eq!(fleet.source.asked(), 2);

    fleet.source.set_down(true);
    fleet.pass(MINUTE).await;
    for _ in 0..5 {
        assert_eq!(one.scope(through(&fleet.source)).await, Ok(1), "stands in");
    }
    assert_eq!(fleet.source.asked(), 3, "and the next attempt waits");
}

#[cached(ttl = 60, tags = ["row"], skip(source), grace = "10m", timeout(soft = "50ms", hard = "5s"))]
async fn graced(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[tokio::test]
async fn a_stale_value_of_another_process_stands_in() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(graced(&fleet.source, 1)).await.unwrap();
    fleet.source.set_down(true);
    fleet.pass(MINUTE).await;

    for _ in 0..3 {
        assert_eq!(two.scope(graced(&fleet.source, 1)).await, Ok(0));
    }

    assert_eq!(fleet.source.asked(), 2);
    assert_eq!(two.stats().function("graced").unwrap().stale, 3);
    fleet.pass(Duration::from_secs(600)).await;
    assert!(two.scope(graced(&fleet.source, 1)).await.is_err());
}

#[tokio::test]
async fn a_stale_value_of_another_process_answers_after_the_soft_timeout() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(graced(&fleet.source, 1)).await.unwrap();
    fleet.source.write();
    fleet.source.hold();
    fleet.pass(MINUTE).await;
    let mut call = Box::pin(two.scope(graced(&fleet.source, 1)));
    assert!(waits(&mut call).await);

    fleet.pass(Duration::from_millis(50)).await;
    assert_eq!(call.await, Ok(0));
    fleet.source.release();
    fleet.settle().await;

    for cache in [one, two] {
        assert_eq!(cache.scope(graced(&fleet.source, 1)).await, Ok(1));
    }
    assert_eq!(fleet.source.asked(), 2);
}

#[tokio::test]
async fn of_two_stale_values_the_newer_stands_in() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(graced(&fleet.source, 1)).await.unwrap();
    two.scope(graced(&fleet.source, 1)).await.unwrap();
    fleet.pass(MINUTE).await;
    fleet.source.write();
    // The first process has an old one, and the shared tier a newer one by now.
    two.scope(graced(&fleet.source, 1)).await.unwrap();
    fleet.settle().await;
    fleet.source.set_down(true);
    fleet.pass(MINUTE).await;

    assert_eq!(one.scope(graced(&fleet.source, 1)).await, Ok(1));
    assert_eq!(one.stats().function("graced").unwrap().stale, 1);
}

#[tokio::test]
async fn an_invalidated_value_of_the_shared_tier_never_stands_in_and_an_expired_one_may() {
    for (invalidate, stands_in) in [(0, false), (1, false), (2, true)] {
        let fleet = Fleet::new(3).await;
        let [one, two, three] = &fleet.processes[..] else { unreachable!() };
        one.scope(graced(&fleet.source, 1)).await.unwrap();
        fleet.source.set_down(true);
        match invalidate {
            0 => two.scope(async { graced_entry(1).invalidate().await }).await.unwrap(),
            1 => two.invalidate_tags(["row"]).await.unwrap(),
            _ => two.scope(async { graced_entry(1).expire().await }).await.unwrap(),
        }
        fleet.settle().await;

        for cache in [three, one] {
            assert_eq!(cache.scope(graced(&fleet.source, 1)).await.is_ok(), stands_in, "case {invalidate}");
        }
    }
}

#[tokio::test]
async fn without_the_shared_tier_a_stale_value_stands_in_for_as_long_as_it_can_be_vouched_for() {
    let fleet = Fleet::new(1).await;
    let cache = &fleet.processes[0];
    cache.scope(graced(&fleet.source, 1)).await.unwrap();
    fleet.pass(MINUTE).await;
    fleet.source.set_down(true);
    fleet.faults.set_down(true);
    assert_eq!(cache.scope(graced(&fleet.source, 1)).await, Ok(0));

    // Nobody knows any more whether it was invalidated elsewhere.
    fleet.pass(Duration::from_secs(3)).await;

    assert!(cache.scope(graced(&fleet.source, 1)).await.is_err());
}

#[tokio::test]
async fn a_value_that_still_holds_is_renewed_without_being_sent() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    let first = one.scope(conditional(&fleet.source)).await.unwrap();
    fleet.pass(MINUTE).await;

    assert_eq!(two.scope(conditional(&fleet.source)).await.unwrap(), first, "it saw the stale one");
    fleet.pass(MINUTE - Duration::from_secs(1)).await;
    for cache in [one, two] {
        assert_eq!(cache.scope(conditional(&fleet.source)).await.unwrap(), first);
    }

    assert_eq!(fleet.source.asked(), 2);
    use cache_core::testing::Operation;
    fleet.pass(MINUTE).await;
    let before = fleet.faults.calls(Operation::Fill);
    one.scope(conditional(&fleet.source)).await.unwrap();
    assert_eq!(fleet.faults.calls(Operation::Fill), before, "no fill");
    assert_eq!(fleet.faults.calls(Operation::Refill), 1);
}

/// Asks only whether the row has changed.
#[cached(ttl = 60, grace = "10m", skip(source))]
async fn conditional(source: &Source) -> Result<(u64, u64), Down> {
    let computation = larder::current();
    let row = source.read().await?;
    match computation.previous::<(u64, u64)>() {
        Some(previous) if previous.0 == row => {
            computation.not_modified();
            Ok(previous)
        }
        _ => Ok((row, source.asked())),
    }
}

#[tokio::test]
async fn a_failing_refresh_of_what_reads_through_rests() {
    let fleet = Fleet::new(1).await;
    let cache = &fleet.processes[0];
    cache.scope(through(&fleet.source)).await.unwrap();
    fleet.source.set_down(true);
    fleet.pass(DUE).await;

    for _ in 0..5 {
        assert_eq!(cache.scope(through(&fleet.source)).await, Ok(0));
        fleet.settle().await;
    }

    assert_eq!(fleet.source.asked(), 2);
}

#[tokio::test]
async fn who_reads_through_does_not_get_what_others_held_from_before_an_invalidation() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(through(&fleet.source)).await.unwrap();
    fleet.source.set_down(true);
    fleet.source.hold();
    fleet.pass(MINUTE).await;
    let mut before = Box::pin(one.scope(through(&fleet.source)));
    assert!(waits(&mut before).await);
    // The message does not arrive.
    fleet.faults.set_deaf(true);
    two.scope(async { through_entry().invalidate().await }).await.unwrap();

    let mut after = Box::pin(one.scope(through(&fleet.source)));
    assert!(waits(&mut after).await);
    fleet.source.release();

    let _ = before.await;
    assert!(after.await.is_err(), "it began after the invalidation");
}

#[cached(ttl = 60, skip(source), refresh(idle = "10m"))]
async fn warm(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn what_nobody_uses_is_kept_warm_no_longer_by_any_process() {
    let fleet = Fleet::new(2).await;
    for cache in &fleet.processes {
        cache.scope(warm(&fleet.source)).await.unwrap();
    }
    fleet.pass(Duration::from_secs(700)).await;
    let asked = fleet.source.asked();
    assert!(asked > 10, "{asked}");

    fleet.pass(Duration::from_secs(300)).await;

    assert_eq!(fleet.source.asked(), asked);
    assert!(fleet.processes.iter().all(|cache| cache.stats().refreshes.scheduled == 0));
}

#[tokio::test]
async fn the_grace_of_what_another_process_expired_is_no_longer_than_it_says() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(graced(&fleet.source, 1)).await.unwrap();
    two.scope(async { graced_entry(1).expire().await }).await.unwrap();
    fleet.source.set_down(true);
    assert_eq!(two.scope(graced(&fleet.source, 1)).await, Ok(0));

    fleet.pass(Duration::from_secs(601)).await;

    assert!(two.scope(graced(&fleet.source, 1)).await.is_err());
}

/// Says that nothing has changed, whatever it returns.
#[cached(ttl = 60, grace = "10m", skip(source))]
async fn mistaken(source: &Source) -> Result<u64, Down> {
    larder::current().not_modified();
    source.read().await
}

#[tokio::test]
async fn what_is_said_to_be_unchanged_and_is_not_is_sent() {
    let fleet = Fleet::new(2).await;
    let [one, two] = &fleet.processes[..] else { unreachable!() };
    one.scope(mistaken(&fleet.source)).await.unwrap();
    fleet.source.write();
    fleet.pass(MINUTE).await;

    assert_eq!(one.scope(mistaken(&fleet.source)).await, Ok(1));

    assert_eq!(two.scope(mistaken(&fleet.source)).await, Ok(1), "not the old value under a new head");
    assert_eq!(fleet.source.asked(), 2);
}
