//! The contract and the conformance suite say the same.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::sync::Arc;

use cache_core::backend::dynamic::DynBackend;
use cache_core::backend::{Backend, Heard, InvalidateRequest, Memory, Message, Subscription};
use cache_core::testing::conformance::NAMES;

/// `- **Any text is a key.** Empty, ..` becomes `any_text_is_a_key`.
fn promises() -> Vec<String> {
    let source = include_str!("../src/backend/mod.rs");
    let sentence = |line: &str| {
        let (sentence, _) = line.trim_start().strip_prefix("/// - **")?.split_once(".**")?;
        Some(sentence.to_lowercase().replace(' ', "_"))
    };
    source.lines().filter_map(sentence).collect()
}

#[test]
fn every_promise_is_one_test_of_the_same_words() {
    assert_eq!(promises(), NAMES);
}

#[test]
fn views_and_subscriptions_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Memory>();
    crosses::<Arc<dyn DynBackend>>();
    crosses::<Message>();
    fn moves<T: Send + 'static>() {}
    moves::<Subscription>();
}

#[tokio::test]
async fn a_backend_whose_type_was_forgotten_is_the_same_store() {
    // given a store, and a view of it without its type
    let memory = Memory::with_clock(|| 0);
    let prefix = cache_core::backend::Prefix::new("app").unwrap();
    let forgotten = DynBackend::view(&memory, &prefix);
    let known = Backend::view(&memory, &prefix);
    let mut subscription = Backend::subscribe(&known).await.unwrap();

    // when a key is invalidated through one
    let request = InvalidateRequest { keys: &["k".into()], ..InvalidateRequest::NOTHING };
    forgotten.invalidate_many(request).await.unwrap();

    // then the other hears of it
    let Some(Heard::Message(message)) = subscription.hear().await else { panic!("nothing was heard") };
    assert_eq!(message.origin, forgotten.origin());
    assert_ne!(message.origin, Backend::origin(&known));
}
