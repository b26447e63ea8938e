//! What the cache tells about itself adds up, whatever becomes of the calls.

mod support;

use std::time::Duration;

use larder::cached;
use support::{Db, Stage};

#[cached(ttl = "1m", tags = ["menu"], skip(db))]
async fn menu(db: &Db, id: u64) -> Result<u64, String> {
    match db.row(id).await {
        13 => Err("unlucky".to_owned()),
        row => Ok(row),
    }
}

#[test]
fn each_call_is_a_hit_a_miss_or_joined() {
    let (stage, db) = (Stage::new(), Db::held());

    let callers = [(); 5].map(|()| stage.begin(menu(&db, 1)));
    assert_eq!(stage.stats("menu").calls(), 5, "counted when it is known what they are");
    db.release();
    for caller in callers {
        caller.end().expect("a row");
    }
    stage.run(menu(&db, 1)).expect("a row");

    let stats = stage.stats("menu");
    assert_eq!((stats.hits, stats.stale, stats.misses.total(), stats.joined), (1, 0, 1, 4));
    assert_eq!((stats.calls(), stats.computations, stats.fills), (6, 1, 1));
}

#[test]
fn misses_are_told_by_their_reason() {
    let (stage, db) = (Stage::new(), Db::open());
    let ask = || stage.run(menu(&db, 1)).expect("a row");
    ask();
    stage.run(async { menu_entry(1).expire().await }).expect("in process it cannot fail");
    ask();
    stage.run(stage.cache.invalidate_tags(["menu"])).expect("in process it cannot fail");
    ask();
    stage.run(async { menu_entry(1).invalidate().await }).expect("in process it cannot fail");
    ask();

    let misses = stage.stats("menu").misses;

    assert_eq!((misses.absent, misses.expired, misses.invalidated, misses.undecodable), (2, 1, 1, 0));
}

#[test]
fn a_function_with_a_version_is_found_by_its_name() {
    mod second {
        #[larder::cached(ttl = 60, name = "dishes", version = 2)]
        pub(super) async fn dishes(id: u64) -> u64 {
            id
        }
    }
    mod tenth {
        #[larder::cached(ttl = 60, name = "dishes", version = 10)]
        pub(super) async fn dishes(id: u64) -> u64 {
            id
        }
    }
    let stage = Stage::new();
    let named = |name: &str| stage.cache.stats().function(name).map(|f| f.name.clone());
    let told = |name: &str| Some(name.to_owned());

    stage.run(second::dishes(1));
    assert_eq!(named("dishes"), told("dishes v2"));

    stage.run(tenth::dishes(1));
    assert_eq!(named("dishes"), told("dishes v10"), "the highest");
    assert_eq!(named("dishes v2"), told("dishes v2"));
    assert_eq!((named("dishes v3"), named("ishes")), (None, None));
}

#[test]
fn lookups_of_large_values_are_timed_like_others() {
    #[cached(ttl = "1m")]
    async fn large() -> String {
        "x".repeat(8 << 10)
    }
    let cache = larder::Cache::default();

    support::Task::new(cache.scope(async {
        for _ in 0..1_000 {
            large().await;
        }
    }))
    .end();

    let stats = cache.stats().function("large").expect("it was called").clone();
    assert!(stats.lookup.mean > Duration::ZERO);
}

#[test]
fn the_time_saved_is_what_the_hits_would_have_taken() {
    let (stage, db) = (Stage::new(), Db::held());
    let mut slow = stage.begin(menu(&db, 1));
    stage.clock.advance(Duration::from_secs(2));
    assert!(slow.waits());
    db.release();
    slow.end().expect("a row");
    for _ in 0..3 {
        stage.run(menu(&db, 1)).expect("a row");
    }

    let stats = stage.stats("menu");

    assert_eq!((stats.compute.mean, stats.time_saved()), (Duration::from_secs(2), Duration::from_secs(6)));
    assert!((stats.hit_ratio() - 0.75).abs() < 1e-9);
    let p99 = stats.compute.p99.as_secs_f64();
    assert!((p99 / 2.0 - 1.0).abs() <= 0.125, "{p99}");
}

#[test]
fn functions_are_told_apart_and_summed() {
    #[cached(ttl = "1m", version = 2, skip(db))]
    async fn guests(db: &Db) -> u64 {
        db.read().await
    }
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async {
        menu(&db, 1).await.expect("a row");
        menu(&db, 1).await.expect("a row");
        guests(&db).await;
    });

    let stats = stage.cache.stats();

    assert_eq!((stats.calls(), stats.hits(), stats.misses(), stats.computations()), (3, 1, 2, 2));
    assert_eq!(stats.functions.len(), 2);
    assert!(stats.functions[0].name < stats.functions[1].name);
    assert!(stats.function("nobody").is_none());
}

#[test]
fn the_table_is_as_a_person_reads_it() {
    let (stage, db) = (Stage::new(), Db::held());
    let (mut leader, follower) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));
    stage.clock.advance(Duration::from_millis(250));
    assert!(leader.waits());
    db.release();
    leader.end().expect("a row");
    follower.end().expect("a row");
    for _ in 0..1_998 {
        stage.run(menu(&db, 1)).expect("a row");
    }
    while db.write() < 13 {}
    stage.run(menu(&db, 2)).expect_err("an unlucky row");

    let table = stage.cache.stats().to_string();

    let weight = stage.cache.stats().local_weight;
    let expected = format!(
        "\
function          calls   hits  stale  misses  joined  hit %  computed  refused  errors  lookup              compute    saved
statistics::menu  2,001  1,998      0       2       1   99.9         2        0       1       -  125.0 ms / 250.0 ms  4.2 min
misses: 2 absent, 0 expired, 0 invalidated, 0 version, 0 undecodable, 0 unreachable; bypassed: 0; lookup and compute: mean / p99
local tier: 1 entries, {weight} of 67,108,864, 0 evicted"
    );
    assert_eq!(table, expected, "\n{table}");
}

#[test]
fn an_empty_cache_has_a_table_too() {
    let table = Stage::new().cache.stats().to_string();

    assert!(table.starts_with("function  calls  hits"), "{table}");
    assert!(table.ends_with("local tier: 0 entries, 0 of 67,108,864, 0 evicted"), "{table}");
}

#[test]
fn what_the_local_tier_does_not_keep_is_told() {
    #[cached(ttl = "1m")]
    async fn too_large() -> String {
        "x".repeat(1 << 20)
    }
    let cache = larder::Cache::builder().local(larder::Local::bytes(1 << 20)).build().expect("it is small");

    for _ in 0..2 {
        support::Task::new(cache.scope(too_large())).end();
    }

    let table = cache.stats().to_string();
    assert!(table.contains("larger than a part of the local tier takes: 2"), "{table}");
}
