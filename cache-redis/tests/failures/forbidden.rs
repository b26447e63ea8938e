//! Users who may not do everything.

use cache_core::ErrorKind;
use cache_core::backend::*;
use cache_redis::Redis;
use cache_redis::testing::{Reply, Server};

use crate::support::*;

/// What the documentation says a user needs.
const RULES: &str = "resetchannels ~app:* &app:* +get +set +del +getrange +setrange +strlen +pttl +pexpire +time \
    +publish +subscribe +unsubscribe +ping +eval +evalsha +hello +auth +select +client|setname +info";

async fn user(server: &Server, rules: &str) -> Redis {
    let words: Vec<&str> =
        ["ACL", "SETUSER", "app", "reset", "on", ">secret"].into_iter().chain(rules.split(' ')).collect();
    assert_eq!(server.command(&words), Reply::Text(b"OK".to_vec()));
    let builder = Redis::builder().url(server.url()).username("app").password("secret");
    let redis = builder.connect().await.expect("the user is there");
    redis.view(&Prefix::new("app").unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_suffice() {
    let server = Server::start();
    let redis = user(&server, RULES).await;
    let key = EntryKey::from("k");
    let keys = [tag("t"), TagKey::Everything];
    let tags = Tags { keys: &keys, life: MINUTE };
    let mut ear = redis.subscribe().await.expect("a subscription is answered");

    let (grant, _) = granted(&redis, request(&key, tags)).await;
    assert!(matches!(redis.lease(request(&key, tags)).await.unwrap(), Lease::Held { .. }));
    redis.renew(&key, &grant, MINUTE).await.unwrap();
    assert_eq!(fill(&redis, &key, &grant, b"v").await.unwrap(), Fill::Stored);
    let replace = Claim::Replace(&FrameBytes::from(&b"other"[..]));
    assert!(matches!(
        redis.lease(LeaseRequest { claim: replace, ..request(&key, tags) }).await.unwrap(),
        Lease::Filled { .. }
    ));
    redis.expire(&key, MINUTE).await.unwrap();
    redis.invalidate_tags(tags).await.unwrap();
    redis.invalidate(&key).await.unwrap();
    let (grant, _) = granted(&redis, request(&key, tags)).await;
    redis.release(&key, grant.token).await.unwrap();
    redis.health().await.unwrap();
    until_heard(&redis, &mut ear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_command_is_told_with_the_rule() {
    let server = Server::start();
    for (forbidden, says) in [("get", "'get'"), ("evalsha", "'evalsha'"), ("set", "run"), ("time", "run")] {
        let redis = user(&server, &RULES.replace(&format!("+{forbidden} "), "")).await;

        let error = match forbidden {
            "get" => redis.read(&"k".into(), &[]).await.map(drop),
            _ => redis.lease(request(&"k".into(), Tags::NONE)).await.map(drop),
        };

        let error = error.expect_err(forbidden);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        let told = error.to_string();
        assert!(told.contains(says) && told.contains("allow it with `ACL SETUSER"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_channels_of_others_are_told() {
    let server = Server::start();
    let key = EntryKey::from("k");

    let redis = user(&server, &RULES.replace("~app:*", "~other:*")).await;
    let reading = redis.read(&key, &[]).await.map(drop);
    let leasing = redis.lease(request(&key, Tags::NONE)).await.map(drop);
    let redis = user(&server, &RULES.replace("&app:*", "&other:*")).await;
    let invalidating = redis.invalidate(&key).await;
    let subscribing = redis.subscribe().await.map(drop);

    for answer in [reading, leasing, invalidating, subscribing] {
        let error = answer.expect_err("it is not allowed");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    }
}
