//! A backend that fails on demand: without a plan it is the backend it wraps, with one it fails as planned.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::sync::Arc;
use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::backend::{
    Backend, Change, Claim, EntryKey, Fill, FillRequest, FrameBytes, Grant, Heard, Lease, LeaseRequest,
    LeaseToken, Memory, Prefix, TagKey, Tags,
};
use cache_core::testing::conformance::Stage;
use cache_core::testing::{Faults, Faulty, MemoryStage, Operation};

struct FaultyStage(MemoryStage);

impl Stage for FaultyStage {
    type Backend = Faulty<Memory>;

    async fn process(&self) -> Faulty<Memory> {
        Faulty::new(self.0.process().await).0
    }

    fn prefix(&self) -> Prefix {
        self.0.prefix()
    }

    fn tick(&self) -> Duration {
        self.0.tick()
    }

    async fn advance(&self, time: Duration) {
        self.0.advance(time).await;
    }

    async fn lose_tags(&self, tags: &[TagKey]) {
        self.0.lose_tags(tags).await;
    }

    async fn cut_bus(&self) {
        self.0.cut_bus().await;
    }
}

mod without_a_plan {
    cache_core::conformance_suite!(async { super::FaultyStage(super::MemoryStage::new()) });
}

const LIFE: Duration = Duration::from_secs(10);

fn faulty() -> (Arc<Faulty<Memory>>, Faults) {
    let (backend, faults) = Faulty::new(MemoryStage::new().memory().clone());
    (Arc::new(backend), faults)
}

fn request(key: &EntryKey) -> LeaseRequest<'_> {
    LeaseRequest { key, token: LeaseToken::random(), life: LIFE, tags: Tags::NONE, claim: Claim::Absent }
}

async fn granted(backend: &impl Backend, request: LeaseRequest<'_>) -> Grant {
    match backend.lease(request).await.unwrap() {
        Lease::Granted { grant, .. } => grant,
        other => panic!("should be granted, not {other:?}"),
    }
}

async fn fill(backend: &impl Backend, key: &EntryKey, grant: &Grant) -> Result<Fill, cache_core::Error> {
    let frame = FrameBytes::from(vec![1]);
    backend.fill(FillRequest { key, grant, frame: &frame, life: LIFE, tags: Tags::NONE }).await
}

#[tokio::test]
async fn a_failing_call_does_not_reach_the_store() {
    let (backend, faults) = faulty();
    let key = "k".into();
    let grant = granted(&*backend, request(&key)).await;

    faults.fail(Operation::Fill);
    let error = fill(&*backend, &key, &grant).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(backend.read(&key, &[]).await.unwrap().found, None);
    assert_eq!(fill(&*backend, &key, &grant).await.unwrap(), Fill::Stored);
    assert_eq!(faults.calls(Operation::Fill), 2);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_change() {
    let (backend, faults) = faulty();
    let key = "k".into();
    let flight = request(&key);

    // A flight that hears no answer asks again, and fills; the fill's answer is lost too.
    faults.lose_answer(Operation::Lease);
    backend.lease(flight).await.unwrap_err();
    let grant = granted(&*backend, flight).await;
    faults.lose_answer(Operation::Fill);
    fill(&*backend, &key, &grant).await.unwrap_err();

    assert!(backend.read(&key, &[]).await.unwrap().found.is_some());
    assert_eq!(fill(&*backend, &key, &grant).await.unwrap(), Fill::Refused);
}

#[tokio::test]
async fn a_held_call_waits_for_its_gate() {
    let (backend, faults) = faulty();
    let key: EntryKey = "k".into();
    let grant = granted(&*backend, request(&key)).await;

    // A fill stands at the gate while the key is invalidated.
    let gate = faults.hold(Operation::Fill);
    let filling = tokio::spawn({
        let (backend, key) = (Arc::clone(&backend), key.clone());
        async move { fill(&*backend, &key, &grant).await }
    });
    gate.arrived().await;
    assert!(!filling.is_finished());
    backend.invalidate(&key).await.unwrap();
    gate.open();

    assert_eq!(filling.await.unwrap().unwrap(), Fill::Refused);
}

#[tokio::test]
async fn a_held_answer_comes_after_the_change() {
    let (backend, faults) = faulty();
    let key: EntryKey = "k".into();
    let grant = granted(&*backend, request(&key)).await;

    let gate = faults.hold_answer(Operation::Fill);
    let filling = tokio::spawn({
        let (backend, key) = (Arc::clone(&backend), key.clone());
        async move { fill(&*backend, &key, &grant).await }
    });
    gate.arrived().await;

    assert!(backend.read(&key, &[]).await.unwrap().found.is_some());
    assert!(!filling.is_finished());
    gate.open();
    assert_eq!(filling.await.unwrap().unwrap(), Fill::Stored);
}

#[tokio::test]
async fn a_late_call_runs_when_the_test_says_so() {
    let (backend, faults) = faulty();
    let key = "k".into();
    let grant = granted(&*backend, request(&key)).await;

    // The fill times out; the key is invalidated; then the fill runs.
    let late = faults.run_late(Operation::Fill);
    fill(&*backend, &key, &grant).await.unwrap_err();
    assert_eq!(backend.read(&key, &[]).await.unwrap().found, None);
    backend.invalidate(&key).await.unwrap();
    late.run().await;

    assert_eq!(backend.read(&key, &[]).await.unwrap().found, None);
}

#[tokio::test]
async fn a_lease_and_its_fill_that_both_run_late_store_nothing() {
    let (backend, faults) = faulty();
    let key = "k".into();
    let flight = request(&key);

    // The first request for the lease times out, the second is granted; then the fill times out.
    let late_lease = faults.run_late(Operation::Lease);
    backend.lease(flight).await.unwrap_err();
    let grant = granted(&*backend, flight).await;
    let late_fill = faults.run_late(Operation::Fill);
    fill(&*backend, &key, &grant).await.unwrap_err();
    backend.invalidate(&key).await.unwrap();
    late_lease.run().await;
    late_fill.run().await;

    assert_eq!(backend.read(&key, &[]).await.unwrap().found, None);
}

#[tokio::test]
async fn a_store_that_is_down_comes_back() {
    let (backend, faults) = faulty();
    let there = backend.view(&Prefix::new("other").unwrap());

    faults.set_down(true);
    assert!(backend.health().await.is_err());
    assert!(there.health().await.is_err(), "a view fails with it");
    faults.set_down(false);

    assert!(backend.health().await.is_ok());
    assert_eq!(faults.calls(Operation::Health), 3);
}

#[tokio::test]
async fn a_deaf_subscription_loses_messages_silently() {
    let (backend, faults) = faulty();
    let mut subscription = backend.subscribe().await.unwrap();

    faults.set_deaf(true);
    backend.heartbeat(1).await.unwrap();
    {
        // Polled once, it takes the message out of the queue, and loses it.
        let mut hearing = std::pin::pin!(subscription.hear());
        std::future::poll_fn(|cx| {
            assert!(hearing.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    faults.set_deaf(false);
    backend.heartbeat(2).await.unwrap();

    let Some(Heard::Message(message)) = subscription.hear().await else { panic!("nothing was heard") };
    assert_eq!(message.change, Change::Heartbeat { nonce: 2 });
}
