//! The local tier stays within its bound, whatever is put into it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, Key, Local, Options, cached};
use support::{Db, Stage};

fn hour() -> Options {
    Options::ttl(Duration::from_secs(3_600))
}

fn key(id: u64) -> Key {
    Key::of("blob", id).expect("a number is a key part")
}

fn put(stage: &Stage, id: u64, bytes: usize) {
    stage.run(stage.cache.put(&key(id), vec![7_u8; bytes], &hour())).expect("put");
}

fn is_stored(stage: &Stage, id: u64) -> bool {
    stage.run(stage.cache.get::<Vec<u8>>(&key(id), &hour())).expect("in process it cannot fail").is_some()
}

#[test]
fn the_weight_stays_within_the_capacity_under_values_of_all_sizes() {
    for (capacity, fills) in [(100 << 10, 20_000), (8 << 20, 100_000)] {
        let stage = Stage::with(Cache::builder().local(Local::bytes(capacity)));

        let mut number = 1_u64;
        for id in 0..fills {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // From a few bytes to 8 KiB, small ones more often.
            put(&stage, id, (number >> 51) as usize >> (id % 8));
            if id % 1_000 == 0 {
                assert!(stage.cache.stats().local_weight <= capacity);
            }
        }

        let stats = stage.cache.stats();
        assert_eq!(stats.local_capacity, capacity);
        assert!(stats.local_weight <= capacity, "{} of {capacity}", stats.local_weight);
        assert!(stats.local_weight > capacity * 8 / 10, "{} of {capacity}: it is used", stats.local_weight);
        let filled = stage.stats("blob");
        assert_eq!(filled.fills + filled.rejected, fills);
        assert!(stats.evictions > 0 && stats.evictions <= filled.fills - stats.local_entries);
    }
}

#[test]
fn a_value_weighs_at_least_its_bytes() {
    let stage = Stage::new();

    put(&stage, 1, 100_000);

    let weight = stage.cache.stats().local_weight;
    assert!((100_000..101_000).contains(&weight), "{weight}");
}

#[test]
fn a_value_that_keeps_nothing_elsewhere_weighs_its_own_struct_alone() {
    let weight = |put: fn(&Stage)| {
        let stage = Stage::new();
        put(&stage);
        stage.cache.stats().local_weight
    };

    let small = weight(|stage| stage.run(stage.cache.put(&key(1), [7_u64; 1], &hour())).expect("put"));
    let large = weight(|stage| stage.run(stage.cache.put(&key(1), [7_u64; 9], &hour())).expect("put"));

    assert_eq!(large - small, 64);
}

#[test]
fn a_tier_of_some_entries_holds_that_many() {
    for entries in [1, 2, 100, 5_000] {
        let stage = Stage::with(Cache::builder().local(Local::entries(entries)));

        for id in 0..3 * entries {
            put(&stage, id, 10);
            assert!(stage.cache.stats().local_entries <= entries);
        }

        let stats = stage.cache.stats();
        assert_eq!((stats.local_capacity, stats.local_weight), (entries, stats.local_entries));
        assert!(stats.local_entries >= entries * 9 / 10, "{} of {entries}", stats.local_entries);
        assert!(is_stored(&stage, 3 * entries - 1) || entries > 2, "what came last is there");
    }
}

#[test]
fn a_tier_of_some_entries_never_holds_more() {
    // These leave a rest when they are cut into parts.
    for entries in [1_025, 2_051, 10_007] {
        let stage = Stage::with(Cache::builder().local(Local::entries(entries)));

        for id in 0..4 * entries {
            put(&stage, id, 1);
        }

        let held = stage.cache.stats().local_entries;
        assert!(held <= entries, "{held} of {entries}");
    }
}

#[test]
fn a_tier_of_one_entry_serves_the_last() {
    let stage = Stage::with(Cache::builder().local(Local::entries(1)));

    for id in 0..10 {
        put(&stage, id, 10);
        assert!(is_stored(&stage, id));
    }
}

