//! Values that would delay others.

use std::time::Duration;

use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Server, Traffic};
use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_have_connections_of_their_own() {
    let server = Server::start();
    let redis = patient(&server).await;
    let large = vec![7; 1 << 20];

    put(&redis, &"small".into(), b"v").await;
    assert_eq!(connections(&server), 1);
    for n in 0..4 {
        put(&redis, &EntryKey::from(n.to_string()), &large).await;
    }
    // One for small values, two for large ones, made when they were needed.
    assert_eq!(connections(&server), 3);

    assert_eq!(get(&redis, &"0".into()).await, Some(large));
    assert_eq!(get(&redis, &"small".into()).await, Some(b"v".to_vec()));
    put(&redis, &"0".into(), b"small now").await;
    assert_eq!(get(&redis, &"0".into()).await, Some(b"small now".to_vec()));
}

/// The second read knows from the first how large the value is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_known_to_be_large_is_read_beside_the_others() {
    let server = Server::start();
    let (writer, reader) = (patient(&server).await, patient(&server).await);
    let (key, large) = (EntryKey::from("k"), vec![7; 1 << 20]);
    put(&writer, &key, &large).await;
    let others = connections(&server);

    assert_eq!(get(&reader, &key).await.as_ref(), Some(&large));
    assert_eq!(connections(&server), others, "the first read cannot know");
    assert_eq!(get(&reader, &key).await.as_ref(), Some(&large));

    assert_eq!(connections(&server), others + 1);
}

/// Together they are too large for the time limit. How large they are turns out when they are late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_values_come_in_pieces_that_hold_up_nobody_else() {
    let server = Server::start();
    let writer = patient(&server).await;
    let keys: Vec<EntryKey> = (0..400).map(|n| EntryKey::from(n.to_string())).collect();
    let values: Vec<Vec<u8>> = (0..400_u64).map(|n| vec![n as u8; 60 << 10]).collect();
    for (key, value) in keys.iter().zip(&values) {
        put(&writer, key, value).await;
    }
    put(&writer, &"small".into(), b"v").await;
    // So much for 64 KiB: all of them take twice the time limit, and 16 a tenth of it.
    let limit = Duration::from_millis(800);
    let way = Proxy::start(server.port()).await;
    let redis =
        Redis::builder().url(way.url()).time_limit(limit).connect().await.expect("the server is there");
    way.set(Traffic::Delay(limit / 200));
    let all_are_there = |read: ReadMany| {
        let read = read.found.into_iter().map(|found| Some(found.ok()??.frame.to_vec()));
        read.zip(&values).all(|(found, value)| found.as_ref() == Some(value))
    };

    let mut attempts = 0;
    while !redis.read_many(&keys, &[]).await.is_ok_and(all_are_there) {
        attempts += 1;
        assert!(attempts < 10, "they never come");
    }

    let reading = redis.read_many(&keys, &[]);
    let mut reading = std::pin::pin!(reading);
    let (small_one, mut small) = (EntryKey::from("small"), 0);
    loop {
        tokio::select! {
            biased;
            read = &mut reading => break assert!(all_are_there(read.expect("they are answered"))),
            found = redis.read(&small_one, &[]) => {
                assert!(found.expect("in time").found.is_some());
                small += 1;
            }
        }
    }
    assert!(small > 10, "{small} beside them");
}

/// Together they are too large for the time limit; and so are all that are sent at once, wherever they come from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_values_are_stored_that_do_not_come_in_time_all_at_once() {
    let server = Server::start();
    let limit = Duration::from_millis(800);
    let way = Proxy::start(server.port()).await;
    let redis =
        Redis::builder().url(way.url()).time_limit(limit).connect().await.expect("the server is there");
    // So much for 64 KiB: all of them take twice the time limit, and 16 a tenth of it.
    way.set(Traffic::Delay(limit / 200));

    let all: Vec<u8> = (0..400_u32).map(|n| n as u8).collect();
    let name = |n: usize| EntryKey::from(n.to_string());
    let mut storing = JoinSet::new();
    for (n, byte) in all.iter().copied().enumerate() {
        let (redis, key) = (redis.clone(), name(n));
        storing.spawn(async move { put(&redis, &key, &vec![byte; 60 << 10]).await });
    }
    storing.join_all().await;

    let reader = patient(&server).await;
    for (n, byte) in all.into_iter().enumerate() {
        assert_eq!(get(&reader, &name(n)).await, Some(vec![byte; 60 << 10]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_to_be_stored_waits_no_longer_than_one_time_limit_while_the_server_hangs() {
    let server = Server::start();
    let redis = connect(&server).await;
    let value = vec![7; 60 << 10];
    let mut grants = Vec::new();
    for n in 0..100 {
        let key = EntryKey::from(n.to_string());
        let (grant, _) = granted(&redis, request(&key, Tags::NONE)).await;
        grants.push((key, grant));
    }
    server.pause();

    let began = tokio::time::Instant::now();
    let mut storing = JoinSet::new();
    for (key, grant) in grants {
        let (redis, value) = (redis.clone(), value.clone());
        storing.spawn(async move { fill(&redis, &key, &grant, &value).await });
    }
    for stored in storing.join_all().await {
        assert_unreachable(stored);
    }
    assert!(began.elapsed() < LIMIT * 5 / 2, "{:?}", began.elapsed());

    server.resume();
    until_ok(|| redis.health()).await;
    let mut storing = JoinSet::new();
    for n in 100..200 {
        let (redis, value) = (redis.clone(), value.clone());
        storing.spawn(async move { put(&redis, &EntryKey::from(n.to_string()), &value).await });
    }
    storing.join_all().await;
}

/// Nothing says then that anything is large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_not_waited_for_longer_than_few_while_the_server_hangs() {
    let server = Server::start();
    let redis = connect(&server).await;
    let keys: Vec<EntryKey> = (0..600).map(|n| EntryKey::from(n.to_string())).collect();
    redis.read_many(&keys, &[]).await.expect("they are absent");
    server.pause();

    for _ in 0..4 {
        let began = tokio::time::Instant::now();
        let error = redis.read_many(&keys, &[]).await.expect_err("nothing comes");
        assert_eq!(error.kind(), cache_core::ErrorKind::Unreachable);
        assert!(began.elapsed() < LIMIT * 5 / 2, "{:?}", began.elapsed());
    }

    server.resume();
    until_ok(|| redis.read_many(&keys, &[])).await;
}
