//! What is refused at once, with what to write instead.

use cache_core::ErrorKind;
use cache_redis::testing::Server;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_arrangement_is_told() {
    let _room = with_another().await;
    let cluster = Cluster::of(3, 0, &[]);
    let alone = Server::start();
    let node = cluster.nodes()[0].url();
    for (url, says) in [
        (node.clone(), "write `redis+cluster://host:6379`"),
        (alone.url().replace("redis://", "redis+cluster://"), "write `redis://host:6379`"),
        (format!("{}/1", cluster.url()), "write `redis+cluster://host:6379` without a number"),
        (format!("{node},127.0.0.1:1"), "write `redis+cluster://host:6379,host:6379`"),
        (format!("{},redis://127.0.0.1:1", cluster.url()), "write `redis+cluster://host:6379,host:6379`"),
    ] {
        let error = Redis::connect(&url).await.expect_err(&url);

        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert!(error.to_string().contains(says), "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_of_many_is_enough_to_find_the_others() {
    let _room = with_another().await;
    let cluster = Cluster::of(3, 0, &["--requirepass", "hunter2"]);
    let nobody = "127.0.0.1:1".to_owned();
    let some = format!("127.0.0.1:{}", cluster.nodes()[2].port());

    let builder = Redis::builder().cluster([nobody, some]).password("hunter2");
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("one is there");

    for n in 0..12 {
        put(&redis, &EntryKey::from(n.to_string()), b"v").await;
    }
    let wrong = Redis::builder().url(cluster.url()).password("hunter3").connect().await;
    let error = wrong.expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
    assert!(!format!("{error:?} {redis:?} {cluster:?}").contains("hunter"));
}
