//! `policy = ..`: what many functions have in common, by name.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use larder::{Policy, cached};
use support::MOMENT;
use support::source::{Down, Scene, Source};

const ROWS: Policy =
    Policy::new().ttl(Duration::from_secs(60)).grace(Duration::from_secs(600)).refresh_after(0.5);

static STATIC: Policy = Policy::new().ttl(Duration::from_secs(30));

#[cached(policy = ROWS, refresh, skip(source))]
async fn as_it_is(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[cached(policy = ROWS, refresh(after = 0.9), ttl = 100, skip(source))]
async fn overridden(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[cached(policy = STATIC, skip(source))]
async fn by_static(source: &Source) -> Result<u64, Down> {
    source.read().await
}

#[tokio::test]
async fn a_policy_is_followed() {
    let scene = Scene::new();
    let test = async {
        as_it_is(&scene.source).await.unwrap();
        scene.pass(Duration::from_secs(30) - MOMENT).await;
        as_it_is(&scene.source).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.source.asked(), 1);
        scene.pass(MOMENT).await;
        as_it_is(&scene.source).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.source.asked(), 2, "refreshed after half of its ttl");

        scene.source.set_down(true);
        scene.pass(Duration::from_secs(60)).await;
        assert_eq!(as_it_is(&scene.source).await, Ok(0), "its grace");
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn what_stands_beside_a_policy_overrides_it() {
    let scene = Scene::new();
    let test = async {
        overridden(&scene.source).await.unwrap();
        scene.pass(Duration::from_secs(90) - MOMENT).await;
        overridden(&scene.source).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.source.asked(), 1);
        scene.pass(MOMENT).await;
        overridden(&scene.source).await.unwrap();
        scene.settle().await;
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn a_static_is_a_policy_too() {
    let scene = Scene::new();
    let test = async {
        by_static(&scene.source).await.unwrap();
        scene.pass(Duration::from_secs(30)).await;
        by_static(&scene.source).await.unwrap();
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
}
