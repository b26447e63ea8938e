//! What processes hear of each other.

use super::*;
use crate::backend::{Change, Heard, Message, Subscription};

/// Waits for the first change that `wanted` picks.
async fn hear<T>(subscription: &mut Subscription, mut wanted: impl FnMut(Message) -> Option<T>) -> T {
    loop {
        match subscription.hear().await.expect("the bus goes on") {
            Heard::Message(message) => {
                if let Some(found) = wanted(message) {
                    return found;
                }
            }
            Heard::Gap => {}
        }
    }
}

async fn hear_change(subscription: &mut Subscription, change: Change) -> Message {
    hear(subscription, |message| (message.change == change).then_some(message)).await
}

/// All that was heard until a heartbeat that this sends now.
pub(super) async fn messages_until_own_heartbeat(
    backend: &impl Backend,
    subscription: &mut Subscription,
) -> Vec<Message> {
    const NONCE: u64 = 0x0fed_cba9_8765_4321;
    backend.heartbeat(NONCE).await.expect("a heartbeat is answered");
    let mut messages = Vec::new();
    hear(subscription, |message| {
        let is_last = message.change == Change::Heartbeat { nonce: NONCE };
        messages.push(message);
        is_last.then_some(())
    })
    .await;
    messages
}

async fn subscribe(backend: &impl Backend) -> Subscription {
    backend.subscribe().await.expect("a subscription is answered")
}

/// An invalidation is heard by all.
pub async fn an_invalidation_is_heard_by_all<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let mut ears = [subscribe(&here).await, subscribe(&here).await, subscribe(&there).await];

    here.invalidate(&key).await.expect("an invalidation is answered");

    for ear in &mut ears {
        hear_change(ear, Change::Invalidated { key: key.clone() }).await;
    }
}

/// An expiry is heard by all.
pub async fn an_expiry_is_heard_by_all<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let mut ears = [subscribe(&here).await, subscribe(&there).await];

    here.expire(&key, stage.tick()).await.expect("an expiry is answered");

    for ear in &mut ears {
        hear_change(ear, Change::Expired { key: key.clone() }).await;
    }
}

/// An invalidated tag is heard with its new epoch.
pub async fn an_invalidated_tag_is_heard_with_its_new_epoch<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let mut ears = [subscribe(&here).await, subscribe(&there).await];
    let keys = [tag("a\0}"), TagKey::Function("f".into()), TagKey::Everything];
    let tags = Tags { keys: &keys, life: stage.tick() * 100 };

    let epochs = here.invalidate_tags(tags).await.expect("an invalidation is answered");

    let expected: Vec<_> = keys.iter().cloned().zip(epochs).collect();
    for ear in &mut ears {
        // A store may tell of several tags in one message or in several.
        let mut missing = expected.clone();
        hear(ear, |message| {
            if let Change::TagsInvalidated { epochs } = message.change {
                missing.retain(|pair| !epochs.contains(pair));
            }
            missing.is_empty().then_some(())
        })
        .await;
    }
}

/// Who was told held hears of the fill.
pub async fn who_was_told_held_hears_of_the_fill<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let grant = granted(&here, request(stage, &key)).await;
    // Listen first, then ask: otherwise the fill could come between.
    let mut ear = subscribe(&there).await;
    assert_held(&there, request(stage, &key)).await;

    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"v")).await, Fill::Stored);

    hear_change(&mut ear, Change::Filled { key: key.clone() }).await;
    assert_eq!(bytes(&there, &key).await, Some(b"v".to_vec()));
}

/// Who was told held hears of the release.
pub async fn who_was_told_held_hears_of_the_release<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let grant = granted(&here, request(stage, &key)).await;
    let mut ear = subscribe(&there).await;
    assert_held(&there, request(stage, &key)).await;

    here.release(&key, grant.token).await.expect("a release is answered");

    hear_change(&mut ear, Change::Released { key: key.clone() }).await;
    granted(&there, request(stage, &key)).await;
}

/// The fill of a taken key is heard by all.
pub async fn the_fill_of_a_taken_key_is_heard_by_all<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let mut ears = [subscribe(&here).await, subscribe(&there).await];

    put(stage, &here, &key, b"v").await;

    for ear in &mut ears {
        hear_change(ear, Change::Filled { key: key.clone() }).await;
    }
}

