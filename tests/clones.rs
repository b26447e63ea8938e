//! How often a value is cloned: once into the cache, and once out of it.

mod support;

use std::cell::Cell;
use std::collections::HashMap;

use larder::{Cache, cached};
use support::{Db, Stage};

thread_local! {
    static CLONES: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Row(u64);

impl Clone for Row {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        Self(self.0)
    }
}

/// The clones that `work` makes.
fn clones(work: impl FnOnce()) -> u64 {
    let before = CLONES.get();
    work();
    CLONES.get() - before
}

#[cached(ttl = 60, when = id != 0, skip(db))]
async fn row(db: &Db, id: u64) -> Row {
    Row(db.row(id).await)
}

#[cached(ttl = 60, each(id in ids), skip(db))]
async fn rows(db: &Db, ids: &[u64]) -> HashMap<u64, Row> {
    let row = db.read().await;
    ids.iter().map(|id| (*id, Row(row))).collect()
}

#[test]
fn a_computed_value_is_cloned_once_and_so_is_a_hit() {
    let (stage, db) = (Stage::new(), Db::open());
    let call = || clones(|| assert_eq!(stage.run(row(&db, 1)), Row(0)));

    assert_eq!((call(), call()), (1, 1));
}

#[test]
fn each_follower_clones_once() {
    let (stage, db) = (Stage::new(), Db::held());
    let (leader, followers) = (stage.begin(row(&db, 1)), [(); 3].map(|()| stage.begin(row(&db, 1))));
    db.release();

    let led = clones(|| assert_eq!(leader.end(), Row(0)));
    let followed = clones(|| followers.into_iter().for_each(|follower| assert_eq!(follower.end(), Row(0))));

    assert_eq!((led, followed), (1, 3));
}

#[test]
fn past_the_cache_nothing_is_cloned() {
    let (stage, db) = (Stage::new(), Db::open());
    let disabled = Stage { cache: Cache::disabled(), clock: Stage::new().clock };

    assert_eq!(clones(|| assert_eq!(stage.run(row(&db, 0)), Row(0))), 0);
    assert_eq!(clones(|| assert_eq!(disabled.run(row(&db, 1)), Row(0))), 0);
}

#[test]
fn an_item_of_a_batch_is_cloned_as_a_single_value_is() {
    let (stage, db) = (Stage::new(), Db::open());
    let call = || clones(|| assert_eq!(stage.run(rows(&db, &[1, 2])).len(), 2));

    assert_eq!((call(), call()), (2, 2));
}
