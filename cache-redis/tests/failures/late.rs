//! Calls that run late, or on what has changed since.

use cache_core::backend::*;
use cache_redis::testing::Server;

use crate::support::*;

/// A flight whose lease was voided can hold another one under the same token: its request ran twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_under_an_earlier_grant_is_refused() {
    let server = Server::start();
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    let flight = request(&key, Tags::NONE);
    let (earlier, _) = granted(&redis, flight).await;
    redis.invalidate(&key).await.unwrap();
    let (later, _) = granted(&redis, flight).await;

    assert_eq!(redis.renew(&key, &earlier, MINUTE).await.unwrap(), Renewal::Refused);
    assert_eq!(redis.renew(&key, &later, MINUTE).await.unwrap(), Renewal::Renewed);
}

/// Only the beginnings of frames are compared, and their lengths.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_frame_of_the_same_beginning_is_another() {
    let server = Server::start();
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    put(&redis, &key, &[7; 100]).await;

    for (length, is_another) in [(99, true), (101, true), (64, true), (63, true), (100, false)] {
        let seen = FrameBytes::from(vec![7; length]);
        let claim = Claim::Replace(&seen);
        let answer = redis.lease(LeaseRequest { claim, ..request(&key, Tags::NONE) }).await.unwrap();
        assert_eq!(matches!(answer, Lease::Filled { .. }), is_another, "{length}: {answer:?}");
    }
}
