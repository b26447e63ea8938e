//! Filling a cache before it is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::{Cache, Progress, cached, warm_up};

#[cached(ttl = 60)]
async fn square(id: u64) -> Result<u64, String> {
    if id == 3 { Err("three".to_owned()) } else { Ok(id * id) }
}

#[tokio::test]
async fn every_argument_is_called_and_what_fails_is_told() {
    let cache = Cache::default();
    let told = Arc::new(Mutex::new(Vec::<Progress>::new()));

    let warmed = cache
        .scope(
            warm_up(0..10_u64)
                .at_once(4)
                .progress({
                    let told = told.clone();
                    move |so_far| told.lock().unwrap().push(*so_far)
                })
                .try_run(square),
        )
        .await;

    let end = warmed.progress;
    assert_eq!((end.done, end.failed, end.total), (10, 1, Some(10)));
    assert_eq!(warmed.first_error.as_deref(), Some("three"));
    let told: Vec<usize> = told.lock().unwrap().iter().map(|so_far| so_far.done).collect();
    assert_eq!(told, (1..=10).collect::<Vec<_>>());
    assert_eq!(cache.stats().local_entries, 9);
    cache.scope(square(9)).await.unwrap();
    assert_eq!(cache.stats().hits(), 1);
}

/// Of what is there already no call waits for anything.
#[tokio::test]
async fn others_have_their_turn_while_what_is_there_is_called() {
    let (cache, turns) = (Cache::default(), Arc::new(AtomicUsize::new(0)));
    let other = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });

    let end = cache.scope(warm_up((0..10_000_u64).map(|n| n % 2)).try_run(square)).await;
    other.abort();

    assert_eq!(end.progress.done, 10_000);
    assert!(turns.load(Ordering::Relaxed) > 20, "{turns:?} turns");
}

/// A call that was woken is looked at, and those beside it are not.
#[tokio::test]
async fn calls_that_wait_are_looked_at_when_they_are_woken() {
    const CALLS: usize = 100;
    let looks = AtomicUsize::new(0);

    warm_up(0..CALLS)
        .at_once(CALLS)
        .run(async |_| {
            let mut turns = 0;
            std::future::poll_fn(|context| {
                looks.fetch_add(1, Ordering::Relaxed);
                turns += 1;
                if turns > CALLS {
                    return std::task::Poll::Ready(());
                }
                let waker = context.waker().clone();
                tokio::spawn(async move { waker.wake() });
                std::task::Poll::Pending
            })
            .await;
        })
        .await;

    assert_eq!(looks.into_inner(), CALLS * (CALLS + 1));
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_allowed() {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));

    let end = warm_up(0..50_usize)
        .at_once(3)
        .run(async |n| {
            most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            for _ in 0..n % 5 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::Relaxed);
        })
        .await;

    assert_eq!((end.done, end.failed), (50, 0));
    assert_eq!(most.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn nothing_to_call_is_done_at_once() {
    let end = warm_up(Vec::<u64>::new()).run(async |_| ()).await;

    assert_eq!((end.done, end.total), (0, Some(0)));
    assert_eq!(warm_up((0..9).filter(|n| n % 2 == 0)).at_once(0).run(async |_| ()).await.total, None);
}
