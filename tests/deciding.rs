//! Values that decide: their ttl, their tags, whether they are stored at all, and that they still hold.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::time::Duration;

use cache_core::testing::{Faulty, Operation};
use larder::backend::Memory;
use larder::{Cache, Key, cached, current};
use serde::{Deserialize, Serialize};
use support::source::{Down, Scene, Source};
use support::{MINUTE, MOMENT};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Page {
    row: u64,
    seconds: u64,
    topics: Vec<String>,
}

impl Page {
    async fn read(source: &Source, seconds: u64) -> Result<Self, Down> {
        let row = source.read().await?;
        Ok(Self { row, seconds, topics: vec![format!("row:{row}"), "soup".to_owned()] })
    }
}

#[cached(ttl = |page| Duration::from_secs(page.seconds), skip(source))]
async fn by_value(source: &Source, seconds: u64) -> Result<Page, Down> {
    Page::read(source, seconds).await
}

#[tokio::test]
async fn the_value_decides_how_long_it_is_kept() {
    let scene = Scene::new();
    let test = async {
        for (seconds, asked) in [(60, 1), (120, 2), (0, 3)] {
            by_value(&scene.source, seconds).await.unwrap();
            assert_eq!(scene.source.asked(), asked);
        }
        by_value(&scene.source, 0).await.unwrap();
        assert_eq!(scene.source.asked(), 4, "zero is not stored");
        scene.pass(MINUTE - MOMENT).await;
        by_value(&scene.source, 60).await.unwrap();
        assert_eq!(scene.source.asked(), 4);
        scene.pass(MOMENT).await;
        by_value(&scene.source, 60).await.unwrap();
        by_value(&scene.source, 120).await.unwrap();
        assert_eq!(scene.source.asked(), 5);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn a_value_that_is_put_decides_too() {
    let scene = Scene::new();
    let test = async {
        let page = Page { row: 9, seconds: 10, topics: vec!["fish".to_owned()] };
        by_value_entry(1).put(Ok(page.clone())).await.unwrap();
        by_topic_entry().put(Ok(page.clone())).await.unwrap();
        scene.pass(Duration::from_secs(10) - MOMENT).await;
        assert_eq!(by_value(&scene.source, 1).await, Ok(page));
        scene.pass(MOMENT).await;
        assert_eq!(by_value(&scene.source, 1).await.unwrap().row, 0);

        assert_eq!(by_topic(&scene.source).await.unwrap().row, 9);
        scene.cache.invalidate_tags(["fish"]).await.unwrap();
        assert_eq!(by_topic(&scene.source).await.unwrap().row, 0);
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = |_: &Page| -> Duration { unreachable!("the body has said it") }, skip(source))]
async fn by_body(source: &Source, seconds: u64) -> Result<Page, Down> {
    current().ttl(MINUTE);
    Page::read(source, seconds).await
}

#[tokio::test]
async fn who_hears_the_ttl_from_the_body_does_not_ask_the_value() {
    let scene = Scene::new();
    let test = async {
        by_body(&scene.source, 10).await.unwrap();
        scene.pass(MINUTE - MOMENT).await;
        by_body(&scene.source, 10).await.unwrap();
        assert_eq!(scene.source.asked(), 1);
        scene.pass(MOMENT).await;
        by_body(&scene.source, 10).await.unwrap();
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
}

#[cached(
    ttl = |page: &Option<Page>| Duration::from_secs(page.as_ref().expect("a page").seconds),
    none_ttl = 10,
    skip(source)
)]
async fn found(source: &Source) -> Result<Option<Page>, Down> {
    current().ttl(MINUTE);
    source.read().await.map(|_| None)
}

#[tokio::test]
async fn that_there_is_nothing_is_not_asked_how_long_it_is_kept() {
    let scene = Scene::new();
    let test = async {
        assert_eq!(found(&scene.source).await, Ok(None));
        found_entry().put(Ok(None)).await.unwrap();
        scene.pass(Duration::from_secs(10) - MOMENT).await;
        found(&scene.source).await.unwrap();
        assert_eq!(scene.source.asked(), 1);
        scene.pass(MOMENT).await;
        found(&scene.source).await.unwrap();
        assert_eq!(scene.source.asked(), 2);
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = 600, tags_from = |page: &Option<Page>| page.as_ref().expect("a page").topics.clone(), skip(source))]
async fn some(source: &Source) -> Result<Option<Page>, Down> {
    Page::read(source, 1).await.map(Some)
}

#[tokio::test]
async fn what_is_put_and_not_kept_is_not_asked_for_tags() {
    let scene = Scene::new();
    let test = async {
        some(&scene.source).await.unwrap();
        some_entry().put(Ok(None)).await.unwrap();
        some_entry().put(Err(Down("no".into()))).await.unwrap();
        assert_eq!(some_entry().peek().await.unwrap(), None);
    };
    scene.cache.scope(test).await;
}

#[cached(ttl = 600, tags = ["page"], tags_from = |page| page.topics.clone(), skip(source))]
async fn by_topic(source: &Source) -> Result<Page, Down> {
    Page::read(source, 1).await
}

#[tokio::test]
async fn a_tag_that_only_the_value_knows_invalidates_it() {
    for (tag, is_borne) in [("row:0", true), ("soup", true), ("page", true), ("row:1", false)] {
        let scene = Scene::new();
        let test = async {
            by_topic(&scene.source).await.unwrap();
            scene.source.write();
            scene.cache.invalidate_tags([tag]).await.unwrap();
            by_topic(&scene.source).await.unwrap().row == 1
        };
        assert_eq!(scene.cache.scope(test).await, is_borne, "{tag}");
    }
}

/// The computation reads the row before the invalidation, and its tag is not known to anybody then.
#[tokio::test]
async fn a_tag_that_is_invalidated_while_the_value_is_computed_keeps_it_out() {
    let scene = Scene::new();
    let test = async {
        scene.source.hold();
        let mut call = Box::pin(by_topic(&scene.source));
        assert!(support::source::waits(&mut call).await);
        scene.source.write();
        scene.cache.invalidate_tags(["soup"]).await.unwrap();
        scene.source.release();

        assert_eq!(call.await.unwrap().row, 0, "it began before");
        assert_eq!(by_topic(&scene.source).await.unwrap().row, 1);
    };
    scene.cache.scope(test).await;
    assert_eq!(scene.stats("by_topic").refused_fills, 1);
}

/// Who joins cannot know of the invalidation: the tag is told when the value is there.
#[tokio::test]
async fn who_began_after_a_tag_was_invalidated_is_not_handed_what_began_before() {
    for builder in [Cache::builder(), Cache::builder().shared(Memory::new())] {
        let scene = Scene::with(builder);
        let test = async {
            scene.source.hold();
            let mut first = Box::pin(by_topic(&scene.source));
            while scene.source.asked() == 0 {
                assert!(support::source::waits(&mut first).await);
                scene.settle().await;
            }
            scene.source.write();
            scene.cache.invalidate_tags(["soup"]).await.unwrap();
            let mut later = [Box::pin(by_topic(&scene.source)), Box::pin(by_topic(&scene.source))];
            for call in &mut later {
                assert!(support::source::waits(call).await);
            }
            assert_eq!(scene.source.asked(), 1, "they joined");
            scene.source.release();

            assert_eq!(first.await.unwrap().row, 0, "it began before");
            let [one, two] = later;
            let (one, two) = tokio::join!(one, two);
            assert_eq!((one.unwrap().row, two.unwrap().row), (1, 1));
            assert_eq!(scene.source.asked(), 2, "once for both");
        };
        scene.cache.scope(test).await;
    }
}

/// The lease was granted, and then the epochs of what the value names could not be had.
#[tokio::test]
async fn a_tag_that_only_the_value_knows_holds_here_when_the_shared_tier_does_not_tell_its_epoch() {
    let (faulty, faults) = Faulty::new(Memory::new());
    let scene = Scene::with(Cache::builder().shared(faulty));
    let test = async {
        // Until the bus is heard nothing is kept for long.
        told(&scene.source, "long".to_owned()).await.unwrap();
        scene.settle().await;
        faults.fail(Operation::Epochs);
        by_topic(&scene.source).await.unwrap();
        scene.source.write();
        scene.settle().await;
        by_topic(&scene.source).await.unwrap();
        assert_eq!(scene.source.asked(), 2, "it is kept here");

        let _ = scene.cache.invalidate_tags(["soup"]).await;

        assert_eq!(by_topic(&scene.source).await.unwrap().row, 1);
    };
    scene.cache.scope(test).await;
}

/// Two processes over one shared tier.
#[tokio::test]
async fn tags_of_values_hold_over_a_shared_tier() {
    let memory = Memory::new();
    let build = || Cache::builder().shared(memory.clone()).build().unwrap();
    let (here, there, source) = (build(), build(), Source::new());
    // A tag that nobody used before cannot be told from one that was invalidated just now.
    here.scope(by_topic(&source)).await.unwrap();
    here.scope(by_topic(&source)).await.unwrap();
    let asked = source.asked();
    assert!(asked <= 2);

    assert_eq!(there.scope(by_topic(&source)).await.unwrap().row, 0);
    assert_eq!(source.asked(), asked, "found in the shared tier");

    source.write();
    here.invalidate_tags(["soup"]).await.unwrap();
    // No message need have arrived: another process reads through.
    let late = build();
    assert_eq!(late.scope(by_topic(&source)).await.unwrap().row, 1);
    assert_eq!(here.scope(by_topic(&source)).await.unwrap().row, 1);
}

#[cached(ttl = 600, skip(source))]
async fn told(source: &Source, what: String) -> Result<u64, Down> {
    let computation = current();
    match what.as_str() {
        "short" => computation.ttl(MINUTE),
        "tagged" => computation.tag("late").tag(String::from("later")),
        "secret" => computation.do_not_store(),
        _ => &computation,
    };
    source.read().await
}

#[tokio::test]
async fn the_body_says_how_its_answer_is_kept() {
    let scene = Scene::new();
    let ask = async |what: &str| told(&scene.source, what.to_owned()).await.unwrap();
    let test = async {
        for what in ["short", "tagged", "secret", "long"] {
            ask(what).await;
        }
        scene.source.write();

        assert_eq!(ask("secret").await, 1);
        scene.cache.invalidate_tags(["later"]).await.unwrap();
        assert_eq!(ask("tagged").await, 1);
        scene.pass(MINUTE - MOMENT).await;
        assert_eq!(ask("short").await, 0);
        scene.pass(MOMENT).await;
        assert_eq!(ask("short").await, 1);
        assert_eq!(ask("long").await, 0);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn outside_of_a_computation_the_body_may_say_what_it_likes() {
    let source = Source::new();
    current().ttl(MINUTE).tag("x").do_not_store().not_modified();
    assert_eq!(current().previous::<u64>(), None);
    assert_eq!(told_uncached(&source, "short".to_owned()).await, Ok(0));
}

/// Asks the source only whether the row has changed; it counts that, and sends the row if it has.
#[cached(ttl = 60, grace = "10m", skip(source))]
async fn conditional(source: &Source) -> Result<Page, Down> {
    let computation = current();
    let row = source.read().await?;
    if let Some(previous) = computation.previous::<Page>()
        && previous.row == row
    {
        computation.not_modified();
        return Ok(previous);
    }
    // Made anew, it would be another one.
    Ok(Page { row, seconds: source.asked(), topics: Vec::new() })
}

#[tokio::test]
async fn a_value_that_still_holds_is_renewed() {
    let scene = Scene::new();
    let test = async {
        let first = conditional(&scene.source).await.unwrap();
        scene.pass(MINUTE).await;
        assert_eq!(conditional(&scene.source).await.unwrap(), first);
        scene.pass(MINUTE - MOMENT).await;
        assert_eq!(conditional(&scene.source).await.unwrap(), first);
        assert_eq!(scene.source.asked(), 2, "renewed for a whole ttl");
        scene.source.write();
        scene.pass(MOMENT).await;
        assert_eq!(conditional(&scene.source).await.unwrap().row, 1);
    };
    scene.cache.scope(test).await;
}

/// Says that what is stored still holds, and answers something else.
#[cached(ttl = 60, grace = "10m", skip(source))]
async fn contradicting(source: &Source) -> Result<u64, Down> {
    current().not_modified();
    source.read().await
}

#[tokio::test]
async fn what_is_said_to_hold_and_is_another_value_is_stored_all_the_same() {
    let memory = Memory::new();
    let on_memory = || Scene::with(Cache::builder().shared(memory.clone()));
    let (scene, elsewhere) = (on_memory(), on_memory());
    let test = async {
        assert_eq!(contradicting(&scene.source).await, Ok(0));
        scene.source.write();
        contradicting_entry().expire().await.unwrap();
        assert_eq!(contradicting(&scene.source).await, Ok(1));
    };
    scene.cache.scope(test).await;

    let there = elsewhere.cache.scope(async { contradicting_entry().peek().await }).await.unwrap();

    assert_eq!(there.map(|peeked| peeked.value), Some(Ok(1)));
}

#[tokio::test]
async fn a_body_never_sees_what_was_invalidated() {
    let scene = Scene::new();
    let test = async {
        let first = conditional(&scene.source).await.unwrap();
        conditional_entry().invalidate().await.unwrap();
        assert_ne!(conditional(&scene.source).await.unwrap(), first);
        scene.cache.clear().await.unwrap();
        assert_eq!(conditional(&scene.source).await.unwrap().seconds, 3);
    };
    scene.cache.scope(test).await;
}

#[tokio::test]
async fn directions_count_without_the_macro_too() {
    let scene = Scene::new();
    let key = Key::of("direct", 1).unwrap();
    let options = larder::Options::ttl(MINUTE);
    let ask = || {
        scene.cache.get_or_compute(&key, &options, || async {
            current().tag("inner");
            scene.source.read().await.unwrap()
        })
    };
    ask().await;
    ask().await;
    assert_eq!(scene.source.asked(), 1);
    scene.cache.invalidate_tags(["inner"]).await.unwrap();
    ask().await;
    assert_eq!(scene.source.asked(), 2);
}

/// Speaks of its own answer, whoever asks for it; `0` goes past the cache.
#[cached(ttl = 60, when = id > 0)]
async fn inner(id: u64) -> u64 {
    current().ttl(Duration::from_secs(3600)).tag("inner");
    current().previous::<u64>().unwrap_or(100 + id)
}

#[cached(ttl = 5, grace = "1h", skip(source))]
async fn outer(source: &Source, id: u64) -> Result<u64, Down> {
    source.read().await?;
    Ok(inner(id).await)
}

#[tokio::test]
async fn a_call_past_the_cache_does_not_speak_for_the_computation_around_it() {
    let scene = Scene::new();
    let test = async {
        for id in [0, 1] {
            let asked = scene.source.asked();
            let ask = async || assert_eq!(outer(&scene.source, id).await.unwrap(), 100 + id);
            ask().await;
            scene.cache.invalidate_tags(["inner"]).await.unwrap();
            ask().await;
            assert_eq!(scene.source.asked(), asked + 1, "the tag is not that of the outer one");
            scene.pass(Duration::from_secs(6)).await;
            // Nor does the inner one see the value that is stored for the outer one.
            ask().await;
            assert_eq!(scene.source.asked(), asked + 2, "the ttl is not that of the outer one");
        }
        let direct = Key::of("direct", 1).unwrap();
        let past = larder::Options::ttl(Duration::ZERO);
        let around = larder::Options::ttl(MINUTE);
        let key = Key::of("around", 1).unwrap();
        let compute = async || {
            let inner = async || {
                current().do_not_store().tag("inner");
            };
            scene.cache.get_or_compute(&direct, &past, inner).await;
            1_u64
        };
        scene.cache.get_or_compute(&key, &around, compute).await;
        assert_eq!(scene.cache.get::<u64>(&key, &around).await.unwrap(), Some(1));
    };
    scene.cache.scope(test).await;
}
