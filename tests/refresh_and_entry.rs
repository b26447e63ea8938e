//! The functions beside a cached one: `f_uncached`, `f_refresh` and the handle `f_entry`.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder::cached;
use support::{Db, Stage};

#[cached(ttl = "1m", none_ttl = "10s", skip(db))]
async fn dish(db: &Db, id: u64) -> Option<u64> {
    let row = db.row(id).await;
    (row != 13).then_some(row)
}

#[cached(ttl = "1m", skip(db, fails))]
async fn risky(db: &Db, fails: &AtomicBool, id: u64) -> Result<u64, String> {
    let row = db.row(id).await;
    if fails.load(Ordering::SeqCst) { Err("on purpose".to_owned()) } else { Ok(row) }
}

#[cached(ttl = "1m", store_if = |row: &u64| *row == 0, skip(db))]
async fn picky(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

#[test]
fn uncached_neither_looks_nor_stores() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(dish(&db, 1));
    db.write();

    assert_eq!(stage.run(dish_uncached(&db, 1)), Some(1));

    assert_eq!(stage.run(dish(&db, 1)), Some(0));
    assert_eq!(stage.stats("dish").calls(), 2);
}

#[test]
fn refresh_computes_though_a_fresh_value_is_stored_and_replaces_it() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(dish(&db, 1));
    db.write();
    stage.clock.advance(Duration::from_secs(59));

    assert_eq!(stage.run(dish_refresh(&db, 1)), Some(1));

    stage.clock.advance(Duration::from_secs(59));
    assert_eq!((stage.run(dish(&db, 1)), db.asked()), (Some(1), 2));
}

#[test]
fn a_stored_value_is_served_while_a_refresh_runs() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(dish(&db, 1));
    db.write();
    db.hold();

    let refresh = stage.begin(dish_refresh(&db, 1));

    assert_eq!(stage.run(dish(&db, 1)), Some(0));
    db.release();
    assert_eq!((refresh.end(), stage.run(dish(&db, 1))), (Some(1), Some(1)));
}

#[test]
fn a_refresh_that_is_cancelled_leaves_what_was_stored() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(dish(&db, 1));
    db.hold();

    drop(stage.begin(dish_refresh(&db, 1)));

    assert_eq!((stage.run(dish(&db, 1)), db.asked()), (Some(0), 2));
    assert_eq!(stage.cache.computations_in_flight(), 0);
}

#[test]
fn a_refresh_that_fails_leaves_what_was_stored() {
    let (stage, db, fails) = (Stage::new(), Db::open(), AtomicBool::new(false));
    stage.run(risky(&db, &fails, 1)).expect("a value");
    fails.store(true, Ordering::SeqCst);

    stage.run(risky_refresh(&db, &fails, 1)).expect_err("its own error");

    assert_eq!(stage.run(risky(&db, &fails, 1)), Ok(0));
}

#[test]
fn callers_that_joined_a_refresh_share_its_error() {
    let (stage, db, fails) = (Stage::new(), Db::held(), AtomicBool::new(true));
    let refresh = stage.begin(risky_refresh(&db, &fails, 1));
    let follower = stage.begin(risky(&db, &fails, 1));

    db.release();

    assert_eq!((refresh.end().is_err(), follower.end().is_err(), db.asked()), (true, true, 1));
}

#[test]
fn a_refresh_whose_value_is_not_to_be_stored_removes_the_older_one() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(picky(&db, 1));
    db.write();

    assert_eq!(stage.run(picky_refresh(&db, 1)), 1);

    assert_eq!(stage.run(async { picky_entry(1).peek().await }).expect("a peek"), None);
    assert_eq!(stage.run(picky(&db, 1)), 1);
}

#[test]
fn of_two_refreshes_the_one_that_began_later_counts() {
    let (stage, db) = (Stage::new(), Db::held());
    let early = stage.begin(dish_refresh(&db, 1));
    db.write();
    let late = stage.begin(dish_refresh(&db, 1));
    db.release();

    assert_eq!((late.end(), early.end()), (Some(1), Some(0)));

    assert_eq!(stage.run(dish(&db, 1)), Some(1));
}

#[test]
fn peek_shows_without_computing_or_counting() {
    let (stage, db) = (Stage::new(), Db::open());
    let peek = || stage.run(async { dish_entry(1).peek().await }).expect("a peek");
    assert_eq!(peek(), None);
    stage.run(dish(&db, 1));

    stage.clock.advance(Duration::from_secs(40));
    let seen = peek().expect("it is stored");

    assert_eq!((seen.value, seen.is_fresh, seen.age), (Some(0), true, Duration::from_secs(40)));
    assert_eq!((stage.stats("dish").calls(), db.asked()), (1, 1));
}

#[test]
fn peek_shows_an_expired_value_as_stale() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(dish(&db, 1));

    stage.run(async { dish_entry(1).expire().await }).expect("in process it cannot fail");

    let seen = stage.run(async { dish_entry(1).peek().await }).expect("a peek").expect("it is still there");
    assert_eq!((seen.value, seen.is_fresh), (Some(0), false));
}

#[test]
fn what_is_put_is_served_for_the_functions_ttl() {
    let (stage, db) = (Stage::new(), Db::open());

    stage.run(async { dish_entry(1).put(Some(77)).await }).expect("put");

    stage.clock.advance(Duration::from_secs(59));
    assert_eq!((stage.run(dish(&db, 1)), db.asked()), (Some(77), 0));
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!((stage.run(dish(&db, 1)), db.asked()), (Some(0), 1));
}

#[test]
fn none_that_is_put_lives_as_long_as_a_computed_one() {
    let (stage, db) = (Stage::new(), Db::open());

    stage.run(async { dish_entry(1).put(None).await }).expect("put");

    stage.clock.advance(Duration::from_secs(9));
    assert_eq!(stage.run(dish(&db, 1)), None);
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.run(dish(&db, 1)), Some(0));
}

#[test]
fn an_error_that_is_put_removes_the_older_value() {
    let (stage, db, fails) = (Stage::new(), Db::open(), AtomicBool::new(false));
    stage.run(risky(&db, &fails, 1)).expect("a value");

    stage.run(async { risky_entry(1).put(Err("gone".to_owned())).await }).expect("put");

    assert_eq!((stage.run(risky(&db, &fails, 1)), db.asked()), (Ok(0), 2));
}

#[test]
fn an_entry_names_what_the_call_names() {
    #[cached(ttl = "1m", key = (name.len(), &name[..1]))]
    async fn reduced(db: &Db, name: &str) -> u64 {
        db.row(name.len() as u64).await
    }
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(reduced(&db, "abc"));

    stage.run(async { reduced_entry("axx").invalidate().await }).expect("in process it cannot fail");

    stage.run(reduced(&db, "abc"));
    assert_eq!(db.asked(), 2);
}
