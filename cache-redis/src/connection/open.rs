//! Opening a connection, and making sure that a Redis is at the other end.

use std::time::Duration;

use cache_core::{Error, ErrorKind};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, RedisError, Value};
use tokio::time::timeout;

use super::place::Place;
use crate::address::Address;
use crate::config::Config;
use crate::error;

/// The oldest server that has what the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// Opens a connection for commands.
pub(crate) async fn for_commands(config: &Config, place: &Place) -> Result<MultiplexedConnection, Error> {
    open(config, place, ProtocolVersion::RESP2, AsyncConnectionConfig::new()).await
}

/// Opens a connection for messages. `hear` gets them, and runs inside the connection's driver: it must not wait.
pub(crate) async fn for_messages(
    config: &Config,
    place: &Place,
    hear: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, Error> {
    let hear = move |push| {
        hear(push);
        Ok::<(), std::convert::Infallible>(())
    };
    open(config, place, ProtocolVersion::RESP3, AsyncConnectionConfig::new().set_push_sender(hear)).await
}

async fn open(
    config: &Config,
    place: &Place,
    protocol: ProtocolVersion,
    client: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Error> {
    let limit = config.connect_limit();
    let opening = async {
        let Place::At(address) = place;
        connect(config, address, protocol, client).await
    };
    match timeout(limit, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(error::timed_out("connecting to Redis", place, limit)),
    }
}

/// Connects to a server, and makes sure that it is one that can be used.
async fn connect(
    config: &Config,
    address: &Address,
    protocol: ProtocolVersion,
    client: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Error> {
    let attempted = format!("connecting to Redis at {address}");
    // The client's own limits would not cover what is asked afterwards; that of the caller does.
    let client = client.set_connection_timeout(None).set_response_timeout(None);
    let login = config.login.clone().set_protocol(protocol);
    let target = config.info(address).map_err(|error| error::of(&attempted, error))?;
    let target = target.set_tcp_settings(socket_options(config.connect_limit())).set_redis_settings(login);
    let mut connection = Client::open(target)
        .map_err(|error| error::of(&attempted, error))?
        .get_multiplexed_async_connection_with_config(&client)
        .await
        .map_err(|error| of_login(&attempted, config, error))?;
    greet(&mut connection, config, &attempted).await?;
    Ok(connection)
}

/// Small commands go out at once (on a network Nagle's algorithm doubles the time of a call: redis-rs#2195), and
/// the kernel notices a peer that is gone.
fn socket_options(limit: Duration) -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(5));
    #[cfg(not(windows))]
    let keepalive = keepalive.with_interval(Duration::from_secs(1));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    let keepalive = keepalive.with_retries(3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let settings = settings.set_user_timeout(limit.max(Duration::from_secs(3)));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = limit;
    settings
}

/// An error of logging in. What it says of the database is a setting of ours.
fn of_login(attempted: &str, config: &Config, error: RedisError) -> Error {
    if error.to_string().starts_with("Redis server refused to switch database") {
        let database = config.login.db();
        let what = format!("{attempted}: the server has no database {database}; write `redis://host:6379/0`");
        return Error::new(ErrorKind::Configuration, what);
    }
    if error.kind() == redis::ErrorKind::Parse {
        return no_redis(attempted);
    }
    error::of(attempted, error)
}

/// Asks who is there, and says who we are.
async fn greet(
    connection: &mut MultiplexedConnection,
    config: &Config,
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
        Some(answer) => judge(&Greeting::of(&answer), config.is_cluster(), attempted),
        None => Err(no_redis(attempted)),
    }
}

/// What a server says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Greeting {
    server: String,
    version: String,
    mode: String,
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

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn judge(greeting: &Greeting, is_cluster: bool, attempted: &str) -> Result<(), Error> {
    if greeting.version.is_empty() {
        return Err(no_redis(attempted));
    }
    if is_cluster != (greeting.mode == "cluster") {
        let what = if is_cluster {
            "the server is not one of a cluster; write `redis://host:6379`"
        } else {
            "the server is one of a cluster; write `redis+cluster://host:6379`, with the feature `redis-cluster`"
        };
        return Err(Error::new(ErrorKind::Configuration, format!("{attempted}: {what}")));
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

    fn greeted(version: &str, mode: &str, is_cluster: bool) -> Result<(), Error> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let parts = ["server", "redis", "version", version, "mode", mode].map(text);
        let mut flat = parts.to_vec();
        flat.extend([text("proto"), Value::Int(2)]);
        judge(&Greeting::of(&Value::Array(flat)), is_cluster, "connecting")
    }

    #[test]
    fn old_servers_and_clusters_are_refused() {
        for version in ["6.2.14", "7.0.15", "8.10.2", "10.0.0", "unstable"] {
            greeted(version, "standalone", false).expect(version);
            greeted(version, "cluster", true).expect(version);
        }
        for (version, mode, is_cluster, says) in [
            ("6.0.16", "standalone", false, "6.0.16"),
            ("7.0.0", "cluster", false, "write `redis+cluster://host:6379`"),
            ("7.0.0", "standalone", true, "write `redis://host:6379`"),
            ("7.0.0", "sentinel", true, "write `redis://host:6379`"),
            ("", "", false, "no Redis"),
        ] {
            let error = greeted(version, mode, is_cluster).expect_err(version);

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
