//! A process that computes what others wait for, and is killed or stands still meanwhile.

#![cfg(all(unix, feature = "redis", feature = "testing"))]

#[path = "support/workers/mod.rs"]
mod workers;

use workers::{Function, Stage, stored};

#[test]
#[ignore = "what the worker processes run; the tests start it"]
fn worker() {
    workers::worker::run();
}

const ROW: (u64, u64) = (0, 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_takes_over_from_a_holder_that_was_killed() {
    let stage = Stage::start().await;
    let (mut one, two, three) =
        (stage.worker("one").await, stage.worker("two").await, stage.worker("three").await);
    for worker in [&one, &two, &three] {
        worker.hears().await;
    }
    stage.database.hold("one");
    let _dying = one.begin_to_read(Function::Dish, ROW);
    stage.database.was_asked("one", 1).await;
    let waiting = [&two, &three].map(|worker| worker.begin_to_read(Function::Dish, ROW));
    two.has_joined(1).await;
    three.has_joined(1).await;
    assert_eq!(stage.database.asked(), 1);

    one.kill();

    let [by_two, by_three] = waiting;
    let (by_two, by_three) = (by_two.end().await, by_three.end().await);
    assert_eq!(by_two, by_three);
    assert_ne!(workers::dish_of(&by_two).by, "one");
    assert_eq!(stage.database.asked(), 2, "one of the two took over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_stood_still_past_its_lease_does_not_store_over_a_newer_value() {
    let stage = Stage::start().await;
    let (one, two) = (stage.worker("one").await, stage.worker("two").await);
    for worker in [&one, &two] {
        worker.hears().await;
    }
    stage.database.hold("one");
    let late = one.begin_to_read(Function::Dish, ROW);
    stage.database.was_asked("one", 1).await;
    one.pause();
    let newer = stage.database.write(ROW);

    // Waits for the lease to end, and computes.
    let by_two = two.read(Function::Dish, ROW).await;
    assert_eq!((by_two.version, by_two.by.as_str()), (newer, "two"));
    assert_eq!(two.count("joined").await, 1);
    stage.database.release("one");
    assert!(one.is_paused());
    one.resume();
    let late = workers::dish_of(&late.end().await);

    assert_eq!(
        (late.version, late.by.as_str()),
        (newer - 1, "one"),
        "who asked before gets what was computed"
    );
    assert_eq!(one.count("refused").await, 1);
    assert_eq!(stored(&stage, Function::Dish, ROW).await, Some(by_two.clone()));
    for worker in [&one, &two] {
        assert_eq!(worker.read(Function::Dish, ROW).await, by_two, "in {}", worker.name);
    }
    assert_eq!(stage.database.asked(), 2);
}
