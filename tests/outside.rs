//! Programs that are not Larder invalidate: with `redis-cli`, or any client in any language, whether a process of the
//! application runs or not.

#![cfg(all(unix, feature = "redis", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use larder::testing::redis::{Reply, Server};
use larder::{Cache, Event, Events, Invalidated, Invalidator, Options, Redis};
use support::processes::{SOON, Source, hears, hour, key, until};
use tokio::sync::Notify;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cache-redis/lua/invalidate.lua");

/// The name in Redis of each of what concerns `key(1)`, and what is told of it.
fn ways() -> [(&'static str, Invalidated); 4] {
    [
        ("shop:e:{dishes:v0:1}", Invalidated::Entry("dishes:v0:1".into())),
        ("shop:t:{menu:1}", Invalidated::Tag("menu:1".into())),
        ("shop:f:{dishes}", Invalidated::Function("dishes".into())),
        ("shop:a-:{-}", Invalidated::Everything),
    ]
}

async fn process(url: &str) -> Cache {
    let redis = Redis::builder().url(url).time_limit(Duration::from_secs(10)).connect().await.unwrap();
    Cache::builder().prefix("shop").shared(redis).build().unwrap()
}

/// What `key(id)` is stored with.
fn menu(id: u64) -> Options {
    hour().tags([format!("menu:{id}")])
}

/// What a process finds that has just begun.
async fn found(url: &str, id: u64) -> Option<u64> {
    process(url).await.get::<u64>(&key(id), &menu(id)).await.unwrap()
}

/// Runs `redis-cli`, and answers what it prints.
fn cli(server: &Server, arguments: &[impl AsRef<OsStr>]) -> String {
    let port = server.port().to_string();
    let ran = Command::new("redis-cli").args(["-p", &port]).args(arguments).output();
    let ran = ran.expect("redis-cli is there: `apt-get install redis-tools`");
    String::from_utf8(ran.stdout).unwrap().trim_end().to_owned()
}

fn eval(server: &Server, name: &str) {
    assert_eq!(cli(server, &["--eval", SCRIPT, name]), "1", "{name}");
}

/// Waits until nobody but who asks is connected.
async fn nobody_is_connected(server: &Server) {
    until(|| server.command(&["CLIENT", "LIST"]).text().lines().count() == 1).await;
}

/// Waits until the invalidation of a program outside took effect.
async fn hears_of(events: &mut Events, expected: &Invalidated) {
    let hearing = async {
        while let Some(event) = events.next().await {
            if let Event::Invalidation { of, is_soft, by: Invalidator::Outside } = event {
                assert!(!is_soft);
                assert_eq!(of, *expected);
                return;
            }
        }
    };
    tokio::time::timeout(SOON, hearing).await.unwrap_or_else(|_| panic!("not told: {expected:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_no_process_runs_is_not_found_afterwards() {
    for (name, _) in ways() {
        let server = Server::start();
        let url = server.url();
        {
            let cache = process(&url).await;
            for id in [1, 2] {
                cache.get_or_compute(&key(id), &menu(id), async || id).await;
            }
        }
        assert_eq!(found(&url, 1).await, Some(1));
        nobody_is_connected(&server).await;

        eval(&server, name);

        assert_eq!(found(&url, 1).await, None, "{name}");
        let concerns_both = name.contains(":f:") || name.contains(":a-:");
        assert_eq!(found(&url, 2).await, (!concerns_both).then_some(2), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_it_is_computed_is_not_stored() {
    for (name, _) in ways() {
        let server = Server::start();
        let cache = process(&server.url()).await;
        let (began, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let late = tokio::spawn({
            let (cache, began, goes_on) = (cache.clone(), began.clone(), goes_on.clone());
            async move {
                let body = async || {
                    began.notify_one();
                    goes_on.notified().await;
                    1_u64
                };
                cache.get_or_compute(&key(1), &menu(1), body).await
            }
        });
        began.notified().await;
        let lease = ["EXISTS", "shop:l:{dishes:v0:1}"];
        assert_eq!(server.command(&lease), Reply::Int(1));

        eval(&server, name);
        let is_entry = name.contains(":e:");
        assert_eq!(server.command(&lease), Reply::Int(i64::from(!is_entry)), "{name}");
        goes_on.notify_one();

        assert_eq!(late.await.unwrap(), 1, "who asked before has it");
        assert_eq!(found(&server.url(), 1).await, None, "{name}");
        assert_eq!(cache.get_or_compute(&key(1), &menu(1), async || 2_u64).await, 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_runs_drops_what_it_has_and_tells_who_it_was() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    hears(&cache).await;
    let mut events = cache.subscribe();

    for (round, (name, what)) in ways().into_iter().enumerate() {
        let round = round as u64;
        assert_eq!(cache.get_or_compute(&key(1), &menu(1), async || round).await, round);

        eval(&server, name);
        hears_of(&mut events, &what).await;

        let next = async || round + 1;
        assert_eq!(cache.get_or_compute(&key(1), &menu(1), next).await, round + 1, "{name}");
    }
    assert_eq!(cache.stats().shared.unwrap().gaps, 1, "its messages are understood");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_tag_can_be_named() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    for tag in [
        "",
        "}",
        "}x",
        "a}b",
        "{x}",
        "{}",
        "ä ö",
        "a\nb",
        "-",
        "a:{b}:c",
        "a\\\"'",
        "߿ࠀ퟿\u{e000}\u{ffff}𐀀\u{fffff}\u{10ffff}",
    ] {
        let options = hour().tags([tag]);
        server.command(&["FLUSHALL"]);
        assert_eq!(process(&server.url()).await.get_or_compute(&key(1), &options, async || 1_u64).await, 1);
        let Reply::List(names) = server.command(&["KEYS", "shop:t*"]) else { panic!("keys") };
        let [name] = &names[..] else { panic!("one name, not {names:?}") };
        let name = name.clone().text();

        eval(&server, &name);

        assert_eq!(
            process(&server.url()).await.get::<u64>(&key(1), &options).await.unwrap(),
            None,
            "{tag:?}"
        );
    }
    drop(cache);
}

#[test]
fn what_is_no_name_is_refused_and_changes_nothing() {
    let server = Server::start();
    for name in [
        "menu",
        "shop:t:menu",
        "shop:x:{menu}",
        "shop:l:{menu}",
        "shop:t:{menu",
        "shop:t:{}",
        "shop:t:{}x}",
        "shop:t-:{menu}",
        "shop:t-:{-menu}",
        "shop:a:{menu}",
        "shop:a-:{-}x}",
        "sh{op:t:{menu}",
        ":t:{menu}",
        "shop::t:{menu}",
        "shop:x:t:{menu}",
        " shop:t:{menu}",
        "shöp:t:{menu}",
        &format!("{}:t:{{menu}}", "s".repeat(65)),
        "",
    ] {
        let refused = cli(&server, &["--eval", SCRIPT, name]);
        assert!(refused.contains("write one key, like shop:t:{menu} for a tag"), "{name:?}: {refused}");
    }
    // Bytes that are no UTF-8: cut off, overlong, half of a pair, beyond the last letter.
    for odd in
        [&b"\xFF"[..], b"a\xC3", b"\xA4", b"\xC0\xAF", b"\xE0\x80\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80"]
    {
        let name = OsString::from_vec([b"shop:t:{", odd, b"}"].concat());
        let refused = cli(&server, &[OsStr::new("--eval"), OsStr::new(SCRIPT), &name]);
        assert!(refused.contains("write one key"), "{name:?}: {refused}");
    }
    for many in [&["a", "b"][..], &[]] {
        let refused = cli(&server, &[&["--eval", SCRIPT], many].concat());
        assert!(refused.contains("write one key"), "{refused}");
    }
    assert_eq!(server.command(&["DBSIZE"]), Reply::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_are_enough() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/shared-tier.md")).unwrap();
    let server = Server::start();
    let rules = page.lines().filter(|line| {
        line.starts_with("ACL SETUSER console ") || line.starts_with("ACL SETUSER messenger ")
    });
    let rules: Vec<Vec<&str>> = rules.map(|rule| rule.split(' ').collect()).collect();
    assert_eq!(rules.len(), 2, "the page has them");
    for rule in rules {
        assert_eq!(server.command(&rule), Reply::Text(b"OK".to_vec()), "{rule:?}");
    }
    let cache = process(&server.url()).await;
    hears(&cache).await;
    let mut events = cache.subscribe();
    let user = |name| ["--no-auth-warning", "--user", name, "--pass", "password"];

    for (name, what) in ways() {
        let ran = cli(&server, &[&user("console")[..], &["--eval", SCRIPT, name]].concat());
        assert_eq!(ran, "1", "{name}");
        // Twice: what is there already is read, too.
        assert_eq!(cli(&server, &[&user("console")[..], &["--eval", SCRIPT, name]].concat()), "1");
        hears_of(&mut events, &what).await;
        hears_of(&mut events, &what).await;
    }
    let message = ["PUBLISH", "shop:invalidate", r#"{"everything":true}"#];
    assert_eq!(cli(&server, &[&user("messenger")[..], &message].concat()), "1");
    hears_of(&mut events, &Invalidated::Everything).await;
    let refused = cli(&server, &[&user("messenger")[..], &["GET", "shop:t:{menu:1}"]].concat());
    assert!(refused.contains("NOPERM"), "{refused}");
}

/// The epoch of a tag, and how long it lives, in ms.
fn epoch(server: &Server, name: &str) -> (u64, Vec<u8>, i64) {
    let Reply::Text(bytes) = server.command(&["GET", name]) else { panic!("an epoch at {name}") };
    let (micros, random) = bytes.split_first_chunk::<8>().unwrap();
    let Reply::Int(life) = server.command(&["PTTL", name]) else { panic!("a life") };
    (u64::from_be_bytes(*micros), random.to_vec(), life)
}

#[test]
fn an_epoch_only_grows_and_lives_no_shorter() {
    let server = Server::start();
    let name = "shop:t:{menu}";

    eval(&server, name);
    let (first, random, life) = epoch(&server, name);
    let (seconds, now) = match server.command(&["TIME"]) {
        Reply::List(time) => (time[0].clone().text(), time[1].clone().text()),
        other => panic!("{other:?}"),
    };
    let now = seconds.parse::<u64>().unwrap() * 1_000_000 + now.parse::<u64>().unwrap();
    assert!(first <= now && now - first < 60_000_000, "{first} at {now}");
    assert_eq!(random.len(), 8);
    assert!((50_000..=60_000).contains(&life), "{life}");

    server.command(&["PEXPIRE", name, "3600000"]);
    eval(&server, name);
    let (second, other, life) = epoch(&server, name);
    assert!(second > first);
    assert_ne!(other, random);
    assert!((3_500_000..=3_600_000).contains(&life), "{life}");

    // The server's clock was set back.
    let ahead = "\0\u{1f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}abcdefgh";
    server.command(&["SET", name, ahead]);
    eval(&server, name);
    assert_eq!(epoch(&server, name).0, 0x001f_7f7f_7f7f_7f80);

    // Something of a stranger's.
    for foreign in
        [&["SET", name, "short"][..], &["SET", name, "\u{7f}bcdefghijklmnop"], &["RPUSH", name, "x"]]
    {
        server.command(&["DEL", name]);
        server.command(foreign);
        eval(&server, name);
        assert!(epoch(&server, name).0 >= second, "{foreign:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_invalidates_all_the_same() {
    for (name, _) in ways() {
        let server = Server::start();
        let cache = process(&server.url()).await;
        cache.get_or_compute(&key(1), &menu(1), async || 1_u64).await;
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);

        eval(&server, name);

        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(found(&server.url(), 1).await, None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_can_only_publish_asks_whoever_listens() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    hears(&one).await;
    hears(&two).await;
    let (mut by_one, mut by_two) = (one.subscribe(), two.subscribe());
    let messages = [
        r#"{"keys":["dishes:v0:1"]}"#,
        r#"{"tags":["menu:1"]}"#,
        r#"{"functions":["dishes"]}"#,
        r#"{"everything":true}"#,
    ];

    for (message, (_, what)) in messages.into_iter().zip(ways()) {
        one.get_or_compute(&key(1), &menu(1), async || 1_u64).await;
        two.get_or_compute(&key(1), &menu(1), async || 1_u64).await;
        assert_eq!(found(&server.url(), 1).await, Some(1));

        assert_eq!(cli(&server, &["PUBLISH", "shop:invalidate", message]), "2");
        hears_of(&mut by_one, &what).await;
        // Who tells it has made it: for processes, too, that did not run.
        assert_eq!(found(&server.url(), 1).await, None, "{message}");
        hears_of(&mut by_two, &what).await;

        for cache in [&one, &two] {
            assert_eq!(cache.get::<u64>(&key(1), &menu(1)).await.unwrap(), None, "{message}");
        }
    }
    assert_eq!(one.stats().shared.unwrap().gaps, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_counted_and_harms_nobody() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    hears(&cache).await;
    let mut events = cache.subscribe();
    cache.get_or_compute(&key(1), &menu(1), async || 1_u64).await;
    let unread = || cache.stats().shared.unwrap().unread;
    let message = r#"{"tags":["other"],"keys":["dishes:v0:9"]}"#;
    let cut = (0..message.len()).map(|end| message[..end].to_owned());
    let odd = (0..message.len()).map(|at| format!("{}\u{1}{}", &message[..at], &message[at..]));
    let large = [format!(r#"{{"tags":["{}"]}}"#, "x".repeat(1 << 20)), "[".repeat(1 << 16)];

    let mut sent = 0;
    for garbage in cut.chain(odd).chain(large) {
        assert_eq!(server.command(&["PUBLISH", "shop:invalidate", &garbage]), Reply::Int(1));
        sent += 1;
    }
    until(|| unread() == sent).await;

    let shared = cache.stats().shared.unwrap();
    assert_eq!((shared.gaps, shared.is_away), (1, false), "{shared:?}");
    assert_eq!(cache.get::<u64>(&key(1), &menu(1)).await.unwrap(), Some(1), "it is still there");
    server.command(&["PUBLISH", "shop:invalidate", r#"{"tags":["menu:1"]}"#]);
    hears_of(&mut events, &Invalidated::Tag("menu:1".into())).await;
    assert_eq!(cache.get::<u64>(&key(1), &menu(1)).await.unwrap(), None);
}

/// Runs the client in Python; `None` where there is no Python.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn python(server: &Server, arguments: &[&str]) -> Option<String> {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/outside.py");
    let port = server.port().to_string();
    let ran = Command::new("python3")
        .arg(client)
        .args([&[&*port, "shop"], arguments].concat())
        .env("LARDER_SCRIPT", SCRIPT)
        .output();
    match ran {
        Ok(ran) => {
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            Some(String::from_utf8(ran.stdout).unwrap().trim_end().to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: there is no python3 here; install it to test a client in another language");
            None
        }
        Err(error) => panic!("python3: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_in_another_language_invalidates() {
    let server = Server::start();
    let ways = [["entry", "dishes:v0:1"], ["tag", "menu:1"], ["function", "dishes"], ["everything", ""]];
    for way in ways {
        process(&server.url()).await.get_or_compute(&key(1), &menu(1), async || 1_u64).await;
        assert_eq!(found(&server.url(), 1).await, Some(1));
        nobody_is_connected(&server).await;

        let Some(answer) = python(&server, &way) else { return };

        assert_eq!(answer, "1");
        assert_eq!(found(&server.url(), 1).await, None, "{way:?}");
    }

    let (cache, source) = (process(&server.url()).await, Source::default());
    hears(&cache).await;
    let mut events = cache.subscribe();
    cache.get_or_compute(&key(1), &menu(1), || source.next()).await;
    assert_eq!(python(&server, &["publish", "menu:1"]).as_deref(), Some("1"), "one listens");
    hears_of(&mut events, &Invalidated::Tag("menu:1".into())).await;
    assert_eq!(cache.get_or_compute(&key(1), &menu(1), || source.next()).await, 2);
}

#[cfg(feature = "redis-cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_works_on_every_slot_of_a_cluster() {
    let cluster = larder::testing::redis::Cluster::of(3, 0, &[]);
    let url = cluster.url();
    let running = process(&url).await;
    hears(&running).await;
    let mut events = running.subscribe();

    for id in 0..12 {
        let ways = [
            (format!("shop:e:{{dishes:v0:{id}}}"), Invalidated::Entry(format!("dishes:v0:{id}").into())),
            (format!("shop:t:{{menu:{id}}}"), Invalidated::Tag(format!("menu:{id}").into())),
        ];
        for (name, what) in ways {
            running.get_or_compute(&key(id), &menu(id), async || id).await;
            // A client of a cluster goes where the slot is, whomever it asks first.
            let first = &cluster.nodes()[id as usize % 3];
            assert_eq!(cli(first, &["-c", "EVAL", larder::OUTSIDE_SCRIPT, "1", &name]), "1", "{name}");
            hears_of(&mut events, &what).await;
            assert_eq!(running.get::<u64>(&key(id), &menu(id)).await.unwrap(), None, "{name}");
        }
    }
    running.get_or_compute(&key(1), &menu(1), async || 1_u64).await;
    cli(&cluster.nodes()[0], &["PUBLISH", "shop:invalidate", r#"{"tags":["menu:1"]}"#]);
    hears_of(&mut events, &Invalidated::Tag("menu:1".into())).await;
    assert_eq!(found(&url, 1).await, None);
}
