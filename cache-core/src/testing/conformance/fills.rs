//! What is stored, and what is refused.

use super::*;

/// A fill ends its lease.
pub async fn a_fill_ends_its_lease<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let grant = granted(&here, request(stage, &key)).await;

    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"v")).await, Fill::Stored);

    let seen = frame(b"v");
    granted(&there, LeaseRequest { claim: Claim::Replace(&seen), ..request(stage, &key) }).await;
}

/// A repeated fill changes nothing.
pub async fn a_repeated_fill_changes_nothing<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let grant = granted(&backend, request(stage, &key)).await;
    assert_eq!(fill(stage, &backend, &key, &grant, &frame(b"old")).await, Fill::Stored);

    // Whether the answer is `Stored` or `Refused` is not promised.
    fill(stage, &backend, &key, &grant, &frame(b"old")).await;
    let directly = bytes(&backend, &key).await;
    put(stage, &backend, &key, b"new").await;
    let after_another = fill(stage, &backend, &key, &grant, &frame(b"old")).await;

    assert_eq!(directly, Some(b"old".to_vec()));
    assert_eq!(after_another, Fill::Refused);
    assert_eq!(bytes(&backend, &key).await, Some(b"new".to_vec()));
}

/// A fill under another grant is refused.
pub async fn a_fill_under_another_grant_is_refused<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let [mine, yours] = ["mine", "yours"].map(key);
    let my_grant = granted(&here, request(stage, &mine)).await;
    let your_grant = granted(&there, request(stage, &yours)).await;
    let foreign_token = Grant { token: LeaseToken::random(), ..my_grant };

    for grant in [your_grant, foreign_token] {
        assert_eq!(fill(stage, &here, &mine, &grant, &frame(b"x")).await, Fill::Refused);
    }

    assert_eq!(bytes(&here, &mine).await, None);
    assert_eq!(fill(stage, &here, &mine, &my_grant, &frame(b"v")).await, Fill::Stored);
    assert_eq!(fill(stage, &there, &yours, &your_grant, &frame(b"v")).await, Fill::Stored);
}

/// A fill after an invalidation is refused.
pub async fn a_fill_after_an_invalidation_is_refused<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let old = granted(&here, request(stage, &key)).await;

    there.invalidate(&key).await.expect("an invalidation is answered");

    assert_eq!(fill(stage, &here, &key, &old, &frame(b"old")).await, Fill::Refused);
    assert_eq!(bytes(&there, &key).await, None);
    let new = granted(&there, request(stage, &key)).await;
    assert_eq!(fill(stage, &here, &key, &old, &frame(b"old")).await, Fill::Refused, "another computes");
    assert_eq!(fill(stage, &there, &key, &new, &frame(b"new")).await, Fill::Stored);
    assert_eq!(fill(stage, &here, &key, &old, &frame(b"old")).await, Fill::Refused, "another has filled");
    assert_eq!(bytes(&here, &key).await, Some(b"new".to_vec()));
}

/// A fill after its lease ended is refused.
pub async fn a_fill_after_its_lease_ended_is_refused<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let life = stage.tick();
    let grant = granted(&backend, LeaseRequest { life, ..request(stage, &key) }).await;

    stage.advance(life).await;

    assert_eq!(fill(stage, &backend, &key, &grant, &frame(b"late")).await, Fill::Refused);
    assert_eq!(bytes(&backend, &key).await, None);
}

/// A grant does not come back with its token.
pub async fn a_grant_does_not_come_back_with_its_token<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let flight = request(stage, &key);
    let first = granted(&here, flight).await;
    there.invalidate(&key).await.expect("an invalidation is answered");

    // The same request, sent before, lost, and run now; and then the fill.
    let late = granted(&here, flight).await;

    assert_ne!(late, first);
    assert_eq!(fill(stage, &here, &key, &first, &frame(b"old")).await, Fill::Refused);
    assert_eq!(bytes(&there, &key).await, None);
}

async fn refill(
    stage: &impl Stage,
    backend: &impl Backend,
    key: &EntryKey,
    grant: &Grant,
    seen: &FrameBytes,
) -> Refill {
    let life = stage.tick() * 100;
    let request = RefillRequest { key, grant, seen, head: b"new:", size: 5, life, tags: Tags::NONE };
    backend.refill(request).await.expect("a refill is answered")
}

/// A refill keeps the value under a new head.
pub async fn a_refill_keeps_the_value_under_a_new_head<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let first = granted(&here, request(stage, &key)).await;
    let seen = frame(b"old head:value");
    let life = stage.tick() * 5;
    let short = FillRequest { key: &key, grant: &first, frame: &seen, life, tags: Tags::NONE };
    assert_eq!(here.fill(short).await.expect("a fill is answered"), Fill::Stored);
    there.expire(&key, stage.tick() * 5).await.expect("an expiry is answered");
    let grant = granted(&here, LeaseRequest { claim: Claim::Replace(&seen), ..request(stage, &key) }).await;

    assert_eq!(refill(stage, &here, &key, &grant, &seen).await, Refill::Stored);

    let renewed = frame(b"new:value");
    assert_eq!(found(&there, &key).await, Some(Found { frame: renewed.clone(), is_expired: false }));
    granted(&there, LeaseRequest { claim: Claim::Replace(&renewed), ..request(stage, &key) }).await;
    stage.advance(stage.tick() * 50).await;
    assert_eq!(bytes(&there, &key).await, Some(renewed.to_vec()), "the life is new");
}

/// A refill of another frame changes nothing.
pub async fn a_refill_of_another_frame_changes_nothing<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    put(stage, &here, &key, b"head:value").await;
    let seen = frame(b"head:value");
    let grant = granted(&here, LeaseRequest { claim: Claim::Replace(&seen), ..request(stage, &key) }).await;

    for other in [frame(b"HEAD:value"), frame(b"head:value and more"), frame(b"value")] {
        assert_eq!(refill(stage, &here, &key, &grant, &other).await, Refill::Other);
    }

    assert_eq!(bytes(&there, &key).await, Some(seen.to_vec()));
    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"v")).await, Fill::Stored, "the lease lives");
    let alone = granted(&here, LeaseRequest { claim: Claim::Take, ..request(stage, &key) }).await;
    let none = here.invalidate(&key).await;
    none.expect("an invalidation is answered");
    assert_eq!(refill(stage, &here, &key, &alone, &frame(b"v")).await, Refill::Refused);
}

/// A refill after an invalidation is refused.
pub async fn a_refill_after_an_invalidation_is_refused<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    put(stage, &here, &key, b"head:value").await;
    let seen = frame(b"head:value");
    let grant = granted(&here, LeaseRequest { claim: Claim::Replace(&seen), ..request(stage, &key) }).await;

    there.invalidate(&key).await.expect("an invalidation is answered");
    put(stage, &there, &key, b"head:value").await;

    assert_eq!(refill(stage, &here, &key, &grant, &seen).await, Refill::Refused);
    assert_eq!(bytes(&there, &key).await, Some(seen.to_vec()));
}
