//! Refreshes on several runtimes: what stands still on one, or ends with it, takes nothing from the others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::{Cache, cached};
use support::source::{Down, Scene, Source};
use tokio::runtime::{Builder, Runtime};

/// The share of an hour after which a value is due.
const DUE: Duration = Duration::from_secs(48 * 60);
/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(60);
/// Longer than a runtime may not let a task go on.
const STILL: Duration = Duration::from_secs(6);

#[cached(ttl = 3600, skip(source), refresh)]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[cached(ttl = 3600, skip(source), refresh(idle = "10h"))]
async fn warm(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A cache with one refresh at once, and two runtimes. Each is driven while it is told to run something.
struct Stage {
    scene: Scene,
    here: Runtime,
    there: Runtime,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::with(Cache::builder().max_refreshes(1));
        Self { scene, here: runtime(), there: runtime() }
    }

    fn run<T>(&self, runtime: &Runtime, future: impl Future<Output = T>) -> T {
        runtime.block_on(self.scene.cache.scope(future))
    }

    async fn call(&self, id: u64) {
        row(&self.scene.source, id).await.unwrap();
    }

    /// Stores a row for each of so many ids, and lets all of them be due.
    fn are_due(&self, ids: u64) {
        self.run(&self.here, async {
            for id in 0..ids {
                self.call(id).await;
            }
        });
        self.scene.clock.advance(DUE);
    }

    /// Drives a runtime until the source was asked so often.
    fn until_asked(&self, runtime: &Runtime, times: u64) {
        let asked = async {
            while self.scene.source.asked() < times {
                self.scene.cache.sweep();
                tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>())
                    .await
                    .unwrap_err();
            }
        };
        let waited = self.run(runtime, async { tokio::time::timeout(LONG, asked).await });
        waited.unwrap_or_else(|_| panic!("asked {} times of {times}", self.scene.source.asked()));
    }
}

#[test]
fn a_runtime_that_stands_still_gives_its_places_up() {
    let stage = Stage::new();
    stage.are_due(4);
    stage.scene.source.hold();
    // The first is to begin here, the second waits behind it; and nobody goes on here.
    stage.run(&stage.here, async {
        stage.call(0).await;
        stage.call(1).await;
    });
    stage.run(&stage.there, async {
        stage.call(2).await;
        stage.scene.settle().await;
    });
    assert_eq!(stage.scene.source.asked(), 4);
    stage.scene.source.release();

    stage.scene.clock.advance(STILL);
    stage.until_asked(&stage.there, 5);

    let refreshes = stage.scene.cache.stats().refreshes;
    assert_eq!((refreshes.queued, refreshes.dropped), (0, 1), "what waited for it goes, too");
    // Both are asked for again after a rest.
    stage.scene.clock.advance(Duration::from_secs(60));
    stage.run(&stage.there, async {
        stage.call(0).await;
        stage.call(1).await;
    });
    stage.until_asked(&stage.there, 7);
}

#[test]
fn what_goes_on_keeps_its_place_however_the_time_is_moved() {
    let stage = Stage::new();
    stage.are_due(2);
    stage.scene.source.hold();

    stage.run(&stage.here, async {
        stage.call(0).await;
        stage.call(1).await;
        for _ in 0..10 {
            stage.scene.pass(STILL).await;
            stage.scene.cache.sweep();
        }
    });

    let refreshes = stage.scene.cache.stats().refreshes;
    assert_eq!((stage.scene.source.asked(), refreshes.running, refreshes.queued), (3, 1, 1));
}

#[test]
fn a_runtime_that_ends_takes_its_own_refreshes_along_and_no_others() {
    let Stage { scene, here, there } = Stage::new();
    let run = |runtime: &Runtime, ids: std::ops::Range<u64>| {
        runtime.block_on(scene.cache.scope(async {
            for id in ids {
                row(&scene.source, id).await.unwrap();
            }
            scene.settle().await;
        }));
    };
    run(&here, 0..6);
    scene.clock.advance(DUE);
    scene.source.hold();
    run(&here, 0..2);
    run(&there, 2..6);
    assert_eq!(scene.cache.stats().refreshes.queued, 5);

    drop(here);
    scene.source.release();
    run(&there, 0..0);

    assert_eq!(scene.source.asked(), 6 + 1 + 4);
    assert_eq!(scene.stats("row").refreshes, 5, "one of them in vain");
}

#[test]
fn a_shutdown_does_not_wait_for_a_runtime_that_stands_still() {
    let stage = Stage::new();
    stage.are_due(1);
    stage.scene.source.hold();
    stage.run(&stage.here, async {
        stage.call(0).await;
        stage.scene.settle().await;
    });

    stage.run(&stage.there, async {
        tokio::time::timeout(LONG, stage.scene.cache.shutdown()).await.expect("it ends");
    });

    assert_eq!(stage.scene.source.asked(), 2);
}

#[test]
fn entries_are_kept_warm_also_when_the_runtime_of_the_schedule_stands_still() {
    let stage = Stage::new();
    stage.run(&stage.here, async {
        for id in 0..2 {
            warm(&stage.scene.source, id).await.unwrap();
        }
        stage.scene.settle().await;
    });
    stage.scene.clock.advance(DUE + STILL);

    // One of them is called; the other one nobody asks for.
    stage.run(&stage.there, async {
        warm(&stage.scene.source, 0).await.unwrap();
        stage.scene.settle().await;
    });

    assert_eq!(stage.scene.source.asked(), 4);
}

static IS_BLOCKED: AtomicBool = AtomicBool::new(true);

/// Lets the body go on, also where the test fails: the runtime waits for its thread.
struct Unblocked;

impl Drop for Unblocked {
    fn drop(&mut self) {
        IS_BLOCKED.store(false, Ordering::SeqCst);
    }
}

/// The first one blocks its thread.
#[cached(ttl = 3600, skip(source), refresh)]
async fn blocking(source: &Source, id: u64) -> Result<u64, Down> {
    let row = source.read().await;
    while id == 0 && source.asked() > 3 && IS_BLOCKED.load(Ordering::SeqCst) {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    row
}

#[test]
fn a_body_that_blocks_a_thread_takes_nothing_from_a_runtime_that_goes_on() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _unblocked = Unblocked;
    let stage = Stage::new();
    stage.run(&runtime, async {
        for id in 0..3 {
            blocking(&stage.scene.source, id).await.unwrap();
        }
    });
    stage.scene.clock.advance(DUE);
    stage.run(&runtime, async {
        for id in 0..3 {
            blocking(&stage.scene.source, id).await.unwrap();
        }
    });
    stage.until_asked(&runtime, 4);

    stage.scene.clock.advance(STILL);
    stage.until_asked(&runtime, 6);

    assert_eq!(stage.scene.cache.stats().refreshes.dropped, 0);
}
