//! Users who may not do everything.

use std::time::Duration;

use cache_core::backend::*;
use cache_core::{Error, ErrorKind};
use cache_redis::testing::{Reply, Server};
use cache_redis::{Redis, RedisBuilder};

use crate::support::*;

/// What the documentation says a user needs.
const RULES: &str = "resetchannels ~app:* &app:* +get +mget +set +del +getrange +setrange +strlen +pttl +pexpire +time \
    +publish +subscribe +unsubscribe +ping +eval +evalsha +select +client|setname +info";

/// What it needs besides with `wait_replicas`.
const WAIT: &str = "+wait";

/// Lets a user do what the rules say, and nothing else.
fn allow(server: &Server, rules: &str) {
    let words: Vec<&str> =
        ["ACL", "SETUSER", "app", "reset", "on", ">secret"].into_iter().chain(rules.split(' ')).collect();
    assert_eq!(server.command(&words), Reply::Text(b"OK".to_vec()));
}

fn login(server: &Server) -> RedisBuilder {
    Redis::builder().url(server.url()).username("app").password("secret").time_limit(PATIENT)
}

async fn user(server: &Server, rules: &str) -> Redis {
    allow(server, rules);
    let redis = login(server).connect().await.expect("the user is there");
    redis.view(&Prefix::new("app").unwrap())
}

/// Each kind of call, on a server that has forgotten its scripts.
async fn every_call(server: &Server, redis: &Redis) -> Result<(), Error> {
    server.command(&["SCRIPT", "FLUSH"]);
    let key = EntryKey::from("k");
    let keys = [tag("t"), TagKey::Everything];
    let tags = Tags { keys: &keys, life: MINUTE };
    let mut ear = redis.subscribe().await?;
    let other = redis.view(&Prefix::new("app:too").unwrap()).subscribe().await?;

    let (grant, _) = lease_of(redis.lease(request(&key, tags)).await?);
    assert!(matches!(redis.lease(request(&key, tags)).await?, Lease::Held { .. }));
    redis.renew(&key, &grant, MINUTE).await?;
    assert_eq!(fill(redis, &key, &grant, b"v").await?, Fill::Stored);
    let replace = Claim::Replace(&FrameBytes::from(&b"other"[..]));
    let filled = redis.lease(LeaseRequest { claim: replace, ..request(&key, tags) }).await?;
    assert!(matches!(filled, Lease::Filled { .. }));
    redis.read(&key, &keys).await?;
    redis.read_many(std::slice::from_ref(&key), &keys).await?.found.remove(0)?;
    redis.expire(&key, MINUTE).await?;
    redis.invalidate_tags(tags).await?;
    redis.invalidate(&key).await?;
    let (grant, _) = lease_of(redis.lease(request(&key, tags)).await?);
    redis.release(&key, grant.token).await?;
    redis.health().await?;
    until_heard(redis, &mut ear).await;
    // Its channel is left, and the others are not.
    drop(other);
    until("a channel is left", || channels(server).iter().all(|name| !name.starts_with("app:too"))).await;
    until_heard(redis, &mut ear).await;
    Ok(())
}

fn lease_of(lease: Lease) -> (Grant, Vec<Epoch>) {
    match lease {
        Lease::Granted { grant, epochs } => (grant, epochs),
        other => panic!("granted, not {other:?}"),
    }
}

/// The channels that somebody listens to.
fn channels(server: &Server) -> Vec<String> {
    match server.command(&["PUBSUB", "CHANNELS"]) {
        Reply::List(names) => names.into_iter().map(Reply::text).collect(),
        other => panic!("a list, not {other:?}"),
    }
}

/// What a user was refused.
fn refusals(server: &Server) -> usize {
    match server.command(&["ACL", "LOG"]) {
        Reply::List(entries) => entries.len(),
        other => panic!("a list, not {other:?}"),
    }
}

