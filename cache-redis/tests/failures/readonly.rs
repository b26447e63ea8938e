//! A server that became a replica.

use cache_core::backend::*;
use cache_redis::testing::{Reply, Server};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_unreachable_until_it_is_a_master_again() {
    let (server, master) = (Server::start(), Server::start());
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    put(&redis, &key, b"v").await;
    let id = |line: &str| line.split(' ').next().map(str::to_owned);
    let ids = || {
        let list = server.command(&["CLIENT", "LIST"]).text();
        list.lines().filter(|line| line.contains("name=larder ")).filter_map(id).collect::<Vec<_>>()
    };
    let before = ids();

    let ok = Reply::Text(b"OK".to_vec());
    assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]), ok);
    redis.read(&key, &[]).await.expect("a replica can be read");
    for _ in 0..2 {
        let error = assert_refused(redis.invalidate(&key).await);
        assert!(error.to_string().contains("READONLY"), "{error}");
        assert_refused(redis.lease(request(&"other".into(), Tags::NONE)).await);
        assert_refused(redis.invalidate_tags(Tags { keys: &[tag("t")], life: MINUTE }).await);
    }
    assert_eq!(server.command(&["REPLICAOF", "NO", "ONE"]), ok);

    redis.invalidate(&key).await.expect("an invalidation is answered");
    // The name was asked again, since it may lead to another server now.
    until("there is one connection", || ids().len() == 1).await;
    assert_ne!(ids(), before);
}
