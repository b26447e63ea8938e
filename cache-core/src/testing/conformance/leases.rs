//! Who may compute.

use std::sync::Arc;

use super::*;
use crate::backend::Renewal;

/// A free key is granted with the epochs of its tags.
pub async fn a_free_key_is_granted_with_the_epochs_of_its_tags<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let known = [tag("known")];
    let life = stage.tick() * 100;
    let before = backend.epochs(Tags { keys: &known, life }).await.expect("epochs are answered").pop();
    let asked = [tag("new"), tag("known"), tag("new")];

    let answer =
        lease(&backend, LeaseRequest { tags: Tags { keys: &asked, life }, ..request(stage, &key) }).await;

    let Lease::Granted { epochs, .. } = answer else { panic!("should be granted, not {answer:?}") };
    let current = backend.read(&key, &asked).await.expect("a read is answered").epochs;
    assert_eq!(epochs.iter().copied().map(Some).collect::<Vec<_>>(), current);
    assert_eq!(current[1], before);
    assert_ne!(current[0], current[1]);
}

/// Of many who ask at once one is granted.
pub async fn of_many_who_ask_at_once_one_is_granted<S: Stage>(stage: &S) {
    let processes = [Arc::new(stage.process().await), Arc::new(stage.process().await)];
    for round in 0..8 {
        let key = key(&format!("k{round}"));
        let ask = |n: usize| {
            let (backend, key, life) = (Arc::clone(&processes[n % 2]), key.clone(), stage.tick() * 100);
            tokio::spawn(async move {
                let (token, claim) = (LeaseToken::random(), Claim::Absent);
                lease(&*backend, LeaseRequest { key: &key, token, life, tags: Tags::NONE, claim }).await
            })
        };

        let asked: Vec<_> = (0..64).map(ask).collect();

        let mut granted = 0;
        for answer in asked {
            match answer.await.expect("the task does not panic") {
                Lease::Granted { .. } => granted += 1,
                Lease::Held { .. } => {}
                filled @ Lease::Filled { .. } => panic!("nobody filled, yet {filled:?}"),
            }
        }
        assert_eq!(granted, 1, "in round {round}");
    }
}

/// The others are told how long the lease lives.
pub async fn the_others_are_told_how_long_the_lease_lives<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let life = stage.tick() * 10;
    granted(&here, LeaseRequest { life, ..request(stage, &key) }).await;

    stage.advance(stage.tick() * 2).await;
    let answer = lease(&there, request(stage, &key)).await;

    let Lease::Held { remaining } = answer else { panic!("should be held, not {answer:?}") };
    assert!(remaining <= stage.tick() * 8, "{remaining:?}");
    assert!(remaining > Duration::ZERO, "{remaining:?}");
}

/// Asking again with the same token is granted the same.
pub async fn asking_again_with_the_same_token_is_granted_the_same<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let mine = request(stage, &key);
    let first = granted(&here, mine).await;
    assert_held(&there, request(stage, &key)).await;

    stage.advance(stage.tick() * 6).await;
    let again = granted(&here, mine).await;
    stage.advance(stage.tick() * 6).await;

    assert_eq!(again, first);
    assert_held(&there, request(stage, &key)).await;
    assert_eq!(fill(stage, &here, &key, &first, &frame(b"v")).await, Fill::Stored);
}

/// A lease ends with its life.
pub async fn a_lease_ends_with_its_life<S: Stage>(stage: &S) {
    let (dead, next, key) = (stage.process().await, stage.process().await, key("k"));
    granted(&dead, LeaseRequest { life: stage.tick() * 3, ..request(stage, &key) }).await;
    drop(dead);

    stage.advance(stage.tick()).await;
    assert_held(&next, request(stage, &key)).await;
    stage.advance(stage.tick() * 2).await;

    let grant = granted(&next, request(stage, &key)).await;
    assert_eq!(fill(stage, &next, &key, &grant, &frame(b"v")).await, Fill::Stored);
}

/// A renewed lease lives on.
pub async fn a_renewed_lease_lives_on<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let life = stage.tick() * 12;
    let grant = granted(&here, LeaseRequest { life, ..request(stage, &key) }).await;

    for _ in 0..3 {
        stage.advance(stage.tick() * 7).await;
        let renewal = here.renew(&key, &grant, life).await.expect("a renewal is answered");
        assert_eq!(renewal, Renewal::Renewed);
        assert_held(&there, request(stage, &key)).await;
    }

    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"v")).await, Fill::Stored);
}

