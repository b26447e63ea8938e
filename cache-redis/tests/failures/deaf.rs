//! A connection for messages that answers, and brings no heartbeat.

use std::time::Duration;

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::Reply;

use crate::support::*;

async fn connect_to(two: &Two) -> Redis {
    let builder = Redis::builder().url(two.name.url()).time_limit(PATIENT);
    builder.connect().await.expect("it is there")
}

/// The name leads to the new server, and the connections of one kind go there.
fn change_over(two: &Two, kind: &str) {
    two.name.lead_to(two.new.port());
    assert_eq!(two.old.command(&["CLIENT", "KILL", "TYPE", kind]), Reply::Int(1));
}

/// A view that hears its own heartbeats, by way of the old server.
async fn listening(two: &Two) -> (Redis, Subscription) {
    let redis = connect_to(two).await;
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    (redis, ear)
}

/// Subscribes again until its heartbeats are heard: as long as the last one may be on its way, that changes nothing.
async fn listening_again(redis: &Redis) -> Subscription {
    let hearing = async {
        for nonce in 1_000.. {
            let mut ear = redis.subscribe().await.expect("a subscription is answered");
            until_ok(|| redis.heartbeat(nonce)).await;
            let heard = tokio::time::timeout(Duration::from_millis(200), hear_beat(&mut ear, nonce)).await;
            if heard.is_ok() {
                return ear;
            }
        }
        unreachable!("numbers do not end")
    };
    tokio::time::timeout(MINUTE, hearing).await.expect("a heartbeat is heard")
}

/// Sends messages until one is heard.
async fn until_told(other: &Redis, ear: &mut Subscription) {
    let key = EntryKey::from("k");
    let told = async {
        loop {
            other.invalidate(&key).await.expect("an invalidation is answered");
            let hearing = tokio::time::timeout(Duration::from_millis(20), ear.hear());
            if let Ok(Some(Heard::Message(Message { change: Change::Invalidated { .. }, .. }))) =
                hearing.await
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENT, told).await.expect("it listens there");
}

/// Heartbeats are sent through the new server, and the old one answers as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_again_listens_on_another_connection() {
    let two = Two::start().await;
    let (redis, mut first) = listening(&two).await;
    change_over(&two, "normal");
    redis.heartbeat(0).await.expect("the new one answers");
    assert_eq!((clients(&two.old, "PUBSUB"), clients(&two.new, "NORMAL")), (1, 1));

    let mut again = listening_again(&redis).await;

    until_heard(&redis, &mut again).await;
    // Whoever else listens is told, and hears from there too.
    hear_gap(&mut first).await;
    until_heard(&redis, &mut first).await;
}

/// The other way round: the bus is at the new server, and all else at the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_again_sends_on_another_connection_too() {
    let two = Two::start().await;
    let (redis, mut ear) = listening(&two).await;
    change_over(&two, "pubsub");
    until("it listens at the new one", || clients(&two.new, "PUBSUB") == 1).await;
    until_told(&patient(&two.new).await, &mut ear).await;
    redis.heartbeat(0).await.expect("the old one answers");
    assert_eq!(clients(&two.old, "NORMAL"), 1);

    let mut again = listening_again(&redis).await;

    until_heard(&redis, &mut again).await;
}