#[test]
fn what_is_too_large_is_returned_counted_and_not_stored() {
    let stage = Stage::with(Cache::builder().local(Local::bytes(100 << 10)));
    put(&stage, 1, 10);

    put(&stage, 2, 200 << 10);
    let value = stage.run(stage.cache.get_or_compute(&key(3), &hour(), async || vec![1_u8; 200 << 10]));

    assert_eq!(value.len(), 200 << 10);
    let stats = stage.stats("blob");
    assert_eq!((stats.rejected, stats.fills), (2, 1));
    assert!(is_stored(&stage, 1) && !is_stored(&stage, 2) && !is_stored(&stage, 3));
}

#[test]
fn what_is_too_large_takes_the_older_value_with_it() {
    let stage = Stage::with(Cache::builder().local(Local::bytes(100 << 10)));
    put(&stage, 1, 10);

    put(&stage, 1, 200 << 10);

    assert!(!is_stored(&stage, 1), "the older value is not served in its place");
}

#[test]
fn a_tier_of_zero_bytes_stores_nothing_and_still_joins() {
    #[cached(ttl = "1h", skip(db))]
    async fn row(db: &Db, id: u64) -> u64 {
        db.row(id).await
    }
    let (stage, db) = (Stage::with(Cache::builder().local(Local::bytes(0))), Db::held());
    let (one, two) = (stage.begin(row(&db, 1)), stage.begin(row(&db, 1)));

    db.release();

    assert_eq!((one.end(), two.end(), db.asked()), (0, 0, 1));
    stage.run(row(&db, 1));
    assert_eq!((db.asked(), stage.stats("row").rejected, stage.cache.stats().local_entries), (2, 2, 0));
}

#[test]
fn a_users_weigher_is_believed() {
    #[derive(Debug, Clone)]
    struct Image(Arc<[u8]>);
    #[cached(ttl = "1h", tier = local)]
    async fn image(id: u64) -> Image {
        Image(vec![id as u8; 1_000].into())
    }
    let plain = Stage::new();
    let weighed = Stage::with(Cache::builder().local(Local::default().weigh::<Image>(|image| image.0.len())));

    plain.run(image(1));
    weighed.run(image(1));

    let weights = (plain.cache.stats().local_weight, weighed.cache.stats().local_weight);
    assert_eq!(weights.1, weights.0 + 1_000);
}

#[test]
fn a_weigher_that_says_the_most_it_can_only_keeps_its_value_out() {
    #[cached(ttl = "1h", tier = local)]
    async fn heavy(id: u64) -> Arc<u64> {
        Arc::new(id)
    }
    let stage = Stage::with(Cache::builder().local(Local::default().weigh::<Arc<u64>>(|_| usize::MAX)));

    assert_eq!(*stage.run(heavy(1)), 1);

    assert_eq!((stage.stats("heavy").rejected, stage.cache.stats().local_weight), (1, 0));
}

#[test]
fn a_value_replaced_is_weighed_once() {
    let stage = Stage::new();
    put(&stage, 1, 1_000);
    let once = stage.cache.stats().local_weight;

    for _ in 0..10 {
        put(&stage, 1, 1_000);
    }

    let stats = stage.cache.stats();
    assert_eq!((stats.local_weight, stats.local_entries, stats.evictions), (once, 1, 0));
}

#[test]
fn what_is_removed_weighs_nothing() {
    let stage = Stage::new();
    (0..100).for_each(|id| put(&stage, id, 1_000));

    stage.run(stage.cache.invalidate(&key(0))).expect("in process it cannot fail");
    assert_eq!(stage.cache.stats().local_entries, 99);
    stage.clock.advance(Duration::from_secs(3_600));

    let stats = stage.cache.stats();
    assert_eq!((stats.local_weight, stats.local_entries), (0, 0));
}
