//! What removes and what makes stale.

use std::sync::Arc;

use super::source::{Source, join};
use super::*;

/// An invalidation removes the entry.
pub async fn an_invalidation_removes_the_entry<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    put(stage, &here, &key, b"v").await;

    there.invalidate(&key).await.expect("an invalidation is answered");

    assert_eq!(bytes(&here, &key).await, None);
    assert_eq!(bytes(&there, &key).await, None);
}

/// An invalidation voids the lease.
pub async fn an_invalidation_voids_the_lease<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    granted(&here, request(stage, &key)).await;
    assert_held(&there, request(stage, &key)).await;

    there.invalidate(&key).await.expect("an invalidation is answered");

    granted(&there, request(stage, &key)).await;
}

/// Invalidating what is absent succeeds.
pub async fn invalidating_what_is_absent_succeeds<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let none = Tags::NONE;

    for _ in 0..2 {
        backend.invalidate(&key).await.expect("an invalidation is answered");
        let epochs = backend.invalidate_tags(none).await.expect("an invalidation is answered");
        assert_eq!(epochs, []);
    }

    assert_eq!(bytes(&backend, &key).await, None);
    granted(&backend, request(stage, &key)).await;
}

/// No entry is older than the invalidation of its key.
pub async fn no_entry_is_older_than_the_invalidation_of_its_key<S: Stage>(stage: &S) {
    let processes = [Arc::new(stage.process().await), Arc::new(stage.process().await)];
    let source = Arc::new(Source::new());
    let life = stage.tick() * 100;

    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for n in 0..16 {
        let (backend, source) = (Arc::clone(&processes[n % 2]), Arc::clone(&source));
        if n < 2 {
            writers.push(tokio::spawn(async move {
                for _ in 0..200 {
                    let version = source.change();
                    backend.invalidate(&key("k")).await.expect("an invalidation is answered");
                    source.has_invalidated(version);
                    source.pause().await;
                }
            }));
        } else {
            readers.push(tokio::spawn(async move {
                while source.is_changing() {
                    read_or_fill(&*backend, &source, life).await;
                    tokio::task::yield_now().await;
                }
            }));
        }
    }
    join(writers, "writer").await;
    source.end();
    join(readers, "reader").await;

    // What was filled last stays, so it is the newest.
    if let Some(last) = bytes(&*processes[0], &key("k")).await {
        assert_eq!(last, source.version().to_be_bytes());
    }
}

async fn read_or_fill(backend: &impl Backend, source: &Source, life: Duration) {
    let (key, floor) = (key("k"), source.floor());
    if let Some(found) = bytes(backend, &key).await {
        let seen = u64::from_be_bytes(found.try_into().expect("eight bytes"));
        assert!(seen >= floor, "read {seen} after the invalidation of {floor}");
        return;
    }
    let (token, tags, claim) = (LeaseToken::random(), Tags::NONE, Claim::Absent);
    if let Lease::Granted { grant, .. } =
        lease(backend, LeaseRequest { key: &key, token, life, tags, claim }).await
    {
        let value = FrameBytes::from(source.compute().await.to_be_bytes().to_vec());
        let fill = FillRequest { key: &key, grant: &grant, frame: &value, life, tags };
        backend.fill(fill).await.expect("a fill is answered");
    }
}

/// An expired entry stays readable and is marked.
pub async fn an_expired_entry_stays_readable_and_is_marked<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    put(stage, &here, &key, b"v").await;

    there.expire(&key, stage.tick() * 3).await.expect("an expiry is answered");

    assert_eq!(found(&here, &key).await, Some(Found { frame: frame(b"v"), is_expired: true }));
    stage.advance(stage.tick()).await;
    assert_eq!(found(&here, &key).await, Some(Found { frame: frame(b"v"), is_expired: true }));
    stage.advance(stage.tick() * 2).await;
    assert_eq!(found(&here, &key).await, None);
}

/// Expiring never lengthens a life.
pub async fn expiring_never_lengthens_a_life<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    put(stage, &backend, &key, b"v").await;

    backend.expire(&key, stage.tick() * 3).await.expect("an expiry is answered");
    backend.expire(&key, stage.tick() * 1000).await.expect("an expiry is answered");
    stage.advance(stage.tick() * 3).await;

    assert_eq!(found(&backend, &key).await, None);
}

/// Expiring voids the lease.
pub async fn expiring_voids_the_lease<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    put(stage, &here, &key, b"old").await;
    let seen = frame(b"old");
    let replace = LeaseRequest { claim: Claim::Replace(&seen), ..request(stage, &key) };
    let grant = granted(&here, replace).await;

    there.expire(&key, stage.tick() * 50).await.expect("an expiry is answered");

    assert_eq!(fill(stage, &here, &key, &grant, &frame(b"late")).await, Fill::Refused);
    assert_eq!(found(&there, &key).await, Some(Found { frame: frame(b"old"), is_expired: true }));
}

/// Expiring an absent key creates nothing.
pub async fn expiring_an_absent_key_creates_nothing<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let computing = granted(&backend, request(stage, &key)).await;

    backend.expire(&key, stage.tick() * 50).await.expect("an expiry is answered");

    assert_eq!(found(&backend, &key).await, None);
    assert_eq!(fill(stage, &backend, &key, &computing, &frame(b"late")).await, Fill::Refused);
    granted(&backend, request(stage, &key)).await;
}

/// An expired entry does not answer a lease.
pub async fn an_expired_entry_does_not_answer_a_lease<S: Stage>(stage: &S) {
    let backend = stage.process().await;
    let [absent, replace] = ["absent", "replace"].map(key);
    let other = frame(b"other");
    for key in [&absent, &replace] {
        put(stage, &backend, key, b"v").await;
        backend.expire(key, stage.tick() * 50).await.expect("an expiry is answered");
    }

    granted(&backend, request(stage, &absent)).await;
    granted(&backend, LeaseRequest { claim: Claim::Replace(&other), ..request(stage, &replace) }).await;
}

/// A fill takes the mark away.
pub async fn a_fill_takes_the_mark_away<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    put(stage, &backend, &key, b"old").await;
    backend.expire(&key, stage.tick() * 3).await.expect("an expiry is answered");

    let grant = granted(&backend, request(stage, &key)).await;
    assert_eq!(fill(stage, &backend, &key, &grant, &frame(b"new")).await, Fill::Stored);
    stage.advance(stage.tick() * 3).await;

    assert_eq!(found(&backend, &key).await, Some(Found { frame: frame(b"new"), is_expired: false }));
}
