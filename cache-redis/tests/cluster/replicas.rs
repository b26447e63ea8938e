//! Invalidations that wait for replicas of several masters.

use cache_core::ErrorKind;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_master_must_have_its_replicas() {
    let _room = with_another().await;
    let mut cluster = Cluster::start();
    let builder = Redis::builder().url(cluster.url()).wait_replicas(1, Duration::from_millis(200));
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("the cluster is there");
    let keys = [tag_at(&cluster, 0), tag_at(&cluster, 1), tag_at(&cluster, 2)];
    let tags = Tags { keys: &keys, life: MINUTE };
    until_ok(|| redis.invalidate_tags(tags)).await;

    let replica = cluster.replica_of(1);
    cluster.node(replica).kill();

    let error = redis.invalidate_tags(tags).await.expect_err("one of them has no replica");
    assert_eq!(error.kind(), ErrorKind::NotReplicated, "{error:?}");
    redis.invalidate_tags(Tags { keys: &keys[..1], life: MINUTE }).await.expect("this one has");
    redis.invalidate(&key_at(&cluster, 2)).await.expect("and so has this one");
}
