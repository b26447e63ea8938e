//! What holds for every call.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::backend::Renewal;

/// Polls a call `times` times at most and drops it, wherever it is then.
async fn drop_after<T>(times: usize, call: impl Future<Output = T>) {
    let mut call = pin!(call);
    for _ in 0..times {
        let is_done = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        if is_done {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A call dropped half way leaves the store in order.
pub async fn a_call_dropped_half_way_leaves_the_store_in_order<S: Stage>(stage: &S) {
    let (backend, other) = (stage.process().await, stage.process().await);
    let keys = [tag("t")];
    let tags = Tags { keys: &keys, life: stage.tick() * 100 };
    for times in 0..6 {
        let key = key(&format!("k{times}"));
        let flight = LeaseRequest { tags, ..request(stage, &key) };
        let (value, life) = (frame(b"v"), stage.tick() * 100);

        // Each of them, dropped, and then repeated by the same flight.
        drop_after(times, backend.read(&key, &keys)).await;
        drop_after(times, backend.lease(flight)).await;
        let grant = granted(&backend, flight).await;
        drop_after(times, backend.renew(&key, &grant, flight.life)).await;
        let renewal = backend.renew(&key, &grant, flight.life).await.expect("a renewal is answered");
        assert_eq!(renewal, Renewal::Renewed);
        let request = FillRequest { key: &key, grant: &grant, frame: &value, life, tags };
        drop_after(times, backend.fill(request)).await;
        // If the dropped one has run, this one is refused.
        backend.fill(request).await.expect("a fill is answered");
        assert_eq!(bytes(&other, &key).await, Some(b"v".to_vec()));
        drop_after(times, backend.expire(&key, life)).await;
        drop_after(times, backend.invalidate(&key)).await;
        drop_after(times, backend.epochs(tags)).await;
        drop_after(times, backend.invalidate_tags(tags)).await;
        drop_after(times, backend.release(&key, grant.token)).await;
        drop_after(times, backend.heartbeat(1)).await;
        drop_after(times, backend.subscribe()).await;
        drop_after(times, backend.health()).await;

        // Others go on.
        other.invalidate(&key).await.expect("an invalidation is answered");
        let grant = granted(&other, LeaseRequest { token: LeaseToken::random(), ..flight }).await;
        assert_eq!(fill(stage, &other, &key, &grant, &frame(b"w")).await, Fill::Stored);
        assert_eq!(bytes(&backend, &key).await, Some(b"w".to_vec()));
        let epochs = other.epochs(tags).await.expect("epochs are answered");
        let read = backend.read(&key, &keys).await.expect("a read is answered");
        assert_eq!(read.epochs, epochs.into_iter().map(Some).collect::<Vec<_>>());
    }
}

/// Every call may be repeated.
pub async fn every_call_may_be_repeated<S: Stage>(stage: &S) {
    let (backend, other, key) = (stage.process().await, stage.process().await, key("k"));
    let keys = [tag("t")];
    let tags = Tags { keys: &keys, life: stage.tick() * 100 };
    let (value, life) = (frame(b"old"), stage.tick() * 100);
    let old = LeaseRequest { tags, ..request(stage, &key) };
    let old_take = LeaseRequest { claim: Claim::Take, ..request(stage, &key) };

    // A whole flight, a put, and an invalidation of what they stored.
    let grant = granted(&backend, old).await;
    let fill_old = FillRequest { key: &key, grant: &grant, frame: &value, life, tags };
    assert_eq!(backend.fill(fill_old).await.expect("a fill is answered"), Fill::Stored);
    let taken = granted(&backend, old_take).await;
    let fill_taken = FillRequest { grant: &taken, ..fill_old };
    assert_eq!(backend.fill(fill_taken).await.expect("a fill is answered"), Fill::Stored);
    other.invalidate(&key).await.expect("an invalidation is answered");

    // Each of its calls runs once more, in the worst order: the lease, and then the fill.
    for (again, fill_again) in [(old, fill_old), (old_take, fill_taken)] {
        granted(&backend, again).await;
        backend.renew(&key, fill_again.grant, life).await.expect("a renewal is answered");
        backend.fill(fill_again).await.expect("a fill is answered");
        assert_eq!(bytes(&other, &key).await, None, "the repetition stored an invalidated value");
        backend.release(&key, again.token).await.expect("a release is answered");
        backend.release(&key, again.token).await.expect("a release is answered");
    }

    // And those that remove: a miss more, and all is well.
    let before = backend.invalidate_tags(tags).await.expect("an invalidation is answered");
    let after = backend.invalidate_tags(tags).await.expect("an invalidation is answered");
    assert!(after[0] > before[0]);
    for _ in 0..2 {
        backend.expire(&key, life).await.expect("an expiry is answered");
        backend.invalidate(&key).await.expect("an invalidation is answered");
    }
    put(stage, &other, &key, b"new").await;
    assert_eq!(bytes(&backend, &key).await, Some(b"new".to_vec()));
}

/// Health tells the time of the store.
pub async fn health_tells_the_time_of_the_store<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));

    let before = there.health().await.expect("health is answered");
    stage.advance(stage.tick()).await;
    let grant = granted(&here, request(stage, &key)).await;
    stage.advance(stage.tick()).await;
    let after = there.health().await.expect("health is answered");

    let to_grant = grant.granted_at.since(before);
    assert!(to_grant >= stage.tick() / 2, "{to_grant:?} from {before:?} to {grant:?}");
    let from_grant = after.since(grant.granted_at);
    assert!(from_grant >= stage.tick() / 2, "{from_grant:?} from {grant:?} to {after:?}");
}
