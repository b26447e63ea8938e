//! `refresh(idle = ..)` keeps entries warm on a schedule; the queue that all refreshes go through.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use larder::{Cache, Local, cached};
use support::source::{Down, Scene, Source, waits};
use support::{MINUTE, MOMENT};
use tokio::sync::Semaphore;

/// The share of a minute after which a value is due.
const DUE: Duration = Duration::from_secs(48);

#[cached(ttl = 60, tags = ["warm"], skip(source), refresh(idle = "10m"))]
async fn warm(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[tokio::test]
async fn an_entry_is_kept_warm_without_being_asked_for_until_it_is_idle() {
    let scene = Scene::new();
    let test = async {
        warm(&scene.source, 1).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.cache.stats().refreshes.scheduled, 1);

        scene.pass(DUE - MOMENT).await;
        assert_eq!(scene.source.asked(), 1);
        scene.pass(MOMENT).await;
        assert_eq!(scene.source.asked(), 2);
        for computed in 3..=13 {
            scene.pass(DUE).await;
            assert_eq!(scene.source.asked(), computed);
        }

        // The last time was 12 times 48 s after its last use; the next is past the ten minutes.
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 13);
        assert_eq!(scene.cache.stats().refreshes.scheduled, 0);
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("warm").calls(), 1);
}

