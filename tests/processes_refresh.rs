//! Freshness over several processes: of all one refreshes, and what is computed in the background obeys invalidations.

#![cfg(all(unix, feature = "redis", feature = "testing"))]

#[path = "support/workers/mod.rs"]
mod workers;

use workers::{Dish, Function, Stage, Worker, stored};

#[test]
#[ignore = "what the worker processes run; the tests start it"]
fn worker() {
    workers::worker::run();
}

const ROW: (u64, u64) = (0, 1);
const KEPT: Function = Function::KeptDish;
/// By the entry, by one of its tags.
const WAYS: [&str; 2] = ["invalidate kept_dish 0 1", "invalidate_tag kitchen:0"];

/// A stage with workers that hear the bus.
async fn stage<const N: usize>(names: [&str; N]) -> (Stage, Vec<Worker>) {
    let stage = Stage::start().await;
    let mut workers = Vec::new();
    for name in names {
        workers.push(stage.worker(name).await);
    }
    for worker in &workers {
        worker.hears().await;
    }
    (stage, workers)
}

/// Reads in all of them until the database was asked so often.
async fn read_until_asked(stage: &Stage, workers: &[Worker], times: u64) -> Vec<Dish> {
    let mut answers = Vec::new();
    while stage.database.asked() < times {
        for worker in workers {
            answers.push(worker.read(KEPT, ROW).await);
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_processes_one_refreshes() {
    let names = ["one", "two", "three", "four"];
    let (stage, workers) = stage(names).await;
    let first = workers[0].read(KEPT, ROW).await;
    for worker in &workers {
        assert_eq!(worker.read(KEPT, ROW).await, first);
    }
    names.iter().for_each(|name| stage.database.hold(name));

    // All of them go on reading, and are answered at once; then one refreshes.
    let answers = read_until_asked(&stage, &workers, 2).await;
    assert!(answers.iter().all(|answer| *answer == first));
    for _ in 0..50 {
        for worker in &workers {
            assert_eq!(worker.read(KEPT, ROW).await, first, "nobody waits");
        }
    }
    assert_eq!(stage.database.asked(), 2, "one in the whole fleet");
    names.iter().for_each(|name| stage.database.release(name));

    for worker in &workers {
        workers::until(async || worker.read(KEPT, ROW).await != first).await;
    }
    let second = workers[0].read(KEPT, ROW).await;
    for worker in &workers {
        assert_eq!(worker.read(KEPT, ROW).await, second);
    }
    assert_eq!(stage.database.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_runs_during_an_invalidation_never_restores_the_old_value() {
    for way in WAYS {
        let (stage, workers) = stage(["one", "two"]).await;
        let [one, two] = &workers[..] else { unreachable!() };
        let old = one.read(KEPT, ROW).await;
        stage.database.hold("one");
        // The first process alone reads, so it is the one that refreshes: it has read the old row then.
        read_until_asked(&stage, std::slice::from_ref(one), 2).await;

        let newer = stage.database.write(ROW);
        assert_eq!(two.ask(way).await, "ok");
        stage.database.release("one");

        assert_eq!(two.read(KEPT, ROW).await.version, newer, "{way}");
        workers::until(async || one.read(KEPT, ROW).await.version == newer).await;
        assert_eq!(stored(&stage, KEPT, ROW).await.map(|dish| dish.version), Some(newer), "{way}");
        assert_ne!(old.version, newer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_computation_that_a_stale_value_answered_for_never_restores_the_old_value() {
    for way in WAYS {
        let (stage, workers) = stage(["one", "two"]).await;
        let [one, two] = &workers[..] else { unreachable!() };
        let old = one.read(KEPT, ROW).await;
        // Nobody reads until it is stale, so nobody refreshes it.
        let is_stale = async || {
            let peeked = two.ask("peek kept_dish 0 1").await;
            peeked == "stale"
        };
        workers::until(is_stale).await;
        stage.database.hold("one");
        assert_eq!(one.read(KEPT, ROW).await, old, "the stale value, after the soft timeout");
        stage.database.was_asked("one", 2).await;

        let newer = stage.database.write(ROW);
        assert_eq!(two.ask(way).await, "ok");
        stage.database.release("one");

        // The old one may be stored yet, under an old epoch; whoever asks now does not get it.
        assert_eq!(two.read(KEPT, ROW).await.version, newer, "{way}");
        workers::until(async || one.read(KEPT, ROW).await.version == newer).await;
        assert_eq!(two.read(KEPT, ROW).await.version, newer, "{way}");
        assert_eq!(stored(&stage, KEPT, ROW).await.map(|dish| dish.version), Some(newer), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_while_it_refreshes_delays_the_others_by_no_more_than_its_lease() {
    let (stage, mut workers) = stage(["one", "two"]).await;
    let first = workers[0].read(KEPT, ROW).await;
    stage.database.hold("one");
    read_until_asked(&stage, &workers[..1], 2).await;

    workers[0].kill();

    workers::until(async || workers[1].read(KEPT, ROW).await != first).await;
    assert_eq!(workers[1].read(KEPT, ROW).await.by, "two");
    assert_eq!(stage.database.asked(), 3);
}
