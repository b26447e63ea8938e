//! A replica that takes over without the last invalidations.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_lacks_is_repeated_before_anything_is_read() {
    let _room = with_another().await;
    let mut cluster = Cluster::start();
    let redis = patiently(&cluster).await;
    let (key, tag) = (key_at(&cluster, 1), tag_at(&cluster, 1));
    let tags = [tag];
    put(&redis, &key, b"old").await;
    let before = redis.epochs(Tags { keys: &tags, life: MINUTE }).await.unwrap();
    let replica = cluster.replica_of(1);
    let entry = format!("larder:e:{{{key}}}");
    until("the replica has the entry", || {
        let nodes = cluster.nodes();
        nodes[1].command(&["WAIT", "1", "100"]) == cache_redis::testing::Reply::Int(1)
    })
    .await;

    // Cut off from its master it misses what comes now.
    cluster.nodes()[replica].pause();
    cluster.nodes()[1].command(&["CLIENT", "KILL", "TYPE", "replica"]);
    redis.invalidate(&key).await.expect("the master has it");
    redis.invalidate_tags(Tags { keys: &tags, life: MINUTE }).await.expect("the master has it");
    cluster.node(1).kill();
    cluster.nodes()[replica].resume();

    let (read, _) = until_ok(|| redis.read(&key, &tags)).await;

    assert_eq!(cluster.master_as_known_to(replica, &entry), replica);
    assert_eq!(read.found, None, "it came back");
    assert!(read.epochs[0].is_none_or(|epoch| epoch > before[0]), "its epoch came back");
}
