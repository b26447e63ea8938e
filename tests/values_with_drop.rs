//! A value's `Drop` is the user's code: it may ask the cache that let go of it. So may its `Clone`, where its size is not known.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use larder::{Cache, Invalidate, Local, cached};
use support::Stage;

/// Asks its cache for all it can, when it is dropped.
#[derive(Debug, Clone)]
struct Curious(Cache);

impl Drop for Curious {
    fn drop(&mut self) {
        self.0.computations_in_flight();
        self.0.stats();
        self.0.sweep();
        support::Task::new(async {
            self.0.invalidate_tags(["other"]).await.expect("in process it cannot fail");
            curious_entry(&self.0, 99).peek().await.expect("a peek");
            curious_entry(&self.0, 99).invalidate().await.expect("in process it cannot fail");
        })
        .end();
    }
}

#[cached(ttl = "1m", tier = local, cache = cache, key = (id), store_if = |_: &Curious| id < 100)]
async fn curious(cache: &Cache, id: u64) -> Curious {
    let _ = id;
    Curious(cache.clone())
}

/// Whether clones ask for anything.
static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Changes its cache, when it is cloned.
#[derive(Debug)]
struct Copied(Cache);

impl Clone for Copied {
    fn clone(&self) -> Self {
        support::Task::new(async {
            if !IS_ASKING.load(Ordering::SeqCst) {
                return;
            }
            copied_entry(&self.0, 1).invalidate().await.expect("in process it cannot fail");
        })
        .end();
        Self(self.0.clone())
    }
}

#[cached(ttl = "1m", tier = local, cache = cache, key = (id))]
async fn copied(cache: &Cache, id: u64) -> Copied {
    let _ = id;
    Copied(cache.clone())
}

/// It may be large, so nobody waits for its `Clone`.
#[test]
fn when_a_value_of_unknown_size_is_cloned() {
    for local in [Local::default(), Local::entries(10)] {
        comes_to_its_end(local, |stage| {
            stage.run(copied(&stage.cache, 1));
            IS_ASKING.store(true, Ordering::SeqCst);
            stage.run(copied(&stage.cache, 1));
            IS_ASKING.store(false, Ordering::SeqCst);
            assert_eq!(stage.stats("copied").hits, 1);
        });
    }
}

/// Fails when `act` has not come to its end after a minute: it waits for a lock that its own thread holds.
fn comes_to_its_end(local: Local, act: impl FnOnce(&Stage) + Send + 'static) {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let stage = Stage::with(Cache::builder().local(local));
        act(&stage);
        assert_eq!(stage.cache.computations_in_flight(), 0);
        // The entries hold the cache that holds them.
        stage.run(stage.cache.clear()).expect("in process it cannot fail");
        drop(done);
    });
    let ended = is_done.recv_timeout(Duration::from_secs(5));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "a dropped value waits for ever");
    thread.join().expect("no panic");
}

#[test]
fn when_a_refresh_replaces_it() {
    comes_to_its_end(Local::default(), |stage| {
        stage.run(curious(&stage.cache, 1));
        stage.run(curious_refresh(&stage.cache, 1));
    });
}

#[test]
fn when_it_is_evicted() {
    comes_to_its_end(Local::entries(2), |stage| {
        for id in 0..20 {
            stage.run(curious(&stage.cache, id));
        }
    });
}

#[test]
fn when_a_put_replaces_it() {
    comes_to_its_end(Local::default(), |stage| {
        for _ in 0..2 {
            let value = Curious(stage.cache.clone());
            stage.run(async { curious_entry(&stage.cache, 1).put(value).await }).expect("put");
        }
    });
}

#[test]
fn when_it_is_too_large() {
    comes_to_its_end(Local::bytes(0), |stage| {
        let value = Curious(stage.cache.clone());
        stage.run(async { curious_entry(&stage.cache, 1).put(value).await }).expect("put");
        stage.run(curious(&stage.cache, 1));
    });
}

#[test]
fn when_its_entry_is_invalidated() {
    comes_to_its_end(Local::default(), |stage| {
        stage.run(curious(&stage.cache, 1));
        stage
            .run(async { curious_entry(&stage.cache, 1).invalidate().await })
            .expect("in process it cannot fail");
    });
}

#[test]
fn when_everything_is_cleared() {
    comes_to_its_end(Local::default(), |stage| {
        stage.run(curious(&stage.cache, 1));
        stage.run(stage.cache.clear()).expect("in process it cannot fail");
    });
}

#[test]
fn when_it_expires() {
    comes_to_its_end(Local::default(), |stage| {
        stage.run(curious(&stage.cache, 1));
        stage.clock.advance(Duration::from_secs(60));
    });
}

#[test]
fn when_it_is_not_to_be_stored() {
    comes_to_its_end(Local::default(), |stage| {
        stage.run(curious(&stage.cache, 100));
        stage.run(curious_refresh(&stage.cache, 100));
    });
}

/// Panics when it is dropped, once.
#[derive(Debug, Clone)]
struct Broken;

static IS_ARMED: AtomicBool = AtomicBool::new(false);

impl Drop for Broken {
    fn drop(&mut self) {
        if IS_ARMED.swap(false, Ordering::SeqCst) {
            panic!("on purpose");
        }
    }
}

#[cached(ttl = "1h", tier = local)]
async fn broken(id: u64) -> Broken {
    let _ = id;
    Broken
}

#[cached(ttl = "1h", tags = ["row"])]
async fn row(id: u64) -> u64 {
    id
}

#[test]
fn a_drop_that_panics_keeps_nothing_else_from_being_invalidated() {
    let stage = Stage::new();
    stage.run(async { (broken(1).await, row(1).await, row(2).await) });
    let handle = stage.cache.clone();
    let set = stage.run(async {
        let entries = Invalidate::entry(&broken_entry(1)).and(Invalidate::entry(&row_entry(2)));
        entries.and(Invalidate::tag("row"))
    });

    IS_ARMED.store(true, Ordering::SeqCst);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(handle.apply(set))));

    assert!(ended.is_err());
    stage.run(async { (row(1).await, row(2).await) });
    assert_eq!(stage.stats("row").computations, 4);
}
