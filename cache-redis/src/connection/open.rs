//! Opening a connection, and making sure that a Redis is at the other end.

use std::sync::Arc;

use cache_core::{Error, ErrorKind};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, Value};
use tokio::time::timeout;

use super::admit::{admit, run};
use super::dial::{Kind, Opened, dial};
use super::place::Place;
use super::siblings::Siblings;
use crate::address::Address;
use crate::clock::Moment;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::error;
#[cfg(feature = "tls")]
use crate::tls::{self, LeadsTo};

/// The oldest server that has what the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// Opens a connection for commands within one limit, and admits it to its siblings. Answers the era that it is of, too.
pub(super) async fn for_commands(
    config: &Arc<Config>,
    place: &Place,
    siblings: &Siblings,
) -> Result<(Opened, u64), Error> {
    let (began, limit) = (Moment::now(), config.connect_limit());
    let left = || limit.saturating_sub(began.elapsed());
    let timed_out = |doing| move |_| error::timed_out(doing, place, limit);
    let mut opened = open(config, place, ProtocolVersion::RESP2, AsyncConnectionConfig::new()).await?;
    let asking = run(&mut opened.connection, place);
    let run = timeout(left(), asking).await.map_err(timed_out("asking Redis who it is"))??;
    // This waits only for what is repeated.
    let era = admit(&mut opened.connection, &run, siblings, place, limit).await?;
    Ok((opened, era))
}

/// Opens a connection for messages. `hear` gets them, and runs inside the connection's driver: it must not wait.
pub(crate) async fn for_messages(
    config: &Arc<Config>,
    place: &Place,
    hear: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, Error> {
    let hear = move |push| {
        hear(push);
        Ok::<(), std::convert::Infallible>(())
    };
    let client = AsyncConnectionConfig::new().set_push_sender(hear);
    open(config, place, ProtocolVersion::RESP3, client).await.map(|opened| opened.connection)
}

async fn open(
    config: &Arc<Config>,
    place: &Place,
    protocol: ProtocolVersion,
    client: AsyncConnectionConfig,
) -> Result<Opened, Error> {
    let limit = config.connect_limit();
    let opening = async {
        match place {
            Place::At(address) => {
                let whom = if config.is_cluster() { Whom::Node } else { Whom::Alone };
                connect(config, address, whom, protocol, client).await
            }
            #[cfg(feature = "sentinel")]
            Place::Primary(sentinels) => {
                let mut asking = sentinels.ask(config);
                loop {
                    let address = asking.next().await?;
                    match connect(config, &address, Whom::Primary, protocol, client.clone()).await {
                        Ok(connection) => break Ok(connection),
                        Err(error) => asking.is_not(error),
                    }
                }
            }
        }
    };
    match timeout(limit, opening).await {
        Ok(opened) => opened,
        #[cfg(feature = "tls")]
        Err(_) if config.secured.is_some() => {
            let doing = "connecting to Redis with TLS (for a port without it write `redis://host:6379`)";
            Err(error::timed_out(doing, place, limit))
        }
        Err(_) => Err(error::timed_out("connecting to Redis", place, limit)),
    }
}

/// Opens a connection to a sentinel. The caller limits the time.
#[cfg(feature = "sentinel")]
pub(crate) async fn to_sentinel(config: &Config, address: &Address) -> Result<MultiplexedConnection, Error> {
    let client = AsyncConnectionConfig::new();
    let opened = connect(config, address, Whom::Sentinel, ProtocolVersion::RESP2, client).await?;
    Ok(opened.connection)
}

/// Whom a connection is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// A server on its own, or the replica of one.
    Alone,
    /// A node of a cluster.
    Node,
    /// A server that takes writes.
    #[cfg(feature = "sentinel")]
    Primary,
    #[cfg(feature = "sentinel")]
    Sentinel,
}

/// Connects to a server, and makes sure that it is one that can be used.
async fn connect(
    config: &Config,
    address: &Address,
    whom: Whom,
    protocol: ProtocolVersion,
    client: AsyncConnectionConfig,
) -> Result<Opened, Error> {
    let attempted = format!("connecting to Redis at {address}");
    // The client's own limits would not cover what is asked afterwards; that of the caller does.
    let client = client.set_connection_timeout(None).set_response_timeout(None);
    #[cfg(feature = "tls")]
    let client = named(client, config, address);
    let login = login(config, whom, &attempted).await?.set_protocol(protocol);
    let kind = match (whom, protocol) {
        #[cfg(feature = "sentinel")]
        (Whom::Sentinel, _) => Kind::ByClient,
        (_, ProtocolVersion::RESP2) => Kind::Shared,
        _ => Kind::ByClient,
    };
    let dialled = dial(config, address, kind, login, client).await;
    let mut opened = dialled.map_err(|error| of_login(&attempted, config, error))?;
    greet(&mut opened.connection, config, whom, &attempted).await?;
    Ok(opened)
}