/// Only the current grant is renewed.
pub async fn only_the_current_grant_is_renewed<S: Stage>(stage: &S) {
    let backend = stage.process().await;
    let life = stage.tick() * 8;
    let [ended, voided, taken, filled] = ["ended", "voided", "taken", "filled"].map(key);
    let mut grants = Vec::new();
    for key in [&ended, &voided, &taken, &filled] {
        grants.push(granted(&backend, LeaseRequest { life, ..request(stage, key) }).await);
    }

    backend.invalidate(&voided).await.expect("an invalidation is answered");
    let take = LeaseRequest { claim: Claim::Take, ..request(stage, &taken) };
    let new = granted(&backend, take).await;
    assert_eq!(fill(stage, &backend, &filled, &grants[3], &frame(b"v")).await, Fill::Stored);
    stage.advance(life).await;

    for (key, grant) in [&ended, &voided, &taken, &filled].into_iter().zip(&grants) {
        let renewal = backend.renew(key, grant, life).await.expect("a renewal is answered");
        assert_eq!(renewal, Renewal::Refused, "{key:?}");
    }
    let renewal = backend.renew(&taken, &new, life).await.expect("a renewal is answered");
    assert_eq!(renewal, Renewal::Renewed);
    for key in [&ended, &voided] {
        granted(&backend, request(stage, key)).await;
    }
}

/// A released lease is free at once.
pub async fn a_released_lease_is_free_at_once<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let grant = granted(&here, request(stage, &key)).await;
    assert_held(&there, request(stage, &key)).await;

    here.release(&key, grant.token).await.expect("a release is answered");

    granted(&there, request(stage, &key)).await;
    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"v")).await, Fill::Refused);
}

/// Only the holder releases.
pub async fn only_the_holder_releases<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let grant = granted(&here, request(stage, &key)).await;

    there.release(&key, LeaseToken::random()).await.expect("a release is answered");

    assert_held(&there, request(stage, &key)).await;
    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"v")).await, Fill::Stored);
    there.release(&key, grant.token).await.expect("a release is answered");
    assert_eq!(bytes(&there, &key).await, Some(b"v".to_vec()));
}

/// Whoever saw no entry is given the one filled meanwhile.
pub async fn whoever_saw_no_entry_is_given_the_one_filled_meanwhile<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let asked = [tag("t")];
    put(stage, &here, &key, b"v").await;

    let tags = Tags { keys: &asked, life: stage.tick() * 100 };
    let answer = lease(&there, LeaseRequest { tags, ..request(stage, &key) }).await;

    let Lease::Filled { found, epochs } = answer else { panic!("should be filled, not {answer:?}") };
    assert_eq!(found, Found { frame: frame(b"v"), is_expired: false });
    let current = there.read(&key, &asked).await.expect("a read is answered").epochs;
    assert_eq!(epochs.into_iter().map(Some).collect::<Vec<_>>(), current);
    let replace = LeaseRequest { claim: Claim::Replace(&frame(b"v")), ..request(stage, &key) };
    granted(&here, replace).await;
}

/// Whoever saw an entry is granted its replacement.
pub async fn whoever_saw_an_entry_is_granted_its_replacement<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    put(stage, &here, &key, b"old").await;
    let old = frame(b"old");
    let replace = |key| LeaseRequest { claim: Claim::Replace(&old), ..request(stage, key) };

    let grant = granted(&here, replace(&key)).await;
    assert_held(&there, replace(&key)).await;
    assert_eq!(bytes(&there, &key).await, Some(b"old".to_vec()));
    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"new")).await, Fill::Stored);
    let answer = lease(&there, replace(&key)).await;

    let Lease::Filled { found, .. } = answer else { panic!("should be filled, not {answer:?}") };
    assert_eq!(found.frame, frame(b"new"));
}

/// Taking a key voids the lease of another.
pub async fn taking_a_key_voids_the_lease_of_another<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let computing = granted(&here, request(stage, &key)).await;

    put(stage, &there, &key, b"put").await;

    assert_eq!(fill(stage, &here, &key, &computing, &frame(b"computed")).await, Fill::Refused);
    assert_eq!(bytes(&here, &key).await, Some(b"put".to_vec()));
}
