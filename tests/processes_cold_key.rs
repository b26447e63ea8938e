//! A cold key that four processes ask for at once, a thousand calls each.

#![cfg(all(unix, feature = "redis", feature = "testing"))]

#[path = "support/workers/mod.rs"]
mod workers;

use workers::{Function, Stage, stored};

#[test]
#[ignore = "what the worker processes run; the tests start it"]
fn worker() {
    workers::worker::run();
}

const CALLS: u64 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_key_under_four_processes_is_computed_once() {
    let stage = Stage::start().await;
    let mut workers = Vec::new();
    for name in ["one", "two", "three", "four"] {
        let worker = stage.worker(name).await;
        worker.hears().await;
        stage.database.hold(name);
        workers.push(worker);
    }

    let calls: Vec<_> =
        workers.iter().map(|worker| worker.begin(&format!("read_many slow_dish 0 1 {CALLS}"))).collect();
    // All have asked; the one that computes is no joiner.
    for worker in &workers {
        workers::until(async || worker.count("calls").await == CALLS).await;
    }
    for worker in &workers {
        stage.database.release(&worker.name);
    }
    let mut answers = std::collections::HashSet::new();
    for call in calls {
        answers.insert(call.end().await);
    }

    assert_eq!(stage.database.asked(), 1, "computations");
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (mut computations, mut joined) = (0, 0);
    for worker in &workers {
        computations += worker.count("computations").await;
        joined += worker.count("joined").await;
    }
    assert_eq!((computations, joined), (1, 4 * CALLS - 1));
    assert!(stored(&stage, Function::SlowDish, (0, 1)).await.is_some());
}
