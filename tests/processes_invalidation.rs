//! What one process invalidates while another computes it, in a call or in `f_refresh`, is stored nowhere.

#![cfg(all(unix, feature = "redis", feature = "testing"))]

#[path = "support/workers/mod.rs"]
mod workers;

use std::time::Duration;

use larder::testing::redis::Traffic;
use workers::{Function, Keeps, Stage, stored};

#[test]
#[ignore = "what the worker processes run; the tests start it"]
fn worker() {
    workers::worker::run();
}

const ROW: (u64, u64) = (0, 1);
/// By the entry, by one of its tags.
const WAYS: [&str; 2] = ["invalidate dish 0 1", "invalidate_tag kitchen:0"];

/// The worker `one` computes by `computing` while `two` invalidates by `way`.
async fn invalidated_meanwhile(computing: &str, way: &str) {
    // Given a value that both know.
    let stage = Stage::start().await;
    let (one, two) = (stage.worker("one").await, stage.worker("two").await);
    for worker in [&one, &two] {
        worker.hears().await;
    }
    if computing == "refresh" {
        let known = one.read(Function::Dish, ROW).await;
        assert_eq!(two.read(Function::Dish, ROW).await, known);
    }
    let asked = stage.database.asked();

    // When it is computed from the old row, and then the row is written and invalidated.
    stage.database.hold("one");
    let late = one.begin(&format!("{computing} dish 0 1"));
    stage.database.was_asked("one", asked + 1).await;
    let newer = stage.database.write(ROW);
    assert_eq!(two.ask(way).await, "ok");
    stage.database.release("one");
    let late = workers::dish_of(&late.end().await);

    // Then who asked before has the old one, and nobody gets it who asks now.
    assert_eq!(late.version, newer - 1, "{computing}, {way}");
    assert_eq!(stored(&stage, Function::Dish, ROW).await, None, "{computing}, {way}");
    let by_two = two.read(Function::Dish, ROW).await;
    assert_eq!(by_two.version, newer, "{computing}, {way}");
    // Its message takes a moment, in which `one` may still have what it has just computed.
    workers::until(async || one.read(Function::Dish, ROW).await.version == newer).await;
    assert_eq!(one.read(Function::Dish, ROW).await, by_two, "{computing}, {way}");
    assert_eq!(stored(&stage, Function::Dish, ROW).await, Some(by_two), "{computing}, {way}");
    assert_eq!(stage.database.asked(), asked + 2, "{computing}, {way}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_another_process_computes_it_is_not_stored() {
    for way in WAYS {
        invalidated_meanwhile("read", way).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_another_process_refreshes_it_is_not_stored() {
    for way in WAYS {
        invalidated_meanwhile("refresh", way).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_a_process_is_cut_off_is_not_served_there_when_it_hears_again() {
    for function in [Function::Dish, Function::LocalDish] {
        let stage = Stage::start().await;
        let one = stage.worker_behind_a_proxy("one", Duration::from_secs(2), Keeps::Values).await;
        let two = stage.worker("two").await;
        for worker in [&one, &two] {
            worker.hears().await;
        }
        let known = one.read(function, ROW).await;
        assert_eq!(one.read(function, ROW).await, known, "it is kept");
        let gaps = one.count("gaps").await;

        one.proxy().set(Traffic::Refuse);
        one.proxy().cut();
        let newer = stage.database.write(ROW);
        assert_eq!(two.ask(&format!("invalidate {} 0 1", function.name())).await, "ok");
        one.proxy().set(Traffic::Pass);
        workers::until(async || one.count("gaps").await > gaps).await;
        one.hears().await;

        assert_eq!(one.read(function, ROW).await.version, newer, "{function:?}");
    }
}
