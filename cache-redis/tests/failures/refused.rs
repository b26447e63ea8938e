//! What `connect` refuses, at once and loudly.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use cache_core::backend::Backend;
use cache_core::{Error, ErrorKind};
use cache_redis::Redis;
use cache_redis::testing::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

const SECRET: &str = "hunter2-hunter2";

/// The error, with all that it says; it must not say the secret.
fn refused<T: Debug>(answer: Result<T, Error>, kind: ErrorKind, says: &str) {
    let error = answer.expect_err("it is refused");
    let told = format!("{error} / {error:?}");
    assert_eq!(error.kind(), kind, "{told}");
    assert!(told.contains(says), "{told}");
    assert!(!told.contains(SECRET), "{told}");
}

/// What `connect` does, with time enough.
async fn connecting(url: &str) -> Result<Redis, Error> {
    Redis::builder().url(url).time_limit(PATIENT).connect().await
}

/// A server that answers each piece it gets with the same text.
async fn answering(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut piece = [0; 1024];
                while client.read(&mut piece).await.is_ok_and(|length| length > 0) {
                    if client.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("redis://:{SECRET}@127.0.0.1:{port}")
}

/// A way to a server on which the first piece takes a while, and a question for its state for ever.
async fn hanging(target: u16, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        let ((mut asked, mut answers), (mut answered, mut asks)) = (client.split(), server.split());
        let up = async {
            let mut piece = [0; 4096];
            #[expect(clippy::disallowed_methods, reason = "a server that takes its time")]
            tokio::time::sleep(pause).await;
            while let Ok(length @ 1..) = asked.read(&mut piece).await {
                if piece[..length].windows(4).any(|word| word == b"INFO") {
                    std::future::pending::<()>().await;
                }
                asks.write_all(&piece[..length]).await.unwrap();
            }
        };
        tokio::join!(up, async { tokio::io::copy(&mut answered, &mut answers).await.unwrap() });
    });
    format!("redis://127.0.0.1:{port}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_at_once() {
    let server = Server::with_args(&["--requirepass", SECRET]);
    let port = server.port();

    let right = connecting(&server.url()).await.expect("the right password");
    right.health().await.expect("health is answered");
    right.subscribe().await.expect("a subscription is answered");

    let says = "the user or the password is wrong or missing; write `redis://user:password@host:6379`";
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:{SECRET}-not@127.0.0.1:{port}"),
        format!("redis://nobody:{SECRET}@127.0.0.1:{port}"),
    ] {
        refused(connecting(&url).await, ErrorKind::Configuration, says);
        let lazy = Redis::builder().url(&url).time_limit(PATIENT).lazy().expect("no I/O yet");
        refused(lazy.read(&"k".into(), &[]).await, ErrorKind::Configuration, says);
        refused(lazy.subscribe().await, ErrorKind::Configuration, says);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_shows_the_password() {
    let server = Server::with_args(&["--requirepass", SECRET]);
    let builder = Redis::builder().url(server.url()).password(SECRET).time_limit(PATIENT);
    let redis = builder.clone().connect().await.expect("the right password");
    let ear = redis.subscribe().await.expect("a subscription is answered");

    let told = format!("{builder:?} {redis:?} {redis:#?} {ear:?} {server:?}");

    assert!(!told.contains(SECRET), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_redis_is_told() {
    let configuration = ErrorKind::Configuration;
    let http = answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    refused(connecting(&http).await, configuration, "what answers is no Redis; write `redis://host:6379`");
    // For two commands at once.
    let unknown =
        "-ERR unknown command 'AUTH', with args beginning with: 'hunter2-hunter2' \r\n-ERR unknown\r\n";
    let old = answering(unknown).await;
    refused(connecting(&old).await, configuration, "");
    let unlocked = old.replace(&format!(":{SECRET}@"), "");
    refused(connecting(&unlocked).await, configuration, "use Redis 6.2 or later");
    let silent = answering("").await;
    refused(Redis::connect(&silent).await, ErrorKind::Unreachable, "no answer within");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    refused(connecting(&format!("redis://{nobody}")).await, ErrorKind::Unreachable, "refused");
    let nowhere = connecting("unix:///nowhere/redis.sock").await;
    refused(nowhere, ErrorKind::Unreachable, "/nowhere/redis.sock");
}

/// One limit is for all that belongs to connecting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_greets_slowly_and_then_hangs_is_given_up_in_time() {
    // given a time limit, and a server whose greeting takes three of the five that connecting may
    const T: Duration = Duration::from_millis(500);
    let server = Server::start();
    let url = hanging(server.port(), 3 * T).await;

    // when somebody connects
    #[expect(clippy::disallowed_methods, reason = "how long it takes is the question")]
    let began = Instant::now();
    let connected = Redis::builder().url(url).time_limit(T).connect().await;

    // then it takes no more than these five, and what is said is what hangs
    assert!(began.elapsed() < 7 * T, "{:?}", began.elapsed());
    refused(connected, ErrorKind::Unreachable, "asking Redis who it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_there_is_told() {
    let server = Server::start();

    let database = |number| Redis::builder().url(server.url()).database(number).time_limit(PATIENT);

    let there = database(15).connect().await.expect("sixteen by default");
    put(&there, &"k".into(), b"v").await;
    let answer = database(16).connect().await;

    refused(answer, ErrorKind::Configuration, "the server has no database 16; write `redis://host:6379/0`");
    assert_eq!(get(&patient(&server).await, &"k".into()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_is_told() {
    let server = Server::with_args(&["--cluster-enabled", "yes"]);

    refused(connecting(&server.url()).await, ErrorKind::Configuration, "`redis-cluster`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_socket_is_a_server_too() {
    let folder =
        std::env::temp_dir().join(format!("larder-{:016x}", cache_core::backend::Origin::random().bits()));
    let path = folder.to_str().unwrap();
    let _server = Server::with_args(&["--unixsocket", path]);

    let redis = connecting(&format!("unix://{path}")).await.expect("it listens there");
    put(&redis, &"k".into(), b"v").await;

    assert_eq!(get(&redis, &"k".into()).await, Some(b"v".to_vec()));
}
