//! Callers that ask for values of different types under one key get values of their own, and never those of the other type.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use cache_core::testing::Operation;
use larder::{Key, Options, cached};
use support::pair::Pair;
use support::{Db, MINUTE, Stage};

fn key() -> Key {
    Key::of("menu", 1).expect("a number is a key part")
}

fn minute() -> Options {
    Options::ttl(MINUTE)
}

/// A row as text.
async fn text(db: &Db) -> String {
    format!("row {}", db.read().await)
}

#[test]
fn a_stored_value_of_another_type_is_computed_anew_and_gives_way() {
    let (stage, db) = (Stage::new(), Db::open());
    let number = || stage.run(stage.cache.get_or_compute(&key(), &minute(), || db.read()));
    let words = || stage.run(stage.cache.get_or_compute(&key(), &minute(), || text(&db)));

    assert_eq!((number(), words(), words(), number()), (0, "row 0".into(), "row 0".into(), 0));

    assert_eq!(db.asked(), 3);
    let stats = stage.stats("menu");
    assert_eq!((stats.misses.absent, stats.misses.undecodable, stats.hits), (1, 2, 1));
}

#[test]
fn what_is_looked_at_is_of_the_type_that_is_asked_for() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(stage.cache.get_or_compute(&key(), &minute(), || db.read()));

    let got = stage.run(stage.cache.get::<String>(&key(), &minute()));

    assert_eq!(got.expect("there is no shared tier"), None);
    assert_eq!(
        stage.run(stage.cache.get::<u64>(&key(), &minute())).expect("there is no shared tier"),
        Some(0)
    );
}

#[test]
fn who_joined_a_computation_of_another_type_computes() {
    let (stage, db, options, key) = (Stage::new(), Db::held(), minute(), key());
    let number = stage.begin(stage.cache.get_or_compute(&key, &options, || db.read()));
    let words = stage.begin(stage.cache.get_or_compute(&key, &options, || text(&db)));
    assert_eq!(db.asked(), 1);

    db.release();

    assert_eq!((number.end(), words.end(), db.asked()), (0, "row 0".into(), 2));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_stale_value_stands_in_for_its_own_type_alone() {
    let (stage, db) = (Stage::new(), Db::open());
    let options = minute().grace(MINUTE);
    stage.run(stage.cache.get_or_compute(&key(), &options, || db.read()));
    stage.clock.advance(MINUTE + Duration::from_secs(1));

    let words =
        stage.run(stage.cache.try_get_or_compute(&key(), &options, async || Err::<String, _>("away")));
    let number = stage.run(stage.cache.try_get_or_compute(&key(), &options, async || Err::<u64, _>("away")));

    assert_eq!((words, number), (Err("away"), Ok(0)));
    assert_eq!(stage.stats("menu").computations, 3, "no rest after the failure of another type");
}

#[test]
fn who_follows_is_not_handed_what_stands_in_for_another_type() {
    let (stage, db, key) = (Stage::new(), Db::held(), key());
    let options = minute().grace(MINUTE);
    stage.run(stage.cache.put(&key, 7_u64, &options)).expect("there is no shared tier");
    stage.clock.advance(MINUTE + Duration::from_secs(1));
    let failing = async || Err::<u64, _>(db.read().await);
    let number = stage.begin(stage.cache.try_get_or_compute(&key, &options, failing));
    let words = stage.begin(stage.cache.get_or_compute(&key, &options, || text(&db)));

    db.release();

    assert_eq!((number.end(), words.end()), (Ok(7), "row 0".into()));
}

#[cached(ttl = 60, tier = local, skip(db))]
async fn at_home(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

#[tokio::test]
async fn what_stays_here_does_so_also_where_its_key_was_asked_for_in_every_tier() {
    let (pair, db) = (Pair::new(), Db::open());
    let test = async {
        let key = at_home_entry(1).key().cloned().expect("a number is a key part");
        assert_eq!(pair.cache.get::<u64>(&key, &minute()).await.expect("it is there"), None);
        at_home(&db, 1).await
    };

    assert_eq!(pair.cache.scope(test).await, 0);

    assert_eq!(pair.faults.calls(Operation::Lease), 0);
}

#[cached(ttl = 60, skip(db))]
async fn refused(db: &Db, id: u64) -> Result<u64, String> {
    Err(format!("no {}", id + db.read().await))
}

#[test]
fn who_cannot_have_the_error_of_a_function_computes() {
    let (stage, db, options) = (Stage::new(), Db::held(), minute());
    let key = stage.run(async { refused_entry(1).key().cloned() }).expect("a number is a key part");
    let function = stage.begin(refused(&db, 1));
    let follower = stage.begin(refused(&db, 1));
    let words = stage.begin(stage.cache.get_or_compute(&key, &options, || text(&db)));
    let failing = async || Err::<u64, u64>(db.read().await);
    let number = stage.begin(stage.cache.try_get_or_compute(&key, &options, failing));
    assert_eq!(db.asked(), 1);

    db.release();

    assert_eq!((function.end(), follower.end()), (Err("no 1".into()), Err("no 1".into())));
    assert_eq!((words.end(), number.end(), db.asked()), ("row 0".into(), Err(0), 3));
}

#[test]
fn items_of_a_batch_are_of_their_own_type() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(stage.cache.get_or_compute(&key(), &minute(), || db.read()));

    let words =
        stage.run(stage.cache.get_or_compute_many([(1, key())], &minute(), async |missing: Vec<u64>| {
            missing.into_iter().map(|id| (id, format!("row {id}"))).collect()
        }));

    assert_eq!(words.get(&1).map(String::as_str), Some("row 1"));
}

#[test]
fn items_of_a_batch_that_follow_another_type_are_computed() {
    let (stage, db, options, key) = (Stage::new(), Db::held(), minute(), key());
    let number = stage.begin(stage.cache.get_or_compute(&key, &options, || db.read()));
    let words = stage.begin(stage.cache.get_or_compute_many(
        [(1, key.clone())],
        &options,
        async |missing: Vec<u64>| missing.into_iter().map(|id| (id, format!("row {id}"))).collect(),
    ));

    db.release();

    assert_eq!(number.end(), 0);
    assert_eq!(words.end().get(&1).map(String::as_str), Some("row 1"));
}
