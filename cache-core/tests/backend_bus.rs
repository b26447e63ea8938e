//! The queue between a backend and its subscriber.

use cache_core::backend::{Change, Heard, Listening, Message, Origin, subscription};

fn message(nonce: u64) -> Heard {
    Heard::Message(Message { origin: Origin::from_bits(1), change: Change::Heartbeat { nonce } })
}

#[tokio::test]
async fn messages_come_in_their_order() {
    let (feed, mut subscription) = subscription(8);

    for nonce in 0..8 {
        assert_eq!(feed.send(message(nonce)), Listening::Yes);
    }

    for nonce in 0..8 {
        assert_eq!(subscription.hear().await, Some(message(nonce)));
    }
}

#[tokio::test]
async fn a_full_queue_becomes_one_gap() {
    let (feed, mut subscription) = subscription(2);

    for nonce in 0..4 {
        feed.send(message(nonce));
    }

    // 0 and 1 filled it, 2 emptied it, 3 came after.
    assert_eq!(subscription.hear().await, Some(Heard::Gap));
    assert_eq!(subscription.hear().await, Some(message(3)));
}

#[tokio::test]
async fn a_queue_of_one_is_never_silent_about_a_loss() {
    let (feed, mut subscription) = subscription(0);

    feed.send(message(0));
    feed.send(message(1));
    feed.send(message(2));
    drop(feed);

    assert_eq!(subscription.hear().await, Some(Heard::Gap));
    assert_eq!(subscription.hear().await, None);
}

#[tokio::test]
async fn two_gaps_in_a_row_are_one() {
    let (feed, mut subscription) = subscription(8);

    feed.send(Heard::Gap);
    feed.send(Heard::Gap);
    feed.send(message(1));

    assert_eq!(subscription.hear().await, Some(Heard::Gap));
    assert_eq!(subscription.hear().await, Some(message(1)));
}

#[tokio::test]
async fn the_subscriber_hears_out_what_was_sent_before_the_feed_ended() {
    let (feed, mut subscription) = subscription(8);

    feed.send(message(1));
    drop(feed);

    assert_eq!(subscription.hear().await, Some(message(1)));
    assert_eq!(subscription.hear().await, None);
    assert_eq!(subscription.hear().await, None);
}

#[tokio::test]
async fn a_waiting_subscriber_wakes_for_a_message_and_for_the_end() {
    let (feed, mut subscription) = subscription(8);
    let ear = tokio::spawn(async move { (subscription.hear().await, subscription.hear().await) });
    tokio::task::yield_now().await;

    feed.send(message(1));
    tokio::task::yield_now().await;
    drop(feed);

    assert_eq!(ear.await.unwrap(), (Some(message(1)), None));
}

#[tokio::test]
async fn the_feed_learns_that_nobody_listens() {
    let (feed, subscription) = subscription(8);
    assert_eq!(feed.listening(), Listening::Yes);

    drop(subscription);

    assert_eq!(feed.listening(), Listening::No);
    assert_eq!(feed.send(message(1)), Listening::No);
}

#[tokio::test]
async fn filters_run_in_the_order_they_were_added() {
    let (feed, subscription) = subscription(8);
    let only_even = |heard: Heard| match &heard {
        Heard::Message(Message { change: Change::Heartbeat { nonce }, .. }) if nonce % 2 == 1 => None,
        _ => Some(heard),
    };
    let mut seen = Vec::new();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut subscription = subscription.filtered(only_even).filtered(move |heard| {
        tell.send(heard.clone()).unwrap();
        Some(heard)
    });

    for nonce in 0..4 {
        feed.send(message(nonce));
    }
    drop(feed);
    while subscription.hear().await.is_some() {}

    while let Ok(heard) = told.try_recv() {
        seen.push(heard);
    }
    assert_eq!(seen, [message(0), message(2)]);
}
