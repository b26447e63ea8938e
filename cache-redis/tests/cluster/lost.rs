//! A shard that is lost: for a while, or for good.

use std::sync::Arc;

use cache_core::ErrorKind;

use super::*;

/// Half a second for a machine that does other things too.
const SLACK: Duration = Duration::from_millis(500);

/// Calls both shards in turn until the lost one answers again, or so many times. Tells how long the slowest call for
/// the other took, and how long the slowest for the lost one.
async fn call_both(
    redis: &Redis,
    lost: &EntryKey,
    other: &EntryKey,
    times: Option<u32>,
) -> (Duration, Duration) {
    let (mut slowest, began) = ((Duration::ZERO, Duration::ZERO), now());
    for count in 0.. {
        let calling = now();
        redis.read(other, &[]).await.expect("the other shard answers");
        slowest.0 = slowest.0.max(calling.elapsed());
        let calling = now();
        let answer = redis.read(lost, &[]).await;
        slowest.1 = slowest.1.max(calling.elapsed());
        match answer {
            Ok(_) if times.is_none() && count > 0 => break,
            Ok(_) => {}
            // Not unreachable: the breaker of the cache is for the cluster as a whole.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}"),
        }
        if times.is_some_and(|times| count >= times) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(40), "the replica takes over");
        tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
    }
    slowest
}

/// When a replica is promoted.
fn promoted(cluster: &Cluster, replica: usize) -> Instant {
    loop {
        if cluster.nodes()[replica].command(&["INFO", "replication"]).text().contains("role:master") {
            return now();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_delays_nobody_else_and_its_replica_is_found() {
    let _alone = alone().await;
    let mut cluster = Cluster::start();
    let redis = join(&cluster).await;
    let (lost, other) = (key_at(&cluster, 1), key_at(&cluster, 2));
    put(&redis, &lost, b"v").await;
    put(&redis, &other, b"w").await;
    let replica = cluster.replica_of(1);

    cluster.node(1).kill();
    let cluster = Arc::new(cluster);
    let promotion = tokio::task::spawn_blocking({
        let cluster = Arc::clone(&cluster);
        move || promoted(&cluster, replica)
    });
    assert!(redis.read(&lost, &[]).await.is_err(), "it is dead");
    let (of_other, of_lost) = call_both(&redis, &lost, &other, None).await;
    let found = now();

    assert!(of_other < LIMIT + SLACK, "{of_other:?}");
    assert!(of_lost < LIMIT + SLACK, "{of_lost:?}");
    let late = found.saturating_duration_since(promotion.await.expect("it is promoted"));
    assert!(late < Duration::from_secs(1), "{late:?} after the promotion");
    until_ok(|| redis.invalidate(&lost)).await;
    put(&redis, &lost, b"x").await;
    assert_eq!(get(&redis, &lost).await, Some(b"x".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_master_delays_nobody_else_and_its_replica_is_found() {
    let _alone = alone().await;
    let cluster = Cluster::start();
    let redis = join(&cluster).await;
    let (lost, other) = (key_at(&cluster, 0), key_at(&cluster, 2));
    put(&redis, &lost, b"v").await;
    put(&redis, &other, b"w").await;

    cluster.nodes()[0].pause();
    for _ in 0..3 {
        assert!(redis.read(&lost, &[]).await.is_err(), "it hangs");
    }
    // From then on nobody waits for it.
    let calling = now();
    for _ in 0..50 {
        let _of_any_kind = redis.read(&lost, &[]).await;
    }
    assert!(calling.elapsed() < LIMIT * 2, "{:?}", calling.elapsed());
    let (of_other, of_lost) = call_both(&redis, &lost, &other, None).await;

    assert!(of_other < LIMIT + SLACK, "{of_other:?}");
    assert!(of_lost < LIMIT + SLACK, "{of_lost:?}");
    // The old one comes back as a replica, and is not asked for what it does not have.
    cluster.nodes()[0].resume();
    until_ok(|| redis.invalidate(&lost)).await;
    put(&redis, &lost, b"x").await;
    assert_eq!(get(&redis, &lost).await, Some(b"x".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_gone_for_good_leaves_the_others() {
    let _alone = alone().await;
    let mut cluster = Cluster::start();
    let redis = join(&cluster).await;
    let (lost, other) = (key_at(&cluster, 1), key_at(&cluster, 2));
    let (lost_tag, other_tag) = (tag_at(&cluster, 1), tag_at(&cluster, 2));
    put(&redis, &other, b"w").await;
    let replica = cluster.replica_of(1);

    cluster.node(replica).kill();
    cluster.node(1).kill();
    let (of_other, of_lost) = call_both(&redis, &lost, &other, Some(200)).await;
    assert!(of_other < LIMIT + SLACK, "{of_other:?}");
    assert!(of_lost < LIMIT + SLACK, "{of_lost:?}");

    // An invalidation there is kept, and is no reason to leave the others alone.
    assert_eq!(redis.invalidate(&lost).await.unwrap_err().kind(), ErrorKind::Postponed);
    let both = [lost_tag, other_tag];
    let moved = redis.invalidate_tags(Tags { keys: &both, life: MINUTE }).await;
    assert_eq!(moved.unwrap_err().kind(), ErrorKind::Postponed);
    assert_eq!(get(&redis, &other).await, Some(b"w".to_vec()));
    redis.invalidate(&other).await.expect("the other shard answers");
    redis.heartbeat(1).await.expect("the others carry it");
    redis.health().await.expect("the others tell the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_postponed_is_made_before_anything_is_read() {
    let _alone = alone().await;
    let cluster = Cluster::of(3, 0, &["--cluster-node-timeout", "60000"]);
    let redis = join(&cluster).await;
    let (key, tag) = (key_at(&cluster, 1), tag_at(&cluster, 1));
    let tags = [tag];
    put(&redis, &key, b"old").await;
    let before = redis.epochs(Tags { keys: &tags, life: MINUTE }).await.unwrap();

    cluster.nodes()[1].pause();
    assert_eq!(redis.invalidate(&key).await.unwrap_err().kind(), ErrorKind::Postponed);
    let moved = redis.invalidate_tags(Tags { keys: &tags, life: MINUTE }).await;
    assert_eq!(moved.unwrap_err().kind(), ErrorKind::Postponed);
    cluster.nodes()[1].resume();

    let (read, _) = until_ok(|| redis.read(&key, &tags)).await;
    assert_eq!(read.found, None);
    assert!(read.epochs[0].expect("it is there") > before[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_gone_as_a_whole_is_unreachable() {
    let _alone = alone().await;
    let mut cluster = Cluster::of(3, 0, &[]);
    let redis = join(&cluster).await;

    for at in 0..3 {
        cluster.node(at).kill();
    }
    let unreachable = async {
        while redis.health().await.expect_err("it is dead").kind() != ErrorKind::Unreachable {}
        assert_unreachable(redis.read(&"k".into(), &[]).await);
        assert_unreachable(redis.invalidate(&"k".into()).await);
    };
    tokio::time::timeout(Duration::from_secs(20), unreachable).await.expect("it is found out");
    for at in 0..3 {
        cluster.node(at).restart();
    }

    until_ok(|| redis.health()).await;
}
