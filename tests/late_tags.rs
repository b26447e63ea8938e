//! Tags that turn up with the answer count for answers that are not stored, too: who began after an invalidation gets
//! nothing of before.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;

use cache_core::testing::Operation;
use larder::{Cache, cached, current};
use serde::{Deserialize, Serialize};
use support::pair::Pair;
use support::processes::hears;
use support::source::{Down, Scene, Source, waits};
use support::{MINUTE, Stage};
use tokio::sync::Semaphore;

type Rows = Mutex<HashMap<u64, u64>>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Missing(u64);

/// An answer that is stored names its tags, whatever it is.
fn named(found: &Result<u64, Missing>) -> Vec<String> {
    match found {
        Ok(row) => vec![format!("row:{row}")],
        Err(Missing(id)) => vec![format!("missing:{id}")],
    }
}

#[cached(ttl = 3600, err_ttl = 600, skip(rows), tags_from = |found| named(found))]
async fn find(rows: &Rows, id: u64) -> Result<u64, Missing> {
    rows.lock().unwrap().get(&id).copied().ok_or(Missing(id))
}

#[cached(ttl = 600, skip(source))]
async fn told(source: &Source, id: u64) -> Result<u64, Down> {
    current().tag(format!("user:{id}"));
    source.read().await
}

#[cached(ttl = 60, each = ids, skip(gate, rows))]
async fn rows_of(gate: &Semaphore, rows: &Rows, ids: &[u64]) -> HashMap<u64, u64> {
    current().tag("rows");
    let found = ids.iter().filter_map(|id| Some((*id, *rows.lock().unwrap().get(id)?))).collect();
    gate.acquire().await.unwrap().forget();
    found
}

