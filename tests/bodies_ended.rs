//! A body that does not come to its end is gone before anybody else computes.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use larder::{Cache, cached};
use support::source::{Down, Scene, waits};

/// What a body notes when it goes.
struct Notes {
    cache: Cache,
    gone: AtomicUsize,
    /// Computations in flight at that time.
    in_flight: AtomicUsize,
    hangs: AtomicBool,
}

impl Notes {
    fn new(cache: &Cache) -> Self {
        let [gone, in_flight] = [0, usize::MAX].map(AtomicUsize::new);
        Self { cache: cache.clone(), gone, in_flight, hangs: AtomicBool::new(true) }
    }

    /// Waits for ever, or not at all.
    async fn read(&self) -> u64 {
        struct Going<'n>(&'n Notes);
        impl Drop for Going<'_> {
            fn drop(&mut self) {
                self.0.gone.fetch_add(1, Ordering::SeqCst);
                self.0.in_flight.store(self.0.cache.computations_in_flight(), Ordering::SeqCst);
            }
        }
        let _going = Going(self);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        7
    }

    fn seen(&self) -> (usize, usize) {
        (self.gone.load(Ordering::SeqCst), self.in_flight.load(Ordering::SeqCst))
    }
}

#[cached(ttl = "1m", skip(notes), timeout(hard = "2s"))]
async fn limited(notes: &Notes, id: u64) -> Result<u64, Down> {
    Ok(notes.read().await + id)
}

#[cached(ttl = "1m", skip(notes))]
async fn unlimited(notes: &Notes, id: u64) -> u64 {
    notes.read().await + id
}

#[cached(ttl = "1m", skip(panics))]
async fn panicking(panics: bool, id: u64) -> u64 {
    tokio::task::yield_now().await;
    assert!(!panics, "as it was told to");
    id
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_gone_before_its_flight() {
    let scene = Scene::new();
    let notes = Notes::new(&scene.cache);
    let calls = async {
        let mut call = Box::pin(limited(&notes, 1));
        assert!(waits(&mut call).await);
        scene.pass(Duration::from_secs(2)).await;
        assert!(call.await.is_err());
        assert_eq!(notes.seen(), (1, 1), "of a call");

        let mut call = Box::pin(limited_refresh(&notes, 1));
        assert!(waits(&mut call).await);
        scene.pass(Duration::from_secs(2)).await;
        assert!(call.await.is_err());
        assert_eq!(notes.seen(), (2, 1), "of one that computes whatever is stored");
    };

    scene.cache.scope(calls).await;

    assert_eq!(scene.cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn a_body_whose_call_is_dropped_is_gone_before_its_flight() {
    let scene = Scene::new();
    let notes = Notes::new(&scene.cache);
    let calls = async {
        let mut call = Box::pin(unlimited(&notes, 1));
        assert!(waits(&mut call).await);

        drop(call);

        assert_eq!(notes.seen(), (1, 1));
    };
    scene.cache.scope(calls).await;

    assert_eq!(scene.cache.computations_in_flight(), 0);
}

#[tokio::test]
async fn what_is_ready_at_the_end_of_the_time_is_in_time() {
    let scene = Scene::new();
    let test = async {
        #[cached(ttl = "1m", skip(source), timeout(hard = "2s"))]
        async fn slow(source: &support::source::Source, id: u64) -> Result<u64, Down> {
            Ok(source.read().await? + id)
        }
        scene.source.hold();
        let mut call = Box::pin(slow(&scene.source, 1));
        assert!(waits(&mut call).await);

        scene.source.release();
        scene.pass(Duration::from_secs(2)).await;

        assert_eq!(call.await, Ok(1));
    };
    scene.cache.scope(test).await;
}

#[test]
fn a_body_that_panics_lets_the_others_go_on_although_its_call_is_kept() {
    let cache = Cache::default();
    let mut kept = pin!(cache.scope(panicking(true, 1)));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(kept.as_mut().poll(context).is_pending());
    let mut follower = pin!(cache.scope(panicking(false, 1)));
    assert!(follower.as_mut().poll(context).is_pending());

    assert!(catch_unwind(AssertUnwindSafe(|| kept.as_mut().poll(context))).is_err());

    // It takes over, and yields once.
    assert!(follower.as_mut().poll(context).is_pending());
    assert_eq!(follower.as_mut().poll(context), std::task::Poll::Ready(1));
    let stats = cache.stats().function("panicking").unwrap().clone();
    assert_eq!((stats.abandoned, cache.computations_in_flight()), (1, 0));
}
