//! Calls that go past the cache: it neither answers nor stores, and counts them as bypassed.

mod support;

use std::time::Duration;

use larder::{Cache, Key, Options, cached};
use serde::{Serialize, Serializer};
use support::{Db, Stage, Task};

#[cached(ttl = "1h", skip(db))]
async fn row(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

/// How often the database was asked by three calls, and the bypassed ones among them.
fn three<T>(stage: &Stage, db: &Db, name: &str, call: impl AsyncFn() -> T) -> (u64, u64, u64) {
    stage.run(async {
        for _ in 0..3 {
            call().await;
        }
    });
    let stats = stage.stats(name);
    assert_eq!(stage.cache.computations_in_flight(), 0);
    (db.asked(), stats.bypassed, stats.calls())
}

#[test]
fn a_disabled_cache_computes_every_call() {
    let stage = Stage { cache: Cache::disabled(), clock: cache_core::testing::ManualClock::new() };
    let db = Db::open();

    assert_eq!(three(&stage, &db, "row", async || row(&db, 1).await), (3, 3, 0));
    assert_eq!(stage.run(row_refresh(&db, 1)), 0);

    stage.run(async { row_entry(1).put(77).await }).expect("nothing to do");
    stage.run(async { row_entry(1).invalidate().await }).expect("nothing to do");
    stage.run(stage.cache.clear()).expect("nothing to do");
    assert_eq!(stage.run(async { row_entry(1).peek().await }).expect("a peek"), None);
    assert_eq!((stage.run(row(&db, 1)), stage.cache.stats().local_entries), (0, 0));
}

#[test]
fn a_disabled_cache_joins_nobody() {
    let (cache, db) = (Cache::disabled(), Db::held());
    let (one, two) = (Task::begun(cache.scope(row(&db, 1))), Task::begun(cache.scope(row(&db, 1))));

    assert_eq!((db.asked(), cache.computations_in_flight()), (2, 0));
    db.release();
    one.end();
    two.end();
}

#[test]
fn a_disabled_cache_does_so_for_direct_calls() {
    let (cache, db) = (Cache::disabled(), Db::open());
    let (key, options) = (Key::of("direct", 1).expect("a key"), Options::ttl(Duration::from_secs(60)));

    for _ in 0..2 {
        Task::new(cache.get_or_compute(&key, &options, || db.read())).end();
    }
    Task::new(cache.put(&key, 7_u64, &options)).end().expect("nothing to do");

    assert_eq!(Task::new(cache.get::<u64>(&key, &options)).end().expect("in process it cannot fail"), None);
    assert_eq!((db.asked(), cache.stats().function("direct").map(|f| f.bypassed)), (2, Some(3)));
}

#[test]
fn when_decides_for_this_call() {
    #[cached(ttl = "1h", when = !is_admin, skip(db))]
    async fn page(db: &Db, is_admin: bool) -> u64 {
        let _ = is_admin;
        db.read().await
    }
    let (stage, db) = (Stage::new(), Db::open());

    assert_eq!(three(&stage, &db, "page", async || page(&db, true).await), (3, 3, 0));
    assert_eq!(three(&stage, &db, "page", async || page(&db, false).await), (4, 3, 3));
    stage.run(page_refresh(&db, true));
    assert_eq!((stage.stats("page").bypassed, stage.stats("page").fills), (4, 1));
}

#[test]
fn a_ttl_of_zero_at_run_time_switches_caching_off() {
    #[cached(ttl = Duration::from_secs(*seconds), skip(db))]
    async fn chosen(db: &Db, seconds: &u64) -> u64 {
        db.row(*seconds).await
    }
    let (stage, db) = (Stage::new(), Db::open());

    assert_eq!(three(&stage, &db, "chosen", async || chosen(&db, &0).await), (3, 3, 0));
    assert_eq!(three(&stage, &db, "chosen", async || chosen(&db, &1).await), (4, 3, 3));
}

#[test]
fn a_ttl_of_zero_switches_direct_calls_off() {
    let (stage, db) = (Stage::new(), Db::open());
    let (key, options) = (Key::of("direct", 1).expect("a key"), Options::ttl(Duration::ZERO));

    let told =
        three(&stage, &db, "direct", async || stage.cache.get_or_compute(&key, &options, || db.read()).await);

    assert_eq!(told, (3, 3, 0));
}

#[test]
fn an_argument_that_cannot_be_written_bypasses_and_never_breaks_the_function() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("on purpose"))
        }
    }
    #[cached(ttl = "1h", tags = ["menu"], skip(db))]
    async fn asked(db: &Db, argument: &Broken, id: u64) -> u64 {
        let _ = argument;
        db.row(id).await
    }
    let (stage, db) = (Stage::new(), Db::open());

    assert_eq!(three(&stage, &db, "asked", async || asked(&db, &Broken, 1).await), (3, 3, 0));
    assert_eq!(stage.run(asked_refresh(&db, &Broken, 1)), 0);

    let error =
        stage.run(async { asked_entry(&Broken, 1).invalidate().await }).expect_err("no key, no entry");
    assert_eq!(error.kind(), larder::ErrorKind::Key);
    let error = stage.run(async { asked_entry(&Broken, 1).put(7).await }).expect_err("no key, no entry");
    assert_eq!(error.kind(), larder::ErrorKind::Key);
}
