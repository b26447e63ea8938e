//! A server without memory.

use cache_core::backend::*;
use cache_redis::testing::{Reply, Server};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_invalidations_work_and_fills_do_not() {
    // given an entry with a tag, a lease, and a server that may not grow any more
    let server = Server::start();
    let redis = patient(&server).await;
    let (entry, other, expired) =
        (EntryKey::from("entry"), EntryKey::from("other"), EntryKey::from("expired"));
    let (known, absent) = ([tag("known")], [tag("absent")]);
    let before = redis.epochs(Tags { keys: &known, life: MINUTE }).await.unwrap();
    put(&redis, &entry, b"v").await;
    put(&redis, &expired, b"v").await;
    let (grant, _) = granted(&redis, request(&other, Tags::NONE)).await;
    let mut ear = redis.subscribe().await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = server.command(&["SET", "x", "y"]);
    assert!(matches!(&refused, Reply::Error(text) if text.contains("OOM")), "{refused:?}");

    // then what is there can be read, and nothing can be stored
    let read = redis.read(&entry, &known).await.unwrap();
    assert_eq!(
        (read.found.unwrap().frame, read.epochs),
        (FrameBytes::from(&b"v"[..]), vec![Some(before[0])])
    );
    let error = assert_refused(redis.lease(request(&"new".into(), Tags::NONE)).await);
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_refused(fill(&redis, &other, &grant, b"w").await);
    assert_refused(redis.epochs(Tags { keys: &absent, life: MINUTE }).await);

    // and what is invalidated is gone, and told of
    redis.invalidate(&entry).await.expect("an entry can be deleted");
    assert_eq!(get(&redis, &entry).await, None);
    redis.expire(&expired, MINUTE).await.expect("an entry can be marked or deleted");
    assert!(redis.read(&expired, &[]).await.unwrap().found.is_none_or(|found| found.is_expired));
    let tags = [known[0].clone(), absent[0].clone()];
    let after = redis.invalidate_tags(Tags { keys: &tags, life: MINUTE }).await.expect("tags can be deleted");
    assert!(after[0] > before[0]);
    let current = redis.read(&entry, &known).await.unwrap().epochs[0];
    assert!(current.is_none_or(|current| current == after[0]), "{current:?}");
    let mut missing = vec![(tags[0].clone(), after[0]), (tags[1].clone(), after[1])];
    while !missing.is_empty() {
        if let Some(Heard::Message(Message { change: Change::TagsInvalidated { epochs }, .. })) =
            ear.hear().await
        {
            missing.retain(|pair| !epochs.contains(pair));
        }
    }

    // when there is memory again
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    put(&redis, &entry, b"w").await;
    assert_eq!(get(&redis, &entry).await, Some(b"w".to_vec()));
}
