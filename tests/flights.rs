//! Of many callers of a cold key one computes, and no end of that one hangs the others.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use larder::{Cache, cached};
use support::{Db, LEASE, Stage, Task};
use tokio::sync::Barrier;

#[cached(ttl = "1h", tags = ["menu"], skip(db))]
async fn menu(db: &Db, id: u64) -> u64 {
    id + db.read().await
}

#[test]
fn a_thousand_callers_of_a_cold_key_cause_one_computation() {
    #[cached(ttl = "1h", skip(computations))]
    async fn slow(computations: &AtomicU64, round: u64) -> u64 {
        computations.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        round * 10
    }
    const CALLERS: u64 = 1_000;
    const ROUNDS: u64 = 30;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    let (cache, computations) = (Cache::default(), Arc::new(AtomicU64::new(0)));

    for round in 0..ROUNDS {
        let barrier = Arc::new(Barrier::new(CALLERS as usize));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (cache, computations, barrier) = (cache.clone(), computations.clone(), barrier.clone());
                runtime.spawn(async move {
                    barrier.wait().await;
                    cache.scope(slow(&computations, round)).await
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(runtime.block_on(caller).expect("a caller"), round * 10);
        }
    }

    let stats = cache.stats();
    assert_eq!(computations.load(Ordering::SeqCst), ROUNDS);
    assert_eq!((stats.calls(), stats.misses(), stats.computations()), (ROUNDS * CALLERS, ROUNDS, ROUNDS));
    assert_eq!(cache.computations_in_flight(), 0);
}

#[test]
fn a_follower_gets_the_leaders_value() {
    let (stage, db) = (Stage::new(), Db::held());
    let (leader, follower) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));
    assert_eq!(stage.cache.computations_in_flight(), 1);

    db.release();
    let led = leader.end();

    assert!(follower.is_woken());
    assert_eq!((led, follower.end(), db.asked()), (1, 1, 1));
    assert_eq!((stage.stats("menu").misses.absent, stage.stats("menu").joined), (1, 1));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn another_key_is_not_waited_for() {
    let (stage, db) = (Stage::new(), Db::held());
    let _leader = stage.begin(menu(&db, 1));

    let other = stage.begin(menu(&db, 2));

    assert_eq!((db.asked(), stage.cache.computations_in_flight()), (2, 2));
    drop(other);
    assert_eq!(stage.cache.computations_in_flight(), 1);
}

