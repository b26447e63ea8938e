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

/// What the documentation says a user needs.
const RULES: &str = "resetchannels ~larder:* &larder:* +get +mget +set +del +getrange +setrange +strlen +pttl +pexpire +time \
    +publish +subscribe +unsubscribe +ping +eval +evalsha +select +client|setname +info \
    +cluster|slots +asking";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_suffice() {
    let _room = with_another().await;
    let cluster = Cluster::of(3, 0, &[]);
    let words: Vec<&str> =
        ["ACL", "SETUSER", "app", "reset", "on", ">secret"].into_iter().chain(RULES.split(' ')).collect();
    for node in cluster.nodes() {
        node.command(&words);
    }

    let builder = Redis::builder().url(cluster.url()).username("app").password("secret");
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("the user is there");

    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    for master in 0..3 {
        let key = key_at(&cluster, master);
        put(&redis, &key, b"v").await;
        redis.invalidate(&key).await.expect("it is allowed");
    }
}