/// Where certificates bear another name than the host, the client is told that name, and led to the host.
#[cfg(feature = "tls")]
fn named(client: AsyncConnectionConfig, config: &Config, address: &Address) -> AsyncConnectionConfig {
    match (config.secured.as_ref().and_then(|secured| secured.server_name.as_ref()), address) {
        (Some(_), Address::Host { host, .. }) => client.set_dns_resolver(LeadsTo(host.clone())),
        _ => client,
    }
}

/// Who logs in there now.
async fn login(config: &Config, whom: Whom, attempted: &str) -> Result<RedisConnectionInfo, Error> {
    #[cfg(feature = "sentinel")]
    if whom == Whom::Sentinel {
        let nobody = RedisConnectionInfo::default().set_skip_set_lib_name();
        return Ok(config.sentinel_login.clone().map_or(nobody.clone(), |login| with(nobody, login)));
    }
    let _same_for_all = whom;
    match &config.supply {
        Some(supply) => {
            let nobody = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(config.login.db());
            Ok(with(nobody, supply.now(attempted).await?))
        }
        None => Ok(config.login.clone()),
    }
}

fn with(login: RedisConnectionInfo, credentials: Credentials) -> RedisConnectionInfo {
    let login = login.set_password(credentials.password);
    match credentials.username {
        Some(username) => login.set_username(username),
        None => login,
    }
}

/// An error of logging in. What it says of the database is a setting of ours.
fn of_login(attempted: &str, config: &Config, error: RedisError) -> Error {
    if error.to_string().starts_with("Redis server refused to switch database") {
        let database = config.login.db();
        let what = format!("{attempted}: the server has no database {database}; write `redis://host:6379/0`");
        return Error::new(ErrorKind::Configuration, what);
    }
    #[cfg(feature = "tls")]
    if config.secured.is_some()
        && let Some(fix) = tls::fix_of(&error.to_string())
    {
        return Error::new(ErrorKind::Configuration, format!("{attempted}: {fix}"));
    }
    if error.kind() == redis::ErrorKind::Parse {
        return no_redis(attempted);
    }
    // A server that wants a certificate says so after the handshake, and the client does not pass that on.
    #[cfg(feature = "tls")]
    if config.secured.is_some() && error.is_connection_dropped() {
        let what = "the server closed the connection; if it wants a certificate of ours that it trusts, write \
                    `Tls::new().client_certificate(pem, key_pem)`";
        return Error::new(ErrorKind::Unreachable, format!("{attempted}: {what}")).with_source(error);
    }
    error::of(attempted, error)
}

/// Asks who is there, and says who we are.
async fn greet(
    connection: &mut MultiplexedConnection,
    config: &Config,
    whom: Whom,
    attempted: &str,
) -> Result<(), Error> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("HELLO").cmd("CLIENT").arg("SETNAME").arg(&config.client_name);
    let answers = connection.send_packed_commands(&pipeline, 0, 2).await;
    let answers = answers.map_err(|error| of_login(attempted, config, error))?;
    // The answer to the name does not matter: it is for who looks at `CLIENT LIST`, and may be forbidden.
    match answers.into_iter().next() {
        Some(Value::ServerError(error)) => {
            let error = RedisError::from(error);
            match error::Verdict::of(&error) {
                error::Verdict::Unknown => Err(too_old(attempted, "before 6.0")),
                // Who may not ask cannot be told; the first script will show whether it works.
                error::Verdict::Forbidden => Ok(()),
                _ => Err(error::of(attempted, error)),
            }
        }
        Some(answer) => judge(&Greeting::of(&answer), whom, attempted),
        None => Err(no_redis(attempted)),
    }
}

/// What a server says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Greeting {
    server: String,
    version: String,
    mode: String,
    role: String,
}

