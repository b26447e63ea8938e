//! What the tests of this binary share.

use std::future::Future;
use std::time::Duration;

use cache_core::backend::*;
use cache_core::{Error, ErrorKind, Tag};
use cache_redis::Redis;
use cache_redis::testing::{Proxy, Reply, Server};

/// More than the default, for machines that do much else.
pub(crate) const LIMIT: Duration = Duration::from_millis(300);
/// For what is not about time: a machine may do much else.
pub(crate) const PATIENT: Duration = Duration::from_secs(10);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Two servers, and a name that leads to the first.
pub(crate) struct Two {
    pub(crate) old: Server,
    pub(crate) new: Server,
    pub(crate) name: Proxy,
}

impl Two {
    pub(crate) async fn start() -> Self {
        let (old, new) = (Server::start(), Server::start());
        let name = Proxy::start(old.port()).await;
        Self { old, new, name }
    }
}

/// A Redis with that limit, connected.
pub(crate) async fn connect(server: &Server) -> Redis {
    let builder = Redis::builder().url(server.url()).time_limit(LIMIT);
    builder.connect().await.expect("the server is there")
}

/// The same with time enough, where what is tested is not the time.
pub(crate) async fn patient(server: &Server) -> Redis {
    let builder = Redis::builder().url(server.url()).time_limit(PATIENT);
    builder.connect().await.expect("the server is there")
}

pub(crate) fn request<'a>(key: &'a EntryKey, tags: Tags<'a>) -> LeaseRequest<'a> {
    LeaseRequest { key, token: LeaseToken::random(), life: MINUTE, tags, claim: Claim::Absent }
}

pub(crate) async fn granted(redis: &Redis, request: LeaseRequest<'_>) -> (Grant, Vec<Epoch>) {
    match redis.lease(request).await.expect("a lease is answered") {
        Lease::Granted { grant, epochs } => (grant, epochs),
        other => panic!("granted, not {other:?}"),
    }
}

pub(crate) async fn fill(redis: &Redis, key: &EntryKey, grant: &Grant, frame: &[u8]) -> Result<Fill, Error> {
    let frame = FrameBytes::from(frame);
    redis.fill(FillRequest { key, grant, frame: &frame, life: MINUTE, tags: Tags::NONE }).await
}

/// Takes a key and fills it.
pub(crate) async fn put(redis: &Redis, key: &EntryKey, frame: &[u8]) {
    let take = LeaseRequest { claim: Claim::Take, ..request(key, Tags::NONE) };
    let (grant, _) = granted(redis, take).await;
    assert_eq!(fill(redis, key, &grant, frame).await.expect("a fill is answered"), Fill::Stored);
}

pub(crate) async fn get(redis: &Redis, key: &EntryKey) -> Option<Vec<u8>> {
    let read = redis.read(key, &[]).await.expect("a read is answered");
    read.found.map(|found| found.frame.to_vec())
}

pub(crate) fn tag(text: &str) -> TagKey {
    Tag::from(text).into()
}

/// Calls until it succeeds, and tells how often it did not.
pub(crate) async fn until_ok<T, F: Future<Output = Result<T, Error>>>(
    mut call: impl FnMut() -> F,
) -> (T, u32) {
    let calling = async {
        let mut failures = 0;
        loop {
            match call().await {
                Ok(value) => return (value, failures),
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::Unreachable
                            | ErrorKind::Refused
                            | ErrorKind::NotReplicated
                            | ErrorKind::Postponed
                    ),
                    "{error:?}"
                ),
            }
            failures += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), calling).await.expect("it comes back")
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("{what}"));
}

pub(crate) fn assert_unreachable<T: std::fmt::Debug>(answer: Result<T, Error>) -> Error {
    let error = answer.expect_err("it cannot be answered");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    error
}

pub(crate) fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> Error {
    let error = answer.expect_err("it cannot be answered");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    error
}

/// How many of our connections the server has.
pub(crate) fn connections(server: &Server) -> usize {
    clients(server, "NORMAL") + clients(server, "PUBSUB")
}

pub(crate) fn clients(server: &Server, kind: &str) -> usize {
    let list = server.command(&["CLIENT", "LIST", "TYPE", kind]).text();
    list.lines().filter(|line| line.contains("name=larder ")).count()
}

pub(crate) fn dbsize(server: &Server) -> Reply {
    server.command(&["DBSIZE"])
}

/// Waits for the next gap.
pub(crate) async fn hear_gap(ear: &mut Subscription) {
    let waiting = async { while ear.hear().await.expect("the bus goes on") != Heard::Gap {} };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("a gap is told");
}

/// Sends heartbeats until one is heard.
pub(crate) async fn until_heard(redis: &Redis, ear: &mut Subscription) {
    let hearing = async {
        for nonce in 1.. {
            until_ok(|| redis.heartbeat(nonce)).await;
            if tokio::time::timeout(Duration::from_millis(100), hear_beat(ear, nonce)).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(MINUTE, hearing).await.expect("a heartbeat is heard");
}

pub(crate) async fn hear_beat(ear: &mut Subscription, nonce: u64) {
    loop {
        if let Some(Heard::Message(Message { change, .. })) = ear.hear().await
            && change == (Change::Heartbeat { nonce })
        {
            return;
        }
    }
}
