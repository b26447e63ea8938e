//! A value is served until its ttl is over, not a moment longer, and then its memory is given back.

mod support;

use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, cached};
use support::{Db, MOMENT, Stage};

const MINUTE: Duration = Duration::from_secs(60);

#[cached(ttl = "1m", skip(db))]
async fn minutely(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

/// Whether a value of `minutely` is served `after` it was stored.
fn is_served(after: Duration) -> bool {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(minutely(&db, 1));
    db.write();
    stage.clock.advance(after);
    stage.run(minutely(&db, 1)) == 0
}

#[test]
fn a_value_is_served_until_the_moment_its_ttl_is_over() {
    assert!(is_served(Duration::ZERO));
    assert!(is_served(MINUTE - MOMENT));
    assert!(!is_served(MINUTE));
    assert!(!is_served(MINUTE + MOMENT));
    assert!(!is_served(1_000_000 * MINUTE));
}

#[test]
fn the_ttl_begins_when_the_value_is_stored() {
    let (stage, db) = (Stage::new(), Db::held());
    let mut slow = stage.begin(minutely(&db, 1));
    for _ in 0..100 {
        stage.clock.advance(Duration::from_secs(1));
        assert!(slow.waits());
    }
    db.release();
    slow.end();

    stage.clock.advance(MINUTE - MOMENT);

    stage.run(minutely(&db, 1));
    assert_eq!(db.asked(), 1);
}

#[test]
fn a_hit_does_not_lengthen_the_life() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(minutely(&db, 1));

    for _ in 0..60 {
        stage.clock.advance(Duration::from_secs(1));
        stage.run(minutely(&db, 1));
    }

    assert_eq!(db.asked(), 2);
}

#[test]
fn an_expression_over_the_arguments_is_the_ttl() {
    #[cached(ttl = Duration::from_secs(*seconds), skip(db))]
    async fn chosen(db: &Db, seconds: &u64) -> u64 {
        db.row(*seconds).await
    }
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async { (chosen(&db, &10).await, chosen(&db, &20).await) });

    stage.clock.advance(Duration::from_secs(10));
    stage.run(async { (chosen(&db, &10).await, chosen(&db, &20).await) });

    assert_eq!(db.asked(), 3);
}

#[test]
fn the_local_ttl_bounds_the_life_here() {
    #[cached(ttl = "1h", local_ttl = "5s", skip(db))]
    async fn shorter(db: &Db) -> u64 {
        db.read().await
    }
    #[cached(ttl = Duration::from_secs(5), local_ttl = "1h", skip(db))]
    async fn longer(db: &Db) -> u64 {
        db.read().await
    }
    for after in [5 * Duration::from_secs(1) - MOMENT, Duration::from_secs(5)] {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(async { (shorter(&db).await, longer(&db).await) });

        stage.clock.advance(after);
        stage.run(async { (shorter(&db).await, longer(&db).await) });

        let is_over = after == Duration::from_secs(5);
        assert_eq!(db.asked(), if is_over { 4 } else { 2 });
    }
}

#[test]
fn stagger_spreads_the_ends_of_life_and_only_shortens() {
    #[cached(ttl = 100, stagger = 0.2, skip(db))]
    async fn staggered(db: &Db, id: u64) -> u64 {
        db.row(id).await
    }
    let (stage, db) = (Stage::with(Cache::builder().seed(7)), Db::open());
    stage.run(async {
        for id in 0..1_000 {
            staggered(&db, id).await;
        }
    });
    let entries = || stage.cache.stats().local_entries;

    stage.clock.advance(Duration::from_secs(80));
    assert_eq!(entries(), 1_000, "none loses more than the share");
    let mut left = vec![];
    for _ in 0..4 {
        stage.clock.advance(Duration::from_secs(5));
        left.push(entries());
    }

    assert_eq!(left[3], 0, "none lives longer than the ttl");
    for (left, expected) in left.into_iter().zip([750, 500, 250]) {
        assert!(left.abs_diff(expected) < 60, "{left} left, {expected} expected");
    }
}

#[test]
fn without_stagger_values_end_together() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async {
        for id in 0..100 {
            minutely(&db, id).await;
        }
    });

    stage.clock.advance(MINUTE - MOMENT);
    assert_eq!(stage.cache.stats().local_entries, 100);
    stage.clock.advance(2 * MOMENT);
    assert_eq!(stage.cache.stats().local_entries, 0);
}

#[cached(ttl = "1m", tier = local, tags = ["held"], skip(value))]
async fn held(value: &Arc<String>, id: u64) -> Arc<String> {
    let _ = id;
    value.clone()
}

#[test]
fn expired_values_are_dropped_though_nobody_asks_for_them() {
    let (stage, value) = (Stage::new(), Arc::new("value".to_owned()));
    for id in 0..10 {
        stage.run(held(&value, id));
    }
    assert_eq!((Arc::strong_count(&value), stage.cache.stats().local_entries), (11, 10));

    stage.clock.advance(MINUTE);

    assert_eq!((Arc::strong_count(&value), stage.cache.stats().local_entries), (1, 0));
    assert_eq!(stage.cache.stats().local_weight, 0);
}

#[test]
fn invalidated_values_are_dropped_at_the_next_sweep() {
    let (stage, value) = (Stage::new(), Arc::new("value".to_owned()));
    stage.run(held(&value, 1));
    stage.run(stage.cache.invalidate_tags(["held"])).expect("in process it cannot fail");

    stage.cache.sweep();

    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn values_are_dropped_at_once_by_clear_and_by_entry() {
    let (stage, value) = (Stage::new(), Arc::new("value".to_owned()));
    stage.run(async { (held(&value, 1).await, held(&value, 2).await) });
    assert_eq!(Arc::strong_count(&value), 3);

    stage.run(async { held_entry(1).invalidate().await }).expect("in process it cannot fail");
    assert_eq!(Arc::strong_count(&value), 2);
    stage.run(stage.cache.clear()).expect("in process it cannot fail");
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_cache_that_is_dropped_keeps_nothing() {
    let (stage, value) = (Stage::new(), Arc::new("value".to_owned()));
    stage.run(held(&value, 1));

    drop(stage);

    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_ttl_without_end_is_one() {
    #[cached(ttl = Duration::MAX, skip(db))]
    async fn for_ever(db: &Db) -> u64 {
        db.read().await
    }
    #[cached(ttl = Duration::MAX, stagger, skip(db))]
    async fn for_about_ever(db: &Db) -> u64 {
        db.read().await
    }
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async { (for_ever(&db).await, for_about_ever(&db).await) });

    stage.clock.advance(Duration::from_secs(100 * 365 * 86_400));

    stage.run(async { (for_ever(&db).await, for_about_ever(&db).await) });
    assert_eq!(db.asked(), 2);
}
