//! Which cache a call uses, and that many of them live side by side in one process.

mod support;

use std::sync::Arc;

use larder::{Cache, cached};
use support::{Db, Stage};

#[cached(ttl = "1h", skip(db))]
async fn row(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

#[test]
fn the_innermost_scope_counts() {
    let (outer, inner, db) = (Stage::new(), Stage::new(), Db::open());

    outer.run(async {
        row(&db, 1).await;
        inner.cache.scope(row(&db, 1)).await;
        row(&db, 1).await
    });

    assert_eq!((outer.stats("row").calls(), inner.stats("row").calls(), db.asked()), (2, 1, 2));
}

#[test]
fn two_futures_of_one_task_keep_their_scopes() {
    let (one, two, db) = (Stage::new(), Stage::new(), Db::held());
    let (first, second) = (one.begin(row(&db, 1)), two.begin(row(&db, 1)));

    db.release();
    second.end();
    first.end();

    assert_eq!((one.stats("row").misses.absent, two.stats("row").misses.absent), (1, 1));
}

#[test]
fn the_current_cache_is_that_of_the_scope() {
    let stage = Stage::with(Cache::builder().prefix("tenant-1"));

    assert_eq!(stage.run(async { Cache::current().prefix().to_owned() }), "tenant-1");
}

#[test]
fn a_spawned_task_does_not_inherit_the_scope() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let cache = Cache::builder().prefix("scoped").build().expect("a cache");

    let spawned = cache.scope(async { tokio::spawn(async { Cache::current().prefix().to_owned() }).await });

    assert_ne!(runtime.block_on(spawned).expect("a task"), "scoped");
}

#[test]
fn a_cache_that_the_function_names_outranks_the_scope() {
    struct Repo {
        cache: Cache,
    }
    impl Repo {
        #[cached(ttl = "1h", cache = self.cache, skip(self, db))]
        async fn row(&self, db: &Db, id: u64) -> u64 {
            db.row(id).await
        }
    }
    let (scope, own, db) = (Stage::new(), Stage::new(), Db::open());
    let repo = Repo { cache: own.cache.clone() };

    scope.run(async { (repo.row(&db, 1).await, repo.row(&db, 1).await) });
    scope.run(async { repo.row_entry(1).invalidate().await }).expect("in process it cannot fail");
    scope.run(repo.row(&db, 1));

    assert_eq!((own.stats("row").calls(), scope.cache.stats().calls(), db.asked()), (3, 0, 2));
}

#[test]
fn each_of_many_tests_has_its_own_cache_runtime_and_database() {
    let tests: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                let (cache, db) = (Cache::default(), Arc::new(Db::open()));
                runtime.block_on(cache.scope(async {
                    for id in 0..100 {
                        row(&db, id % 10).await;
                    }
                }));
                (db.asked(), cache.stats().hits())
            })
        })
        .collect();

    for test in tests {
        assert_eq!(test.join().expect("a test"), (10, 90));
    }
}

#[test]
fn a_runtime_that_went_away_leaves_its_values_to_the_next() {
    let (cache, db) = (Cache::default(), Db::open());

    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(cache.scope(row(&db, 1)));
    }

    assert_eq!(db.asked(), 1);
}

#[test]
fn clones_are_one_cache() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(row(&db, 1));

    stage.run(stage.cache.clone().clear()).expect("in process it cannot fail");
    stage.run(row(&db, 1));

    assert_eq!(db.asked(), 2);
}
