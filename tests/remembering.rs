//! Values are remembered; `None` and `Err` only where the function asks for it, whatever its return type is called.

mod support;

use std::time::Duration;

use larder::cached;
use support::{Db, Stage};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct DbError(u64);

type QueryResult<T> = Result<T, DbError>;
type Maybe<T> = Option<T>;
type Found<T> = QueryResult<Maybe<T>>;

/// What a function is asked for.
#[derive(Debug, Clone, Copy, serde::Serialize)]
enum Ask {
    Value,
    None,
    Error,
}

#[cached(ttl = "1m", skip(db))]
async fn plain_result(db: &Db, ask: Ask) -> QueryResult<u64> {
    let row = db.read().await;
    if matches!(ask, Ask::Value) { Ok(row) } else { Err(DbError(row)) }
}

#[cached(ttl = "1m", skip(db))]
async fn plain_option(db: &Db, ask: Ask) -> Maybe<u64> {
    let row = db.read().await;
    matches!(ask, Ask::Value).then_some(row)
}

#[cached(ttl = "1m", skip(db))]
async fn both(db: &Db, ask: Ask) -> Found<u64> {
    let row = db.read().await;
    match ask {
        Ask::Value => Ok(Some(row)),
        Ask::None => Ok(None),
        Ask::Error => Err(DbError(row)),
    }
}

#[cached(ttl = "1m", none_ttl = "10s", skip(db))]
async fn none_kept(db: &Db, ask: Ask) -> Maybe<u64> {
    let row = db.read().await;
    matches!(ask, Ask::Value).then_some(row)
}

#[cached(ttl = "1m", err_ttl = "5s", skip(db))]
async fn error_kept(db: &Db, ask: Ask) -> QueryResult<u64> {
    let row = db.read().await;
    if matches!(ask, Ask::Value) { Ok(row) } else { Err(DbError(row)) }
}

#[cached(ttl = "1m", none_ttl = "10s", err_ttl = "5s", skip(db))]
async fn all_kept(db: &Db, ask: Ask) -> Found<u64> {
    let row = db.read().await;
    match ask {
        Ask::Value => Ok(Some(row)),
        Ask::None => Ok(None),
        Ask::Error => Err(DbError(row)),
    }
}

/// For how many seconds after the first call no other one asks the database; 0 when the next one does.
macro_rules! remembered {
    ($function:ident, $ask:expr) => {{
        let (stage, db) = (Stage::new(), Db::open());
        let first = stage.run($function(&db, $ask));
        let mut seconds = 0;
        while stage.run($function(&db, $ask)) == first && db.asked() == 1 {
            seconds += 1;
            stage.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(stage.cache.computations_in_flight(), 0);
        seconds
    }};
}

#[test]
fn values_are_remembered_for_the_ttl() {
    assert_eq!(remembered!(plain_result, Ask::Value), 60);
    assert_eq!(remembered!(plain_option, Ask::Value), 60);
    assert_eq!(remembered!(both, Ask::Value), 60);
    assert_eq!(remembered!(none_kept, Ask::Value), 60);
    assert_eq!(remembered!(error_kept, Ask::Value), 60);
    assert_eq!(remembered!(all_kept, Ask::Value), 60);
}

#[test]
fn none_is_remembered_where_the_function_says_so() {
    assert_eq!(remembered!(plain_option, Ask::None), 0);
    assert_eq!(remembered!(both, Ask::None), 0);
    assert_eq!(remembered!(none_kept, Ask::None), 10);
    assert_eq!(remembered!(all_kept, Ask::None), 10);
}

#[test]
fn errors_are_remembered_where_the_function_says_so() {
    assert_eq!(remembered!(plain_result, Ask::Error), 0);
    assert_eq!(remembered!(both, Ask::Error), 0);
    assert_eq!(remembered!(error_kept, Ask::Error), 5);
    assert_eq!(remembered!(all_kept, Ask::Error), 5);
}

#[test]
fn a_remembered_error_is_an_error_of_a_computation_once_and_a_hit_then() {
    let (stage, db) = (Stage::new(), Db::open());

    for _ in 0..3 {
        stage.run(error_kept(&db, Ask::Error)).expect_err("as the function returned it");
    }

    let stats = stage.stats("error_kept");
    assert_eq!((stats.errors, stats.hits, stats.computations, stats.fills), (1, 2, 1, 1));
}

#[test]
fn followers_share_none_though_it_is_not_stored() {
    let (stage, db) = (Stage::new(), Db::held());
    let (leader, follower) =
        (stage.begin(plain_option(&db, Ask::None)), stage.begin(plain_option(&db, Ask::None)));

    db.release();

    assert_eq!((leader.end(), follower.end(), db.asked()), (None, None, 1));
    assert_eq!(stage.cache.stats().local_entries, 0);
}

#[test]
fn a_result_inside_a_value_is_a_value() {
    #[cached(ttl = "1m", skip(db))]
    async fn nested(db: &Db) -> Vec<QueryResult<u64>> {
        vec![Err(DbError(db.read().await))]
    }
    #[cached(ttl = "1m", skip(db))]
    async fn option_of_result(db: &Db) -> Option<QueryResult<u64>> {
        Some(Err(DbError(db.read().await)))
    }
    let (stage, db) = (Stage::new(), Db::open());

    for _ in 0..2 {
        stage.run(async { (nested(&db).await, option_of_result(&db).await) });
    }

    assert_eq!(db.asked(), 2);
}

#[test]
fn store_if_decides_on_the_value() {
    #[cached(ttl = "1m", store_if = |row: &u64| *row % 2 == 1, skip(db))]
    async fn odd(db: &Db) -> QueryResult<u64> {
        Ok(db.read().await)
    }
    let (stage, db) = (Stage::new(), Db::open());

    assert_eq!((stage.run(odd(&db)), stage.run(odd(&db)), db.asked()), (Ok(0), Ok(0), 2));
    db.write();
    assert_eq!((stage.run(odd(&db)), stage.run(odd(&db)), db.asked()), (Ok(1), Ok(1), 3));
}