#[cached(ttl = 60, grace = "1h", name = "late/kept", tags_from = |_| ["late"], skip(source))]
async fn kept(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[cached(ttl = 60, grace = "1h", name = "late/kept", each = ids, tags_from = |_| ["late"], skip(source))]
async fn many_kept(source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let row = source.read().await?;
    Ok(ids.iter().map(|id| (*id, row)).collect())
}

/// The computation failed, and so has no tag of that kind.
#[test]
fn a_stale_value_that_stood_in_for_others_stands_in_for_nobody_once_its_tags_are_invalidated() {
    for of_many in [false, true] {
        let (stage, source) = (Stage::new(), Source::new());
        assert_eq!(stage.run(kept(&source, 1)), Ok(0));
        stage.clock.advance(MINUTE);
        source.set_down(true);
        source.hold();
        let leader = stage.begin(kept(&source, 1));
        let follower = stage.begin(async {
            match of_many {
                true => many_kept(&source, &[1]).await.map(|rows| rows[&1]),
                false => kept(&source, 1).await,
            }
        });
        source.release();
        source.set_down(false);
        let written = source.write();
        assert_eq!(leader.end(), Ok(0), "it stands in");

        stage.run(stage.cache.invalidate_tags(["late"])).unwrap();

        assert_eq!(follower.end(), Ok(written), "of many: {of_many}");
    }
}

#[tokio::test]
async fn an_error_that_is_stored_bears_the_tags_that_are_told_from_it() {
    let rows = Rows::default();
    let cache = Cache::default();
    let test = async {
        for is_put in [false, true] {
            rows.lock().unwrap().remove(&1);
            if is_put {
                find_entry(1).put(Err(Missing(1))).await.unwrap();
            }
            assert_eq!(find(&rows, 1).await, Err(Missing(1)));
            rows.lock().unwrap().insert(1, 10);

            cache.invalidate_tags(["missing:1"]).await.unwrap();

            assert_eq!(find(&rows, 1).await, Ok(10), "put: {is_put}");
            cache.invalidate_tags(["row:10"]).await.unwrap();
        }
    };
    cache.scope(test).await;
}

#[tokio::test]
async fn who_began_after_an_invalidation_gets_no_error_of_before() {
    let scene = Scene::new();
    let test = async {
        scene.source.set_down(true);
        scene.source.hold();
        let mut first = Box::pin(told(&scene.source, 1));
        assert!(waits(&mut first).await);
        scene.source.set_down(false);
        scene.source.write();

        scene.cache.invalidate_tags(["user:1"]).await.unwrap();
        let mut later = Box::pin(told(&scene.source, 1));
        assert!(waits(&mut later).await);
        scene.source.release();

        assert!(first.await.is_err());
        assert_eq!(later.await, Ok(1));
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn who_began_after_an_invalidation_is_not_told_that_there_is_none() {
    let (cache, gate, rows) = (Cache::default(), Semaphore::new(0), Rows::default());
    let test = async {
        let mut first = Box::pin(rows_of(&gate, &rows, &[1]));
        assert!(waits(&mut first).await);
        rows.lock().unwrap().insert(1, 10);

        cache.invalidate_tags(["rows"]).await.unwrap();
        let mut later = Box::pin(rows_of(&gate, &rows, &[1]));
        assert!(waits(&mut later).await);
        gate.add_permits(9);

        assert_eq!(first.await, HashMap::new());
        assert_eq!(later.await, HashMap::from([(1, 10)]));
    };
    cache.scope(test).await;
}

#[cached(ttl = 60, name = "late/unstored", skip(cache, source), cache = cache)]
async fn unstored(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = cache;
    current().tag(format!("user:{id}")).do_not_store();
    source.read().await
}

#[cached(ttl = 60, name = "late/unstored", each = ids, skip(cache, source), cache = cache)]
async fn many_unstored(cache: &Cache, source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let _ = cache;
    ids.iter().for_each(|id| _ = current().tag(format!("user:{id}")).do_not_store());
    let row = source.read().await?;
    Ok(ids.iter().map(|id| (*id, row)).collect())
}

#[tokio::test]
async fn who_began_after_an_invalidation_gets_no_value_of_before_that_is_not_stored() {
    for (is_shared, of_many) in [(false, false), (false, true), (true, false), (true, true)] {
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        let cache = if is_shared { pair.cache.clone() } else { Cache::default() };
        let begin = || {
            let (cache, source) = (cache.clone(), source.clone());
            Box::pin(async move {
                match of_many {
                    true => many_unstored(&cache, &source, &[1]).await.map(|rows| rows[&1]),
                    false => unstored(&cache, &source, 1).await,
                }
            })
        };
        let go_on = async |call: &mut Pin<Box<_>>| {
            for _ in 0..50 {
                assert!(waits(call).await);
                tokio::task::yield_now().await;
            }
        };
        source.hold();
        let mut earlier = begin();
        go_on(&mut earlier).await;
        let written = source.write();
        cache.invalidate_tags(["user:1"]).await.unwrap();
        let mut later = begin();
        go_on(&mut later).await;
        assert_eq!(source.asked(), 1, "nobody knows yet that it bears the tag");

        source.release();

        assert_eq!(earlier.await, Ok(0));
        assert_eq!(later.await, Ok(written), "shared: {is_shared}, of many: {of_many}");
    }
}

/// The body's tags are known by then, but to nobody who joins.
#[tokio::test]
async fn neither_while_what_is_stored_is_removed() {
    for of_many in [false, true] {
        let (pair, source) = (Pair::new(), Source::new());
        hears(&pair.cache).await;
        let gate = pair.faults.hold(Operation::Invalidate);
        let forced = async {
            match of_many {
                true => many_unstored_refresh(&pair.cache, &source, &[1]).await.map(|rows| rows[&1]),
                false => unstored_refresh(&pair.cache, &source, 1).await,
            }
        };
        let mut forced = Box::pin(forced);
        tokio::select! {
            biased;
            () = gate.arrived() => {}
            _ = &mut forced => panic!("it removes what is stored"),
        }
        let written = source.write();
        pair.cache.invalidate_tags(["user:1"]).await.unwrap();
        let mut later = Box::pin(unstored(&pair.cache, &source, 1));
        assert!(waits(&mut later).await);
        assert_eq!(source.asked(), 1, "it joins");

        gate.open();

        assert_eq!(forced.await, Ok(0));
        assert_eq!(later.await, Ok(written), "of many: {of_many}");
    }
}

#[cached(ttl = 60, name = "late/other", tags_from = |_| ["late"], skip(cache, source), cache = cache)]
async fn other(cache: &Cache, source: &Source, id: u64) -> Result<u64, Down> {
    let _ = (cache, id);
    source.read().await
}

/// The answer to another call tells of the invalidation, before its message and before its own answer.
#[tokio::test]
async fn neither_where_the_answer_to_another_call_is_the_first_to_tell_of_the_invalidation() {
    let (pair, source, elsewhere) = (Pair::new(), Source::new(), Source::new());
    hears(&pair.cache).await;
    // The first one makes the epoch of the tag, and by the second one it is known here.
    for id in [2, 3] {
        assert_eq!(other(&pair.cache, &elsewhere, id).await, Ok(0));
    }
    source.hold();
    let mut earlier = Box::pin(other(&pair.cache, &source, 1));
    while source.asked() == 0 {
        assert!(waits(&mut earlier).await);
        tokio::task::yield_now().await;
    }
    let written = source.write();
    pair.faults.set_deaf(true);
    let answer = pair.faults.hold_answer(Operation::InvalidateTags);
    let mut invalidating = Box::pin(pair.cache.invalidate_tags(["late"]));
    assert!(waits(&mut invalidating).await);
    answer.arrived().await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    pair.faults.set_deaf(false);

    assert_eq!(other(&pair.cache, &elsewhere, 4).await, Ok(0), "it bears the new epoch");
    let epochs = pair.faults.hold(Operation::Epochs);
    source.release();
    let is_landed = !waits(&mut earlier).await;
    answer.open();
    invalidating.await.unwrap();
    let mut later = Box::pin(other(&pair.cache, &source, 1));
    let _ = waits(&mut later).await;
    epochs.open();

    if !is_landed {
        assert_eq!(earlier.await, Ok(0));
    }
    assert_eq!(later.await, Ok(written));
}
