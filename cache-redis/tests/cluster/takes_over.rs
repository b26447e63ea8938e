//! A node that takes over, or comes back, without the last invalidations.

use cache_redis::testing::Reply;

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
        nodes[1].command(&["WAIT", "1", "100"]) == Reply::Int(1)
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

/// A restart of a master that was told to keep what it has, before any other node finds it dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_lacks_it_is_made_up_for() {
    let _room = with_another().await;
    let mut cluster = Cluster::of(3, 0, &["--cluster-node-timeout", "60000"]);
    let redis = patiently(&cluster).await;
    let (key, tags) = (key_at(&cluster, 1), [tag_at(&cluster, 1)]);
    put(&redis, &key, b"old").await;
    let before = redis.epochs(Tags { keys: &tags, life: MINUTE }).await.unwrap();
    assert_eq!(cluster.nodes()[1].command(&["SAVE"]), Reply::Text(b"OK".to_vec()));

    redis.invalidate(&key).await.expect("the master has it");
    redis.invalidate_tags(Tags { keys: &tags, life: MINUTE }).await.expect("the master has it");
    cluster.node(1).restart();

    let (read, _) = until_ok(|| redis.read(&key, &tags)).await;
    assert_eq!(read.found, None, "it came back");
    assert!(read.epochs[0].expect("it is there") > before[0], "its epoch came back");
}

/// What is on its way to another node is refused by the one that comes back, for as long as that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_on_the_move_keeps_no_node_away() {
    let _room = with_another().await;
    let mut cluster = Cluster::of(3, 0, &["--cluster-node-timeout", "60000"]);
    let redis = patiently(&cluster).await;
    let name = |key: &EntryKey| format!("larder:e:{{{key}}}");
    let keys = (0..).map(|n: u32| EntryKey::from(n.to_string()));
    let mut keys = keys.filter(|key| cluster.master_of(&name(key)) == 1);
    let (moves, stays) = (keys.next().expect("one of many"), keys.next().expect("one of many"));
    for key in [&moves, &stays] {
        put(&redis, key, b"old").await;
        redis.invalidate(key).await.expect("the master has it");
    }

    cluster.begin_migration(&name(&moves), 1, 2);
    cluster.node(1).restart();

    assert_eq!(until_ok(|| redis.read(&stays, &[])).await.0.found, None);
    assert_eq!(until_ok(|| redis.read(&moves, &[])).await.0.found, None);
}
