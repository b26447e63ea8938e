//! What stores a value outside of a runtime, over a shared tier that holds an older one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use larder::{Cache, cached};
use support::Task;
use support::pair::Pair;
use support::processes::{hears, hour, key};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_put_outside_of_a_runtime_is_not_ok_while_the_older_value_stays_in_the_shared_tier() {
    let pair = Pair::new();
    let runtime = runtime();
    runtime.block_on(async {
        hears(&pair.cache).await;
        pair.cache.put(&key(1), 1_u64, &hour()).await.unwrap();
    });

    let put = Task::new(pair.cache.put(&key(1), 2_u64, &hour())).end();

    let there = runtime.block_on(async { pair.other.get::<u64>(&key(1), &hour()).await.unwrap() });
    assert!(put.is_err() || there != Some(1), "{put:?}, and others find {there:?}");
}

#[cached(ttl = 3600, name = "none/row", skip(cache, row), cache = cache)]
async fn row_of(cache: &Cache, row: u64) -> u64 {
    let _ = cache;
    row
}

#[test]
fn neither_does_a_forced_computation_leave_it_there() {
    let pair = Pair::new();
    let runtime = runtime();
    runtime.block_on(async {
        hears(&pair.cache).await;
        assert_eq!(row_of(&pair.cache, 1).await, 1);
    });

    assert_eq!(Task::new(row_of_refresh(&pair.cache, 2)).end(), 2);

    // What is here is evicted.
    let there = runtime.block_on(async {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        row_of(&pair.other, 3).await
    });
    assert_ne!(there, 1, "older than what was computed by force");
}