fn has_refused_an_mget(server: &Server) -> bool {
    let report = server.command(&["INFO", "commandstats"]).text();
    let line = report.lines().find(|line| line.starts_with("cmdstat_mget:"));
    line.is_some_and(|line| !line.contains("rejected_calls=0"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_suffice() {
    let server = Server::start();
    let redis = user(&server, RULES).await;
    every_call(&server, &redis).await.expect("all of it is allowed");

    // In a database that has to be chosen, and with a replica to wait for.
    let replica = Server::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    allow(&server, &format!("{RULES} {WAIT}"));
    let waiting = login(&server).database(1).wait_replicas(1, Duration::from_secs(10));
    let waiting = waiting.time_limit(MINUTE).connect().await.expect("the user is there");
    let waiting = waiting.view(&Prefix::new("app").unwrap());
    let key = "k".into();
    until_ok(|| waiting.invalidate(&key)).await;
    every_call(&server, &waiting).await.expect("all of it is allowed");

    assert_eq!(refusals(&server), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_the_documented_rules_could_be_left_out() {
    let server = Server::start();
    for rule in RULES.split(' ').filter(|rule| rule.starts_with('+')) {
        let others: Vec<&str> = RULES.split(' ').filter(|other| *other != rule).collect();
        allow(&server, &others.join(" "));
        let redis = login(&server).database(1).lazy().expect("no I/O yet").view(&Prefix::new("app").unwrap());

        // Most calls fail for want of the rule; the bus and the name go on without some of them.
        let _ = every_call(&server, &redis).await;

        until(&format!("{rule} is asked for"), || refusals(&server) > 0).await;
        drop(redis);
        until("its connections are closed", || connections(&server) == 0).await;
        server.command(&["ACL", "LOG", "RESET"]);
        server.command(&["FLUSHALL"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_replicas_needs_a_rule_of_its_own() {
    let server = Server::start();
    allow(&server, RULES);
    let redis = login(&server).wait_replicas(1, MINUTE).connect().await.expect("the user is there");

    let error =
        redis.view(&Prefix::new("app").unwrap()).invalidate(&"k".into()).await.expect_err("no `wait`");

    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains(&format!("{WAIT} ")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_command_is_told_with_the_rule() {
    let server = Server::start();
    for (forbidden, says) in
        [("get", "'get'"), ("mget", "'mget'"), ("evalsha", "'evalsha'"), ("set", "run"), ("time", "run")]
    {
        let redis = user(&server, &RULES.replace(&format!("+{forbidden} "), "")).await;

        let error = match forbidden {
            "get" => redis.read(&"k".into(), &[]).await.map(drop),
            "mget" => redis.read(&"k".into(), &[TagKey::Everything]).await.map(drop),
            _ => redis.lease(request(&"k".into(), Tags::NONE)).await.map(drop),
        };

        let error = error.expect_err(forbidden);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        let told = error.to_string();
        assert!(told.contains(says) && told.contains("allow it with `ACL SETUSER"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_forbidden_fails_nobody_who_reads_at_the_same_time() {
    let server = Server::start();
    let allowed = user(&server, RULES).await;
    // The same connections, under a prefix that the user may not read.
    let forbidden = allowed.view(&Prefix::new("other").unwrap());
    let (grant, _) = granted(&allowed, request(&"k".into(), Tags::NONE)).await;
    assert_eq!(fill(&allowed, &"k".into(), &grant, b"v").await.unwrap(), Fill::Stored);

    // Until they were really asked for in one.
    while !has_refused_an_mget(&server) {
        let reading: Vec<_> = (0..64)
            .map(|at| {
                let redis = if at % 2 == 0 { allowed.clone() } else { forbidden.clone() };
                tokio::spawn(async move { redis.read(&"k".into(), &[]).await })
            })
            .collect();
        for (at, read) in reading.into_iter().enumerate() {
            let read = read.await.expect("no panic");
            match at % 2 {
                0 => assert_eq!(read.expect("it may").found.expect("it is there").frame[..], b"v"[..]),
                _ => assert_eq!(read.expect_err("it may not").kind(), ErrorKind::Unsupported),
            }
        }
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
