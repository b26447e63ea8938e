//! Passwords that change while the program runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::backend::*;
use cache_redis::testing::Server;
use cache_redis::{Credentials, Redis};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_asks_for_the_password_of_now() {
    let server = Server::start();
    let allow = |password: &str| {
        let rule = ["ACL", "SETUSER", "app", "on", "resetpass", password, "~*", "&*", "+@all"];
        server.command(&rule);
    };
    allow(">first");
    let password = Arc::new(Mutex::new(Some("first".to_owned())));
    let supplied = Arc::clone(&password);
    let builder = Redis::builder().url(server.url()).credentials(move || {
        let password = supplied.lock().unwrap().clone();
        async move { password.map(|password| Credentials::user("app", password)).ok_or("the vault is shut") }
    });
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("the first password");
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    let cut = || server.command(&["CLIENT", "KILL", "USER", "app"]);

    allow(">second");
    put(&redis, &"k".into(), b"v").await;
    *password.lock().unwrap() = Some("second".to_owned());
    cut();
    redis.read(&"k".into(), &[]).await.expect("the second password");
    until_heard(&redis, &mut ear).await;

    *password.lock().unwrap() = Some("old".to_owned());
    cut();
    let error = redis.read(&"k".into(), &[]).await.expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
    *password.lock().unwrap() = None;
    let error = assert_unreachable(redis.read(&"k".into(), &[]).await);
    assert!(format!("{error:?}").contains("the vault is shut"), "{error:?}");
    assert!(!format!("{redis:?} {error:?}").contains("second"));

    *password.lock().unwrap() = Some("second".to_owned());
    assert_eq!(get(&redis, &"k".into()).await, Some(b"v".to_vec()));
}

#[tokio::test]
async fn what_is_supplied_takes_the_place_of_what_the_url_says() {
    let server = Server::start();
    server.command(&["ACL", "SETUSER", "default", "on", ">new", "allcommands", "allkeys", "allchannels"]);

    for url in ["app:old@127.0.0.1", "app@127.0.0.1"] {
        let builder = Redis::builder().url(format!("redis://{url}:{}", server.port()));
        let builder = builder.credentials(|| async { Ok::<_, std::io::Error>(Credentials::password("new")) });

        let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("the user `default`");
        put(&redis, &"k".into(), b"v").await;
    }
}