#[tokio::test]
async fn each_use_begins_the_idle_time_anew_also_after_it_was_over() {
    let scene = Scene::new();
    let test = async {
        warm(&scene.source, 1).await.unwrap();
        for _ in 0..50 {
            scene.pass(DUE).await;
            assert_eq!(warm(&scene.source, 1).await, Ok(0));
            scene.settle().await;
        }
        assert_eq!(scene.stats("warm").misses.total(), 1);

        scene.pass(Duration::from_secs(3600)).await;
        let before = scene.source.asked();
        // Computed, and kept warm again.
        warm(&scene.source, 1).await.unwrap();
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), before + 2);
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = 60, name = "item", skip(source), refresh(idle = "10m"))]
async fn item(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[cached(ttl = 60, name = "item", each = ids, skip(source))]
async fn items(source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let item = source.read().await?;
    Ok(ids.iter().map(|id| (*id, item)).collect())
}

#[tokio::test]
async fn a_use_by_a_batch_is_a_use() {
    let scene = Scene::new();
    let test = async {
        item(&scene.source, 1).await.unwrap();
        for _ in 0..50 {
            scene.pass(DUE).await;
            items(&scene.source, &[1]).await.unwrap();
            scene.settle().await;
        }
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("item").misses.total(), 1);
    assert_eq!(scene.cache.stats().refreshes.scheduled, 1);
}

#[tokio::test]
async fn an_invalidated_entry_is_kept_warm_no_longer_until_it_is_used() {
    let scene = Scene::new();
    let test = async {
        warm(&scene.source, 1).await.unwrap();
        warm(&scene.source, 2).await.unwrap();
        scene.cache.invalidate_tags(["warm"]).await.unwrap();
        scene.pass(DUE).await;
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 2);
        assert_eq!(scene.cache.stats().refreshes.scheduled, 0);

        warm(&scene.source, 1).await.unwrap();
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 4);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn an_entry_that_is_replaced_by_hand_is_kept_warm_as_before() {
    for is_put in [true, false] {
        let scene = Scene::new();
        let test = async {
            warm(&scene.source, 1).await.unwrap();
            scene.settle().await;
            scene.pass(Duration::from_secs(10)).await;
            match is_put {
                true => warm_entry(1).put(Ok(7)).await.unwrap(),
                false => drop(warm_refresh(&scene.source, 1).await.unwrap()),
            }
            let asked = scene.source.asked();

            // A sweep comes by every 30 s.
            scene.pass(Duration::from_secs(30)).await;
            scene.pass(Duration::from_secs(8)).await;
            scene.pass(Duration::from_secs(10) - MOMENT).await;
            assert_eq!(scene.source.asked(), asked);
            scene.pass(MOMENT).await;

            assert_eq!(scene.source.asked(), asked + 1, "due 48 s after it was replaced; put: {is_put}");
        };
        scene.cache.scope(test).await;
    }
}

#[cached(ttl = 60, local_ttl = 10, skip(source), refresh(idle = "10m"))]
async fn short(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn an_entry_that_is_kept_shortly_here_is_kept_warm_by_the_time_that_it_is_kept_anywhere() {
    let shared = Cache::builder().shared(larder::backend::Memory::new());
    for (builder, due) in [(Cache::builder(), Duration::from_secs(8)), (shared, DUE)] {
        let scene = Scene::with(builder);
        let test = async {
            short(&scene.source).await.unwrap();
            scene.settle().await;
            // By now the bus is heard, which the first value is older than.
            short(&scene.source).await.unwrap();
            scene.settle().await;

            // Sweeps come by before, which drop what is not kept here any longer.
            for computed in 1..=3 {
                // In steps, so that the bus is heard meanwhile.
                for _ in 1..due.as_secs() {
                    scene.pass(Duration::from_secs(1)).await;
                }
                assert_eq!(scene.source.asked(), computed);
                scene.pass(Duration::from_secs(1)).await;
                assert_eq!(scene.source.asked(), computed + 1, "due after {due:?}");
            }
        };
        scene.cache.scope(test).await;
    }
}

#[tokio::test]
async fn a_failed_refresh_is_tried_again_on_schedule() {
    let scene = Scene::new();
    let test = async {
        warm(&scene.source, 1).await.unwrap();
        scene.source.set_down(true);
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 2);
        scene.source.set_down(false);
        scene.source.write();

        scene.pass(Duration::from_secs(1)).await;

        assert_eq!(scene.source.asked(), 3);
        assert_eq!(warm(&scene.source, 1).await, Ok(1));
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn shutting_down_ends_what_waits_what_runs_and_what_is_scheduled() {
    let scene = Scene::with(Cache::builder().max_refreshes(1));
    let test = async {
        for id in 0..3 {
            warm(&scene.source, id).await.unwrap();
        }
        scene.source.hold();
        scene.pass(DUE).await;
        let refreshes = scene.cache.stats().refreshes;
        assert_eq!((refreshes.running, refreshes.queued), (1, 2));

        scene.cache.shutdown().await;

        let refreshes = scene.cache.stats().refreshes;
        assert_eq!((refreshes.running, refreshes.queued, refreshes.scheduled), (0, 0, 0));
        assert_eq!(scene.cache.computations_in_flight(), 0);
        scene.source.release();
        assert_eq!(warm(&scene.source, 1).await, Ok(0), "the cache goes on");
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 4, "and refreshes nothing");
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn a_cache_that_is_dropped_refreshes_nothing_more() {
    let Scene { cache, clock, source } = Scene::new();
    cache.scope(async { warm(&source, 1).await.unwrap() }).await;
    source.hold();
    clock.advance(DUE);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cache.stats().refreshes.running, 1);

    drop(cache);
    // What runs wakes about each second, and sees.
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(source.holders(), 1, "what hangs has ended: nothing holds its arguments");
    source.release();
    clock.advance(10 * MINUTE);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(source.asked(), 2);
}

#[cached(ttl = 60, skip(source), refresh(idle = "10m"))]
async fn panicking(source: &Source) -> u64 {
    source.read().await.expect("the source answers")
}

#[tokio::test]
async fn a_refresh_that_panics_is_tried_again_without_a_call() {
    let scene = Scene::new();
    let test = async {
        panicking(&scene.source).await;
        scene.settle().await;
        scene.source.set_down(true);
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 2);
        scene.source.set_down(false);

        scene.pass(Duration::from_secs(5)).await;
        assert_eq!(scene.source.asked(), 3);
        scene.pass(DUE).await;
        assert_eq!(scene.source.asked(), 4);
    };
    scene.cache.scope(test).await;
}

/// What is evicted is on the schedule no longer, however many keys there are.
#[tokio::test]
async fn the_schedule_grows_with_the_entries_and_not_with_the_calls() {
    let scene = Scene::with(Cache::builder().local(Local::entries(100)));
    let test = async {
        for id in 0..25_000 {
            warm(&scene.source, id).await.unwrap();
        }
    };
    scene.cache.scope(test).await;

    let scheduled = scene.cache.stats().refreshes.scheduled;
    assert!((1..=10_000).contains(&scheduled), "{scheduled} on the schedule");
}

static OTHER: LazyLock<Scene> = LazyLock::new(Scene::new);

#[cached(ttl = 60, skip(source), refresh(idle = "10m"), cache = &OTHER.cache)]
async fn in_another_cache(source: &Source) -> Result<u64, Down> {
    let _ = Cache::current();
    source.read().await
}

#[cached(ttl = 3600, skip(mark), tier = local)]
async fn marked(mark: &Arc<u64>) -> Arc<u64> {
    mark.clone()
}

/// What it kept warm is computed in the scope of its call: without that one it is not computed.
#[tokio::test]
async fn a_scope_that_another_caches_schedule_remembers_can_be_dropped() {
    let (scene, mark) = (Scene::new(), Arc::new(7));
    let test = async {
        marked(&mark).await;
        in_another_cache(&scene.source).await.unwrap();
        OTHER.pass(DUE).await;
        assert_eq!(scene.source.asked(), 2, "kept warm");
    };
    scene.cache.scope(test).await;
    assert_eq!(Arc::strong_count(&mark), 2);

    let source = scene.source.clone();
    drop(scene);

    assert_eq!(Arc::strong_count(&mark), 1, "the cache of the scope is gone");
    OTHER.pass(DUE).await;
    OTHER.pass(DUE).await;
    assert_eq!(source.asked(), 2);
    assert_eq!(OTHER.cache.stats().refreshes.running, 0);
}

#[cached(ttl = 60, skip(source), grace = "1d", refresh(idle = "10m"), timeout(soft = "50ms"))]
async fn patient(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn what_is_computed_behind_a_stale_answer_is_kept_warm() {
    for is_late in [false, true] {
        let scene = Scene::new();
        let test = async {
            patient(&scene.source).await.unwrap();
            // Nobody uses it, and it is let go.
            scene.pass(Duration::from_secs(3600)).await;
            assert_eq!(scene.cache.stats().refreshes.scheduled, 0);
            let asked = scene.source.asked();
            if is_late {
                scene.source.hold();
            }

            let mut call = Box::pin(patient(&scene.source));
            if is_late {
                assert!(waits(&mut call).await);
                scene.pass(Duration::from_millis(50)).await;
            }
            call.await.unwrap();
            scene.source.release();
            scene.settle().await;
            scene.pass(DUE).await;
            scene.pass(DUE).await;

            assert_eq!(scene.source.asked(), asked + 3, "without another call; late: {is_late}");
        };
        scene.cache.scope(test).await;
    }
}

#[cached(ttl = 60, skip(source), grace = "1d", refresh(idle = "10m"))]
async fn graced(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn an_entry_that_answers_while_its_source_is_away_is_in_use() {
    let scene = Scene::new();
    let test = async {
        graced(&scene.source).await.unwrap();
        scene.settle().await;
        scene.source.set_down(true);
        // For twenty minutes, nearly all of them with the stale value.
        for _ in 0..1_200 {
            scene.pass(Duration::from_secs(1)).await;
            graced(&scene.source).await.unwrap();
        }
        scene.source.set_down(false);
        let written = scene.source.write();

        // No rest is longer than half a minute.
        scene.pass(Duration::from_secs(30)).await;

        assert_eq!(graced(&scene.source).await, Ok(written));
        assert_eq!(scene.stats("graced").misses.total(), 1, "the schedule has computed it");
    };
    scene.cache.scope(test).await;
}

#[test]
fn an_entry_is_kept_warm_also_when_the_runtime_of_its_first_call_is_gone() {
    let scene = Scene::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(scene.cache.scope(async {
        warm(&scene.source, 1).await.unwrap();
    }));

    runtime().block_on(scene.cache.scope(async {
        scene.pass(Duration::from_secs(10)).await;
        warm(&scene.source, 1).await.unwrap();
        scene.pass(DUE - Duration::from_secs(10)).await;

        assert_eq!(scene.source.asked(), 2);
    }));
}

/// Writes down in which order it computes.
#[derive(Clone)]
struct Diary {
    lines: Arc<Mutex<Vec<String>>>,
    gate: Arc<Semaphore>,
}

impl Diary {
    async fn write(&self, line: String) -> u64 {
        self.lines.lock().unwrap().push(line);
        drop(self.gate.acquire().await);
        0
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

#[cached(ttl = 60, skip(diary), refresh(priority = 10))]
async fn urgent(diary: &Diary, id: u64) -> u64 {
    diary.write(format!("urgent {id}")).await
}

#[cached(ttl = 60, skip(diary), refresh)]
async fn usual(diary: &Diary, id: u64) -> u64 {
    diary.write(format!("usual {id}")).await
}

#[tokio::test]
async fn the_higher_priority_comes_first_then_what_is_used_most() {
    let scene = Scene::with(Cache::builder().max_refreshes(1));
    let diary = Diary { lines: Arc::default(), gate: Arc::new(Semaphore::new(1 << 20)) };
    let test = async {
        for id in 0..3 {
            usual(&diary, id).await;
            urgent(&diary, id).await;
        }
        // The second is used far more often than the others.
        for _ in 0..2_000 {
            usual(&diary, 1).await;
        }
        diary.take();
        diary.gate.forget_permits(usize::MAX);
        scene.pass(DUE).await;
        usual(&diary, 2).await;
        scene.settle().await;
        assert_eq!(diary.take(), ["usual 2"], "it runs, and there is one at once");

        for id in 0..2 {
            usual(&diary, id).await;
        }
        for id in 0..3 {
            urgent(&diary, id).await;
        }
        scene.settle().await;
        assert_eq!(scene.cache.stats().refreshes.queued, 5);
        scene.pass(Duration::from_secs(2)).await;
        assert!(scene.cache.stats().refreshes.oldest >= Duration::from_secs(2));
        diary.gate.add_permits(1 << 20);
        scene.settle().await;

        assert_eq!(diary.take(), ["urgent 0", "urgent 1", "urgent 2", "usual 1", "usual 0"]);
    };
    scene.cache.scope(test).await;
}
