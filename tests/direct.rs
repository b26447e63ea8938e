//! The cache without the macro.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use larder::{Cache, Key, Options};
use support::{Db, Stage};

fn key(id: u64) -> Key {
    Key::of("menu", id).expect("a number is a key part")
}

fn minute() -> Options {
    Options::ttl(Duration::from_secs(60)).tags(["menu"])
}

#[test]
fn a_value_is_computed_once_and_served_then() {
    let (stage, db) = (Stage::new(), Db::open());

    for _ in 0..3 {
        assert_eq!(stage.run(stage.cache.get_or_compute(&key(1), &minute(), || db.read())), 0);
    }

    let stats = stage.stats("menu");
    assert_eq!((db.asked(), stats.calls(), stats.hits), (1, 3, 2));
}

#[test]
fn callers_of_one_key_join() {
    let (stage, db, options) = (Stage::new(), Db::held(), minute());
    let key = key(1);
    let one = stage.begin(stage.cache.get_or_compute(&key, &options, || db.read()));
    let two = stage.begin(stage.cache.get_or_compute(&key, &options, || db.read()));

    db.release();

    assert_eq!((one.end(), two.end(), db.asked()), (0, 0, 1));
}

#[test]
fn an_error_passes_through_and_is_not_stored() {
    let (stage, db) = (Stage::new(), Db::open());
    let ask = || {
        stage.run(stage.cache.try_get_or_compute(&key(1), &minute(), async || match db.read().await {
            0 => Err("not yet"),
            row => Ok(row),
        }))
    };

    assert_eq!(ask(), Err("not yet"));
    db.write();
    assert_eq!((ask(), ask(), db.asked()), (Ok(1), Ok(1), 2));
    assert_eq!(stage.stats("menu").errors, 1);
}

#[test]
fn get_looks_and_does_not_compute() {
    let stage = Stage::new();
    let get = || stage.run(stage.cache.get::<u64>(&key(1), &minute())).expect("in process it cannot fail");
    assert_eq!(get(), None);

    stage.run(stage.cache.put(&key(1), 7_u64, &minute())).expect("put");
    assert_eq!(get(), Some(7));
    stage.clock.advance(Duration::from_secs(60));

    assert_eq!(get(), None);
    let stats = stage.stats("menu");
    assert_eq!((stats.calls(), stats.hits, stats.misses.total(), stats.computations), (3, 1, 2, 0));
}

#[test]
fn put_replaces_and_a_ttl_of_zero_removes() {
    let stage = Stage::new();
    let put =
        |value: u64, options: &Options| stage.run(stage.cache.put(&key(1), value, options)).expect("put");
    let get = || stage.run(stage.cache.get::<u64>(&key(1), &minute())).expect("in process it cannot fail");

    put(1, &minute());
    put(2, &minute());
    assert_eq!(get(), Some(2));
    put(3, &Options::ttl(Duration::ZERO));

    assert_eq!(get(), None);
}

#[test]
fn tags_of_the_options_are_borne() {
    let stage = Stage::new();
    let get = |id| stage.run(stage.cache.get::<u64>(&key(id), &minute())).expect("in process it cannot fail");
    stage.run(stage.cache.put(&key(1), 1_u64, &minute())).expect("put");
    stage.run(stage.cache.put(&key(2), 2_u64, &minute().tags(["two", "zwei"]))).expect("put");

    stage.run(stage.cache.invalidate_tags(["zwei"])).expect("in process it cannot fail");
    assert_eq!((get(1), get(2)), (Some(1), None));
    stage.run(stage.cache.expire_tags(["menu"])).expect("in process it cannot fail");
    assert_eq!(get(1), None);
}

#[test]
fn the_life_of_a_value_is_that_of_its_options() {
    let stage = Stage::new();
    let options = minute().local_ttl(Duration::from_secs(10));
    stage.run(stage.cache.put(&key(1), 1_u64, &options)).expect("put");

    stage.clock.advance(Duration::from_secs(10));

    assert_eq!(
        stage.run(stage.cache.get::<u64>(&key(1), &minute())).expect("in process it cannot fail"),
        None
    );
}

#[test]
fn any_stagger_is_taken_as_a_share() {
    for share in [-1.0, 2.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1.0] {
        let stage = Stage::new();
        let options = minute().stagger(share);

        assert_eq!(stage.run(stage.cache.get_or_compute(&key(1), &options, async || 5)), 5, "{share}");
    }
}

#[test]
fn functions_are_invalidated_by_the_name_of_their_keys() {
    let stage = Stage::new();
    for id in 0..3 {
        stage.run(stage.cache.put(&key(id), id, &minute())).expect("put");
    }

    let count = stage.run(stage.cache.invalidate_function("menu"));

    assert_eq!(count.expect("in process it cannot fail"), 1);
    for id in 0..3 {
        assert_eq!(
            stage.run(stage.cache.get::<u64>(&key(id), &minute())).expect("in process it cannot fail"),
            None
        );
    }
}

#[tokio::test]
async fn many_keys_are_looked_for_at_once() {
    let cache = Cache::default();
    let options = Options::ttl(Duration::from_secs(60)).tags(["numbers"]);
    let ids = |ids: &[u64]| ids.iter().map(|id| (*id, Key::of("number", *id).unwrap())).collect::<Vec<_>>();
    let mut asked = Vec::new();
    let mut square = async |missing: Vec<u64>| {
        asked.push(missing.clone());
        missing.into_iter().filter(|id| *id < 100).map(|id| (id, id * id)).collect::<HashMap<_, _>>()
    };

    let first = cache.get_or_compute_many(ids(&[1, 2, 100]), &options, &mut square).await;
    let second = cache.get_or_compute_many(ids(&[3, 2, 3]), &options, &mut square).await;
    cache.invalidate_tags(["numbers"]).await.unwrap();
    let third = cache.get_or_compute_many(ids(&[3]), &options, &mut square).await;
    let failed = cache
        .try_get_or_compute_many(ids(&[3, 4]), &options, async |missing: Vec<u64>| {
            Err::<HashMap<u64, u64>, _>(missing)
        })
        .await;

    assert_eq!(first, HashMap::from([(1, 1), (2, 4)]));
    assert_eq!(second, HashMap::from([(2, 4), (3, 9)]));
    assert_eq!(third, HashMap::from([(3, 9)]));
    assert_eq!(asked, [vec![1, 2, 100], vec![3], vec![3]]);
    assert_eq!(failed, Err(vec![4]));
    assert_eq!(cache.get::<u64>(&Key::of("number", 3_u64).unwrap(), &options).await.unwrap(), Some(9));
}
