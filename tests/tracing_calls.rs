//! `trace`: what each cached call inside of a future did.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use larder::{Answered, Cache, Key, MissReason, Options, cached, trace};
use support::MINUTE;
use support::source::{Down, Scene, Source};

#[cached(ttl = 60, skip(source), grace = "10m")]
async fn row(source: &Source, id: u64) -> Result<u64, Down> {
    let _ = id;
    source.read().await
}

#[cached(ttl = 60, skip(source), when = id > 0, secret(token))]
async fn outer(source: &Source, id: u64, token: &str) -> Result<u64, Down> {
    let _ = token;
    row(source, id).await
}

#[cached(ttl = 60, skip(source), each = ids, name = "many", when = id > 0)]
async fn many(source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
    let value = source.read().await?;
    Ok(ids.iter().map(|id| (*id, value)).collect())
}

#[tokio::test]
async fn each_call_is_told_with_what_answered_it_and_how_old_that_is() {
    let scene = Scene::new();
    let test = async {
        let ((), untraced) = trace(async {}).await;
        assert_eq!(untraced.calls, []);
        let (_, first) = trace(outer(&scene.source, 1, "hunter2")).await;
        let told: Vec<_> = first.calls.iter().map(|call| (call.function.as_str(), call.answered)).collect();
        let computed = Answered::Computed(MissReason::Absent);
        assert!(
            matches!(&told[..], [(inner, a), (outer, b)]
            if inner.ends_with("row") && outer.ends_with("outer") && (*a, *b) == (computed, computed)),
            "{told:?}"
        );
        assert!(first.calls[0].key.ends_with("row:v0:1"), "{:?}", first.calls[0].key);
        assert!(!format!("{first:?}").contains("hunter2"));

        scene.pass(Duration::from_secs(10)).await;
        let (_, hit) = trace(row(&scene.source, 1)).await;
        assert_eq!(hit.calls[0].answered, Answered::LocalHit);
        let age = hit.calls[0].age.unwrap();
        assert!(age.abs_diff(Duration::from_secs(10)) < Duration::from_millis(1), "{age:?}");

        scene.source.set_down(true);
        scene.pass(MINUTE).await;
        for _ in 0..2 {
            let (_, stale) = trace(row(&scene.source, 1)).await;
            assert_eq!(stale.calls[0].answered, Answered::Stale);
            assert!(stale.calls[0].age.unwrap() >= MINUTE);
        }
        let (_, bypassed) = trace(outer(&scene.source, 0, "")).await;
        assert_eq!(bypassed.calls.last().unwrap().answered, Answered::Bypassed);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn calls_that_join_and_calls_without_the_macro_are_told_too() {
    let scene = Scene::new();
    let key = Key::of("direct", 1).unwrap();
    let options = Options::ttl(MINUTE);
    let ask = || scene.cache.get_or_compute(&key, &options, || async { 1_u64 });
    let (_, told) = trace(async {
        ask().await;
        ask().await;
    })
    .await;
    let answered: Vec<_> = told.calls.iter().map(|call| call.answered).collect();
    assert_eq!(answered, [Answered::Computed(MissReason::Absent), Answered::LocalHit]);

    scene.source.hold();
    let test = async {
        let mut leader = Box::pin(row(&scene.source, 7));
        assert!(support::source::waits(&mut leader).await);
        let mut follower = Box::pin(trace(row(&scene.source, 7)));
        assert!(support::source::waits(&mut follower).await);
        scene.source.release();
        leader.await.unwrap();
        follower.await.1
    };
    let told = scene.cache.scope(test).await;
    assert_eq!(told.calls[0].answered, Answered::Joined);
    assert_eq!(
        Cache::disabled().scope(trace(row(&scene.source, 1))).await.1.calls[0].answered,
        Answered::Bypassed
    );
}

#[tokio::test]
async fn each_item_of_a_batch_is_told_once_also_past_the_cache_and_where_the_body_failed() {
    let scene = Scene::new();
    let test = async {
        many(&scene.source, &[1]).await.unwrap();
        let told = async |ids: &[u64]| {
            let (_, told) = trace(many(&scene.source, ids)).await;
            let calls = told.calls.into_iter();
            let mut told: Vec<_> = calls.map(|call| (call.key, format!("{:?}", call.answered))).collect();
            told.sort();
            told
        };
        let of = |id: u64, answered: &str| (format!("many:v0:{id}"), answered.to_owned());

        let first = told(&[0, 1, 2]).await;
        scene.source.set_down(true);
        let failed = told(&[0, 1, 3]).await;

        assert_eq!(trace(many_refresh(&scene.source, &[1, 3])).await.1.calls, [], "nothing answers it");

        assert_eq!(first, [of(0, "Bypassed"), of(1, "LocalHit"), of(2, "Computed(Absent)")]);
        assert_eq!(failed, [of(0, "Bypassed"), of(1, "LocalHit"), of(3, "Computed(Absent)")]);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn a_call_without_the_macro_is_told_past_the_cache_too() {
    let key = Key::of("direct", 1).unwrap();
    let (never, cache) = (Options::ttl(Duration::ZERO), Cache::default());

    let (_, told) = trace(cache.get_or_compute(&key, &never, || async { 1_u64 })).await;

    assert_eq!(told.calls.iter().map(|call| call.answered).collect::<Vec<_>>(), [Answered::Bypassed]);
}

#[tokio::test]
async fn what_get_finds_is_told_too() {
    let (key, options) = (Key::of("direct", 1).unwrap(), Options::ttl(Duration::from_secs(60)));
    let (cache, disabled) = (Cache::default(), Cache::disabled());
    let get = async |cache: &Cache| trace(cache.get::<u64>(&key, &options)).await.1.calls;

    let absent = get(&cache).await;
    cache.put(&key, 1_u64, &options).await.unwrap();
    let (found, bypassed) = (get(&cache).await, get(&disabled).await);

    let answered: Vec<_> = [absent, found, bypassed].concat().iter().map(|call| call.answered).collect();
    assert_eq!(answered, [Answered::Nothing, Answered::LocalHit, Answered::Bypassed]);
}
