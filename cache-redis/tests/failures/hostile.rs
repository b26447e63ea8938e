//! Texts that attackers choose, and what is left in the end.

use std::time::Duration;

use cache_core::Tag;
use cache_core::backend::*;
use cache_redis::testing::{Reply, Server};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_stay_within_their_names() {
    let server = Server::start();
    let redis = patient(&server).await;
    let app = redis.view(&Prefix::new("app").unwrap());
    let near = redis.view(&Prefix::new("app:e:").unwrap());
    let texts = [
        "\r\nFLUSHALL\r\n".to_owned(),
        "*1\r\n$8\r\nFLUSHALL\r\n".to_owned(),
        "} {".to_owned(),
        "}".to_owned(),
        "{".to_owned(),
        "\0".to_owned(),
        "'; return redis.call('FLUSHALL') --".to_owned(),
        "x".repeat(1 << 20),
        String::new(),
    ];
    put(&near, &"kept".into(), b"kept").await;

    for text in &texts {
        let key = EntryKey::from(&**text);
        let keys = [Tag::from(&**text).into(), TagKey::Function(text.as_str().into())];
        put(&app, &key, text.as_bytes()).await;
        let epochs = app.epochs(Tags { keys: &keys, life: MINUTE }).await.expect("epochs are answered");

        assert!(get(&app, &key).await.as_deref() == Some(text.as_bytes()));
        assert_eq!(get(&near, &key).await, None);
        assert_ne!(epochs[0], epochs[1]);
        let Reply::List(names) = server.command(&["KEYS", "*"]) else { panic!("a list") };
        assert!(names.into_iter().all(|name| name.text().starts_with("app:")));
        app.invalidate(&key).await.expect("an invalidation is answered");
        assert_eq!(get(&app, &key).await, None);
    }

    assert_eq!(get(&near, &"kept".into()).await, Some(b"kept".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends_by_itself() {
    let server = Server::start();
    let redis = patient(&server).await;
    let life = Duration::from_millis(300);
    let keys = [tag("a"), TagKey::Function("f".into()), TagKey::Everything];
    let tags = Tags { keys: &keys, life };

    // Each kind of call leaves something, with a life of its own.
    for name in ["leased", "filled", "renewed", "expired", "taken"] {
        let key = EntryKey::from(name);
        let (grant, _) = granted(&redis, LeaseRequest { life, ..request(&key, tags) }).await;
        let frame = FrameBytes::from(&b"v"[..]);
        match name {
            "leased" => {}
            "renewed" => drop(redis.renew(&key, &grant, life).await.unwrap()),
            _ => drop(
                redis
                    .fill(FillRequest { key: &key, grant: &grant, frame: &frame, life, tags })
                    .await
                    .unwrap(),
            ),
        }
        if name == "expired" {
            redis.expire(&key, life).await.unwrap();
        }
        if name == "taken" {
            granted(&redis, LeaseRequest { life, claim: Claim::Take, ..request(&key, tags) }).await;
        }
    }
    redis.invalidate_tags(tags).await.unwrap();
    redis.epochs(tags).await.unwrap();
    redis.invalidate(&"absent".into()).await.unwrap();
    redis.expire(&"absent".into(), life).await.unwrap();
    assert_ne!(dbsize(&server), Reply::Int(0));

    until("nothing is left", || dbsize(&server) == Reply::Int(0)).await;
}