#[test]
fn a_follower_takes_over_when_the_leader_is_cancelled() {
    let (stage, db) = (Stage::new(), Db::held());
    let leader = stage.begin(menu(&db, 1));
    let (mut second, mut third) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));

    drop(leader);

    assert!(second.is_woken() && third.is_woken());
    assert!(second.waits() && third.waits());
    assert_eq!((db.asked(), stage.cache.computations_in_flight()), (2, 1));
    db.release();
    assert_eq!((second.end(), third.end(), db.asked()), (1, 1, 2));
    let stats = stage.stats("menu");
    assert_eq!((stats.misses.absent, stats.joined, stats.computations, stats.abandoned), (1, 2, 2, 1));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_cancelled_follower_leaves_the_others_waiting_for_the_leader() {
    let (stage, db) = (Stage::new(), Db::held());
    let leader = stage.begin(menu(&db, 1));
    let (second, third) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));

    drop(second);
    db.release();

    assert_eq!((leader.end(), third.end(), db.asked()), (1, 1, 1));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_follower_takes_over_when_the_leader_panics() {
    #[cached(ttl = "1h", skip(db, panics))]
    async fn fragile(db: &Db, panics: &AtomicBool, id: u64) -> u64 {
        let row = db.read().await;
        assert!(!panics.swap(false, Ordering::SeqCst), "on purpose");
        id + row
    }
    let (stage, db, panics) = (Stage::new(), Db::held(), AtomicBool::new(true));
    let mut leader = stage.begin(fragile(&db, &panics, 1));
    let follower = stage.begin(fragile(&db, &panics, 1));

    db.release();
    catch_unwind(AssertUnwindSafe(|| leader.poll())).expect_err("the panic passes through");

    assert!(follower.is_woken());
    assert_eq!((follower.end(), db.asked()), (1, 2));
    assert_eq!(stage.stats("fragile").abandoned, 1);
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_follower_takes_over_when_what_is_said_of_the_value_panics() {
    #[cached(ttl = "1h", tags_from = |row| vec![format!("row:{}", 7 / *row)], skip(db))]
    async fn named(db: &Db, id: u64) -> u64 {
        db.row(id).await
    }
    let (stage, db) = (Stage::new(), Db::held());
    let mut leader = stage.begin(named(&db, 1));
    let follower = stage.begin(named(&db, 1));
    db.write();

    db.release();
    catch_unwind(AssertUnwindSafe(|| leader.poll())).expect_err("0 divides nothing");

    assert!(follower.is_woken());
    assert_eq!((follower.end(), db.asked()), (1, 2));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn followers_share_an_error_that_can_be_cloned() {
    #[derive(Debug, Clone, PartialEq)]
    struct Shareable(u64);
    #[cached(ttl = "1h", skip(db))]
    async fn failing(db: &Db, id: u64) -> Result<String, Shareable> {
        Err(Shareable(id + db.read().await))
    }
    let (stage, db) = (Stage::new(), Db::held());
    let (leader, follower) = (stage.begin(failing(&db, 1)), stage.begin(failing(&db, 1)));

    db.release();

    assert_eq!((leader.end(), follower.end()), (Err(Shareable(1)), Err(Shareable(1))));
    assert_eq!(db.asked(), 1);
    // Not stored: who comes later computes.
    assert_eq!(stage.run(failing(&db, 1)), Err(Shareable(1)));
    assert_eq!((db.asked(), stage.stats("failing").errors, stage.stats("failing").fills), (2, 2, 0));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn each_follower_computes_at_once_when_the_error_cannot_be_cloned() {
    #[derive(Debug)]
    struct Own;
    #[cached(ttl = "1h", skip(db))]
    async fn failing(db: &Db, id: u64) -> Result<u64, Own> {
        let row = db.read().await;
        if row == 0 { Err(Own) } else { Ok(id + row) }
    }
    let (stage, db) = (Stage::new(), Db::held());
    let leader = stage.begin(failing(&db, 1));
    let mut followers: Vec<_> = (0..3).map(|_| stage.begin(failing(&db, 1))).collect();
    db.release();

    leader.end().expect_err("its own error");
    db.hold();
    db.write();

    assert!(followers.iter_mut().all(Task::waits));
    assert_eq!(db.asked(), 4, "they compute side by side, not one after the other");
    assert_eq!(stage.cache.computations_in_flight(), 1, "one of them leads");
    db.release();
    for follower in followers {
        assert_eq!(follower.end().expect("a value"), 2);
    }
    assert_eq!((stage.run(failing(&db, 1)).expect("a hit"), db.asked()), (2, 4));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn every_computation_that_fails_is_counted() {
    #[derive(Debug)]
    struct Own;
    #[cached(ttl = "1h", skip(db))]
    async fn failing(db: &Db, id: u64) -> Result<u64, Own> {
        if db.read().await == id { Ok(id) } else { Err(Own) }
    }
    let (stage, db) = (Stage::new(), Db::held());
    let leader = stage.begin(failing(&db, 1));
    let mut callers: Vec<_> = (0..3).map(|_| stage.begin(failing(&db, 1))).collect();
    db.release();
    leader.end().expect_err("its own error");
    db.hold();
    assert!(callers.iter_mut().all(Task::waits));

    db.release();
    for caller in callers {
        caller.end().expect_err("its own error");
    }

    let stats = stage.stats("failing");
    assert_eq!((stats.calls(), stats.computations, stats.errors), (4, 4, 4));
}

#[test]
fn a_follower_takes_over_when_the_leaders_runtime_is_dropped() {
    let (stage, db) = (Stage::new(), Arc::new(Db::held()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let (cache, leaders_db) = (stage.cache.clone(), db.clone());
    runtime.spawn(async move { cache.scope(menu(&leaders_db, 1)).await });
    while db.asked() == 0 {
        std::thread::yield_now();
    }
    let follower = stage.begin(menu(&db, 1));

    drop(runtime);

    assert!(follower.is_woken());
    db.release();
    assert_eq!((follower.end(), db.asked()), (1, 2));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_follower_takes_over_after_the_lease_when_the_leader_is_never_polled_again() {
    let (stage, db) = (Stage::new(), Db::held());
    let leader = stage.begin(menu(&db, 1));
    let mut follower = stage.begin(menu(&db, 1));

    for _ in 0..3 {
        stage.clock.advance(LEASE / 4);
        assert!(follower.waits());
    }
    assert_eq!(db.asked(), 1, "the lease has not passed");
    stage.clock.advance(LEASE / 4);
    assert!(follower.waits());
    assert_eq!(db.asked(), 2, "it has");

    let new = 1 + db.write();
    let joins = stage.begin(menu(&db, 1));
    assert_eq!(db.asked(), 2, "who comes later joins the one that took over");
    db.release();
    assert_eq!((follower.end(), joins.end()), (1, 1));
    // The first leader comes back from the dead. Its caller has its value; nobody else gets it.
    stage.run(async { menu_entry(1).put(new).await }).expect("stored");
    assert_eq!(leader.end(), 1);
    assert_eq!(stage.run(menu(&db, 1)), new);
    assert_eq!(stage.stats("menu").refused_fills, 1);
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_leader_that_is_polled_is_waited_for_however_long_it_takes() {
    let (stage, db) = (Stage::new(), Db::held());
    let mut leader = stage.begin(menu(&db, 1));
    let mut follower = stage.begin(menu(&db, 1));

    for _ in 0..600 {
        stage.clock.advance(Duration::from_secs(1));
        assert!(leader.is_woken(), "it sees to it that it is polled");
        assert!(leader.waits() && follower.waits());
    }

    assert_eq!(db.asked(), 1);
    db.release();
    assert_eq!((leader.end(), follower.end()), (1, 1));
}

#[test]
fn a_task_that_stops_polling_one_call_and_awaits_another_goes_on_after_the_lease() {
    let (stage, db) = (Stage::new(), Db::held());
    let mut task = stage.begin(async {
        // What a `select!` does whose other arm waits for the same key: "futurelock".
        let mut first = pin!(menu(&db, 1));
        let begun =
            std::future::poll_fn(|context| Poll::Ready(first.as_mut().poll(context).is_pending())).await;
        assert!(begun);
        let second = menu(&db, 1).await;
        (second, first.await)
    });
    assert_eq!(db.asked(), 1);

    db.release();
    for _ in 0..4 {
        assert!(task.waits());
        stage.clock.advance(LEASE / 4);
    }

    assert_eq!(task.end(), (1, 1));
    assert_eq!((db.asked(), stage.cache.computations_in_flight()), (2, 0));
}

#[test]
fn a_computation_that_asks_for_its_own_key_does_not_hang() {
    #[cached(ttl = "1h", skip(db, depth))]
    async fn ouroboros(db: &Db, depth: u64, id: u64) -> u64 {
        match depth {
            0 => id + db.read().await,
            _ => Box::pin(detour(db, depth - 1, id)).await + 100,
        }
    }
    #[cached(ttl = "1h", skip(db, depth))]
    async fn detour(db: &Db, depth: u64, id: u64) -> u64 {
        Box::pin(ouroboros(db, depth, id)).await + 10
    }
    let (stage, db) = (Stage::new(), Db::open());

    let value = stage.run(ouroboros(&db, 2, 1));

    assert_eq!((value, db.asked()), (221, 1));
    assert_eq!(stage.run(ouroboros(&db, 0, 1)), 221, "the outermost is stored");
    assert_eq!(stage.run(detour(&db, 0, 1)), 121);
    let stats = stage.cache.stats();
    assert_eq!((stats.calls(), stats.misses(), stats.hits(), stats.computations()), (7, 5, 2, 5));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_computation_that_asks_another_cache_for_the_same_key_is_stored_there() {
    #[cached(ttl = "1h", skip(db, inner))]
    async fn layered(db: &Db, inner: Option<&Cache>, id: u64) -> u64 {
        match inner {
            Some(inner) => inner.scope(Box::pin(layered(db, None, id))).await + 100,
            None => id + db.read().await,
        }
    }
    let (outer, inner, db) = (Stage::new(), Stage::new(), Db::open());

    assert_eq!(outer.run(layered(&db, Some(&inner.cache), 1)), 101);

    assert_eq!((inner.run(layered(&db, None, 1)), db.asked()), (1, 1));
}

#[test]
fn callers_of_a_refresh_that_runs_join_it() {
    let (stage, db) = (Stage::new(), Db::held());
    let refresh = stage.begin(menu_refresh(&db, 1));

    let follower = stage.begin(menu(&db, 1));

    assert_eq!(db.asked(), 1);
    db.release();
    assert_eq!((refresh.end(), follower.end(), db.asked()), (1, 1, 1));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}
