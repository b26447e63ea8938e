//! Many invalidations in one call.

use super::*;
use crate::backend::{Change, Epoch, Heard, InvalidateRequest};

fn keys(letter: char, count: usize) -> Vec<EntryKey> {
    (0..count).map(|n| key(&format!("{letter}{n}"))).collect()
}

async fn invalidate(backend: &impl Backend, request: InvalidateRequest<'_>) -> Vec<Epoch> {
    backend.invalidate_many(request).await.expect("an invalidation is answered")
}

/// Each of many invalidations takes effect.
pub async fn each_of_many_invalidations_takes_effect<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let (removed, stale, left) = (keys('r', 3), keys('s', 3), keys('l', 1));
    for key in removed.iter().chain(&stale).chain(&left) {
        put(stage, &here, key, b"v").await;
    }
    let names = [tag("t"), TagKey::Function("f".into()), TagKey::Everything, tag("u")];
    let tags = Tags { keys: &names, life: stage.tick() * 100 };
    let before = here.epochs(tags).await.expect("epochs are answered");
    let expired: Vec<_> = stale.iter().map(|key| (key.clone(), stage.tick() * 50)).collect();
    let mut ear = there.subscribe().await.expect("a subscription is answered");

    let moved = Tags { keys: &names[..3], ..tags };
    let epochs =
        invalidate(&here, InvalidateRequest { keys: &removed, expired: &expired, tags: moved }).await;

    for key in &removed {
        assert_eq!(found(&there, key).await, None, "{key:?}");
    }
    for key in &stale {
        assert_eq!(found(&there, key).await, Some(Found { frame: frame(b"v"), is_expired: true }), "{key:?}");
    }
    assert_eq!(bytes(&there, &left[0]).await, Some(b"v".to_vec()));
    let after = there.epochs(tags).await.expect("epochs are answered");
    assert_eq!((&after[..3], after[3]), (&epochs[..], before[3]));
    assert!(before.iter().zip(&epochs).all(|(before, after)| before < after), "{before:?}, {epochs:?}");

    // And each is heard, in whatever order.
    let mut missing: Vec<Change> = removed.into_iter().map(|key| Change::Invalidated { key }).collect();
    missing.extend(stale.into_iter().map(|key| Change::Expired { key }));
    let mut untold: Vec<_> = names.iter().cloned().zip(epochs).collect();
    while !(missing.is_empty() && untold.is_empty()) {
        let Heard::Message(message) = ear.hear().await.expect("the bus goes on") else { continue };
        missing.retain(|change| *change != message.change);
        if let Change::TagsInvalidated { epochs } = message.change {
            untold.retain(|pair| !epochs.contains(pair));
        }
    }
}

/// Many invalidations answer the epochs in the order of their tags.
pub async fn many_invalidations_answer_the_epochs_in_the_order_of_their_tags<S: Stage>(stage: &S) {
    let (backend, keys) = (stage.process().await, keys('k', 3));
    let names: Vec<_> = (0..24).map(|n| tag(&format!("t{}", n * 7 % 24))).collect();
    let tags = Tags { keys: &names, life: stage.tick() * 100 };

    let epochs = invalidate(&backend, InvalidateRequest { keys: &keys, expired: &[], tags }).await;

    assert_eq!(backend.epochs(tags).await.expect("epochs are answered"), epochs);
}

/// Many invalidations void the leases of their keys.
pub async fn many_invalidations_void_the_leases_of_their_keys<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let (removed, stale) = (keys('r', 3), keys('s', 3));
    let mut grants = Vec::new();
    for key in removed.iter().chain(&stale) {
        grants.push((key.clone(), granted(&here, request(stage, key)).await));
    }
    let expired: Vec<_> = stale.iter().map(|key| (key.clone(), stage.tick() * 50)).collect();

    let request = InvalidateRequest { keys: &removed, expired: &expired, tags: Tags::NONE };
    invalidate(&there, request).await;

    for (key, grant) in grants {
        assert_eq!(fill(stage, &here, &key, &grant, &frame(b"late")).await, Fill::Refused, "{key:?}");
        granted(&there, super::request(stage, &key)).await;
    }
}

/// What is named twice is invalidated.
pub async fn what_is_named_twice_is_invalidated<S: Stage>(stage: &S) {
    let (backend, both, stale) = (stage.process().await, key("both"), key("stale"));
    for key in [&both, &stale] {
        put(stage, &backend, key, b"v").await;
    }
    let (keep, names) = (stage.tick() * 50, [tag("t"), tag("t")]);
    let (keys, expired) = ([both.clone(), both.clone()], [both.clone(), stale.clone(), stale.clone()]);
    let expired = expired.map(|key| (key, keep));
    let tags = Tags { keys: &names, life: stage.tick() * 100 };

    let epochs = invalidate(&backend, InvalidateRequest { keys: &keys, expired: &expired, tags }).await;

    assert_eq!(bytes(&backend, &both).await, None);
    assert_eq!(found(&backend, &stale).await, Some(Found { frame: frame(b"v"), is_expired: true }));
    let current = backend.epochs(tags).await.expect("epochs are answered");
    assert!(epochs.len() == 2 && epochs.contains(&current[0]), "{epochs:?}, {current:?}");
}

/// Thousands are invalidated in one call.
pub async fn thousands_are_invalidated_in_one_call<S: Stage>(stage: &S) {
    let (backend, keys) = (stage.process().await, keys('k', 5_000));
    let some = || keys.iter().step_by(499);
    for key in some() {
        put(stage, &backend, key, b"v").await;
    }
    let names: Vec<_> = (0..1_500).map(|n| tag(&format!("t{n}"))).collect();
    let tags = Tags { keys: &names, life: stage.tick() * 100 };

    let epochs = invalidate(&backend, InvalidateRequest { keys: &keys, expired: &[], tags }).await;

    assert_eq!(backend.epochs(tags).await.expect("epochs are answered"), epochs);
    for key in some() {
        assert_eq!(bytes(&backend, key).await, None, "{key:?}");
    }
}

/// Invalidating nothing succeeds.
pub async fn invalidating_nothing_succeeds<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    put(stage, &backend, &key, b"v").await;

    assert_eq!(invalidate(&backend, InvalidateRequest::NOTHING).await, []);

    assert_eq!(bytes(&backend, &key).await, Some(b"v".to_vec()));
}