impl Greeting {
    fn of(answer: &Value) -> Self {
        let mut greeting = Self::default();
        let mut take = |name: &Value, value: &Value| {
            let (Some(name), Some(value)) = (text(name), text(value)) else { return };
            match name {
                "server" => greeting.server = value.to_owned(),
                "version" => greeting.version = value.to_owned(),
                "mode" => greeting.mode = value.to_owned(),
                "role" => greeting.role = value.to_owned(),
                _ => {}
            }
        };
        match answer {
            Value::Map(pairs) => pairs.iter().for_each(|(name, value)| take(name, value)),
            Value::Array(parts) => parts.chunks_exact(2).for_each(|pair| take(&pair[0], &pair[1])),
            _ => {}
        }
        greeting
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn judge(greeting: &Greeting, whom: Whom, attempted: &str) -> Result<(), Error> {
    if greeting.version.is_empty() {
        return Err(no_redis(attempted));
    }
    let other = match (&*greeting.mode, whom) {
        #[cfg(feature = "sentinel")]
        ("sentinel", Whom::Sentinel) => None,
        ("sentinel", _) => Some(
            "a sentinel answers; write `redis+sentinel://host:26379/primary`, with the feature `redis-sentinel`",
        ),
        #[cfg(feature = "sentinel")]
        (_, Whom::Sentinel) => Some("the server is no sentinel; write `redis://host:6379`"),
        ("cluster", Whom::Node) => None,
        ("cluster", _) => Some(
            "the server is one of a cluster; write `redis+cluster://host:6379`, with the feature `redis-cluster`",
        ),
        (_, Whom::Node) => Some("the server is not one of a cluster; write `redis://host:6379`"),
        _ => None,
    };
    if let Some(what) = other {
        return Err(Error::new(ErrorKind::Configuration, format!("{attempted}: {what}")));
    }
    #[cfg(feature = "sentinel")]
    if whom == Whom::Primary && greeting.role != "master" {
        let what = format!("{attempted}: it is a replica; its sentinels may find a primary soon");
        return Err(Error::new(ErrorKind::Refused, what));
    }
    let mut numbers = greeting.version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => {
            Err(too_old(attempted, &greeting.version))
        }
        // Another server that speaks like Redis may number itself as it likes.
        _ => Ok(()),
    }
}

fn too_old(attempted: &str, version: &str) -> Error {
    let what = format!("{attempted}: the server's version is {version}; use Redis 6.2 or later, or Valkey");
    Error::new(ErrorKind::Configuration, what)
}

fn no_redis(attempted: &str) -> Error {
    let what =
        format!("{attempted}: what answers is no Redis; write `redis://host:6379` with its host and port");
    Error::new(ErrorKind::Configuration, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted(version: &str, mode: &str, whom: Whom) -> Result<(), Error> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let parts = ["server", "redis", "version", version, "mode", mode].map(text);
        let mut flat = parts.to_vec();
        flat.extend([text("proto"), Value::Int(2)]);
        judge(&Greeting::of(&Value::Array(flat)), whom, "connecting")
    }

    #[test]
    fn old_servers_and_clusters_are_refused() {
        for version in ["6.2.14", "7.0.15", "8.10.2", "10.0.0", "unstable"] {
            greeted(version, "standalone", Whom::Alone).expect(version);
            greeted(version, "cluster", Whom::Node).expect(version);
        }
        for (version, mode, whom, says) in [
            ("6.0.16", "standalone", Whom::Alone, "6.0.16"),
            ("7.0.0", "cluster", Whom::Alone, "write `redis+cluster://host:6379`"),
            ("7.0.0", "standalone", Whom::Node, "write `redis://host:6379`"),
            ("7.0.0", "sentinel", Whom::Node, "write `redis+sentinel://host:26379/primary`"),
            ("", "", Whom::Alone, "no Redis"),
        ] {
            let error = greeted(version, mode, whom).expect_err(version);

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    /// A sentinel that is cut off may tell an address whose server is a replica by now.
    #[cfg(feature = "sentinel")]
    #[test]
    fn a_replica_is_no_primary() {
        let judged = |role: &str| {
            let [server, version, mode] = ["redis", "7.0.0", "standalone"].map(str::to_owned);
            judge(&Greeting { server, version, mode, role: role.to_owned() }, Whom::Primary, "connecting")
        };

        judged("master").expect("it takes writes");
        assert_eq!(judged("replica").expect_err("it does not").kind(), ErrorKind::Refused);
    }
}