/// Every message names its origin.
pub async fn every_message_names_its_origin<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let beside = here.view(&stage.prefix());
    assert_ne!(here.origin(), there.origin());
    assert_ne!(here.origin(), beside.origin());
    let mut ears = [subscribe(&here).await, subscribe(&there).await, subscribe(&beside).await];

    for (view, other) in [(&here, &there), (&there, &beside), (&beside, &here)] {
        let keys = [tag("t")];
        let grant = granted(view, LeaseRequest { claim: Claim::Take, ..request(stage, &key) }).await;
        assert_held(other, request(stage, &key)).await;
        view.release(&key, grant.token).await.expect("a release is answered");
        put(stage, view, &key, b"v").await;
        view.expire(&key, stage.tick()).await.expect("an expiry is answered");
        view.invalidate(&key).await.expect("an invalidation is answered");
        let tags = Tags { keys: &keys, life: stage.tick() };
        view.invalidate_tags(tags).await.expect("an invalidation is answered");

        for ear in &mut ears {
            let mut kinds_missing = [true; 5];
            hear(ear, |message| {
                assert_eq!(message.origin, view.origin(), "{message:?}");
                let kind = match message.change {
                    Change::Invalidated { .. } => 0,
                    Change::Expired { .. } => 1,
                    Change::TagsInvalidated { .. } => 2,
                    Change::Filled { .. } => 3,
                    Change::Released { .. } => 4,
                    Change::Heartbeat { .. } | Change::Requested { .. } | Change::Unread { .. } => {
                        panic!("nobody sent {message:?}")
                    }
                };
                kinds_missing[kind] = false;
                (kinds_missing == [false; 5]).then_some(())
            })
            .await;
        }
    }
}

/// A heartbeat is heard by its sender alone.
pub async fn a_heartbeat_is_heard_by_its_sender_alone<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let mut ears = [subscribe(&here).await, subscribe(&here).await];
    let mut ear_there = subscribe(&there).await;

    for nonce in [0, u64::MAX] {
        here.heartbeat(nonce).await.expect("a heartbeat is answered");

        for ear in &mut ears {
            let message = hear_change(ear, Change::Heartbeat { nonce }).await;
            assert_eq!(message.origin, here.origin());
        }
    }

    let heard = messages_until_own_heartbeat(&there, &mut ear_there).await;
    assert!(heard.iter().all(|message| message.origin == there.origin()), "{heard:?}");
}

/// What may be missing is told as a gap.
pub async fn what_may_be_missing_is_told_as_a_gap<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let mut ear = subscribe(&there).await;
    messages_until_own_heartbeat(&there, &mut ear).await;

    stage.cut_bus().await;
    here.invalidate(&key("k")).await.expect("an invalidation is answered");

    let heard = ear.hear().await;
    assert_eq!(heard, Some(Heard::Gap), "a message after the cut was heard before the gap");
    // It finds its way back: heartbeats may be lost at first, but not for ever.
    for nonce in 1.. {
        there.heartbeat(nonce).await.expect("a heartbeat is answered");
        let is_back = heard_within(stage, &mut ear, Change::Heartbeat { nonce }).await;
        if is_back {
            break;
        }
    }
}

/// Whether a change is heard while a tick passes.
async fn heard_within(stage: &impl Stage, ear: &mut Subscription, change: Change) -> bool {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    let mut heard = pin!(hear_change(ear, change));
    let mut passed = pin!(stage.advance(stage.tick()));
    poll_fn(|cx| {
        if heard.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        passed.as_mut().poll(cx).map(|()| false)
    })
    .await
}

/// A dropped subscription leaves the others.
pub async fn a_dropped_subscription_leaves_the_others<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let (first, mut second) = (subscribe(&backend).await, subscribe(&backend).await);

    drop(first);
    backend.invalidate(&key).await.expect("an invalidation is answered");
    let mut third = subscribe(&backend).await;
    backend.expire(&key, stage.tick()).await.expect("an expiry is answered");

    hear_change(&mut second, Change::Invalidated { key: key.clone() }).await;
    hear_change(&mut second, Change::Expired { key: key.clone() }).await;
    hear_change(&mut third, Change::Expired { key: key.clone() }).await;
}
