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

/// All versions and instances of a function are one to `f_clear`.
mod clearing {
    use std::sync::atomic::{AtomicU64, Ordering};

    use larder::{Cache, Invalidate, cached};

    use super::support::{Db, Stage};

    static ASKED: AtomicU64 = AtomicU64::new(0);

    #[cached(ttl = 60, tags = ["menu:{id}"])]
    async fn menu<T>(id: T, with: &str) -> u64
    where
        T: Into<u64> + Copy + serde::Serialize + std::fmt::Display,
    {
        let _ = with;
        ASKED.fetch_add(1, Ordering::Relaxed) + id.into()
    }

    #[cached(ttl = 60, name = "named", version = 2, skip(db))]
    async fn named(db: &Db, id: u64) -> u64 {
        db.row(id).await
    }

    struct Repo<T> {
        cache: Cache,
        db: Db,
        _of: std::marker::PhantomData<T>,
    }

    impl<T: Send + Sync + 'static> Repo<T> {
        #[cached(ttl = 60, key = id, cache = self.cache)]
        async fn row(&self, id: u64) -> u64 {
            self.db.row(id).await
        }
    }

    #[cached(ttl = 60, cache = caches[1].clone(), skip(caches))]
    async fn picked(caches: &[Cache; 2], id: u64) -> u64 {
        caches.len() as u64 + id
    }

    #[test]
    fn a_function_is_cleared_without_any_of_its_arguments() {
        let stage = Stage::new();
        stage.run(async {
            let first = (menu(1_u64, "a").await, menu(1_u32, "b").await);
            assert_eq!((menu(1_u64, "a").await, menu(1_u32, "b").await), first);

            menu_clear().await.unwrap();

            assert_ne!(menu(1_u64, "a").await, first.0);
            assert_ne!(menu(1_u32, "b").await, first.1);
        });
    }

    #[test]
    fn a_function_is_found_by_its_given_name() {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(async {
            assert_eq!(named(&db, 1).await, 0);
            db.write();

            named_clear().await.unwrap();

            assert_eq!(named(&db, 1).await, 1);
        });
    }

    #[test]
    fn it_takes_what_the_cache_needs() {
        let (stage, caches) = (Stage::new(), [Cache::default(), Cache::default()]);
        let repo: Repo<u8> = Repo { cache: Cache::default(), db: Db::open(), _of: std::marker::PhantomData };
        stage.run(async {
            assert_eq!(repo.row(1).await, 0);
            repo.db.write();
            picked(&caches, 1).await;

            repo.row_clear().await.unwrap();
            picked_clear(&caches).await.unwrap();

            assert_eq!(repo.row(1).await, 1);
            assert!(picked_entry(&caches, 1).peek().await.unwrap().is_none());
        });
    }

    #[test]
    fn nothing_happens_before_it_is_awaited() {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(async {
            named(&db, 1).await;

            drop(named_clear());
            let set = Invalidate::from(named_clear()).and(Invalidate::tag("other"));
            assert!(named_entry(1).peek().await.unwrap().is_some());

            stage.cache.apply(set).await.unwrap();
            assert!(named_entry(1).peek().await.unwrap().is_none());
        });
    }
}
