//! Making the connection itself: the socket and its options, and who drives it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use redis::{AsyncConnectionConfig, Client, RedisConnectionInfo, RedisError};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::socket::{ClientSide, Socket, Stream};
use crate::address::Address;
use crate::config::Config;

/// A connection that was opened.
pub(crate) struct Opened {
    pub(super) connection: MultiplexedConnection,
    /// Its socket, where reads may use that themselves.
    pub(super) socket: Option<Arc<Socket>>,
    _driver: Option<Driver>,
}

/// Ends the task that drives the client, with the last call that uses the connection.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who uses a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The client alone.
    ByClient,
    /// The client, and reads themselves; if it is not encrypted.
    Shared,
}

/// Connects, and logs in.
pub(super) async fn dial(
    config: &Config,
    address: &Address,
    kind: Kind,
    login: RedisConnectionInfo,
    client: AsyncConnectionConfig,
) -> Result<Opened, RedisError> {
    let limit = config.connect_limit();
    if kind == Kind::Shared && !config.is_encrypted() {
        let stream = Stream::connect(address, |stream| prepare(stream, limit)).await?;
        let socket = Socket::new(stream);
        let side = ClientSide(Arc::clone(&socket));
        let (connection, driver) = MultiplexedConnection::new_with_config(&login, side, client).await?;
        let driver = Driver(tokio::spawn(driver).abort_handle());
        return Ok(Opened { connection, socket: Some(socket), _driver: Some(driver) });
    }
    let target = config.info(address)?.set_tcp_settings(options(limit)).set_redis_settings(login);
    let connection = Client::open(target)?.get_multiplexed_async_connection_with_config(&client).await?;
    Ok(Opened { connection, socket: None, _driver: None })
}

/// Small commands go out at once (on a network Nagle's algorithm doubles the time of a call: redis-rs#2195), and
/// the kernel notices a peer that is gone.
fn options(limit: Duration) -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let settings = settings.set_user_timeout(user_timeout(limit));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = limit;
    settings
}

/// The same for a socket of ours.
fn prepare(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive())?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(user_timeout(limit)))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = limit;
    Ok(())
}

fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(5));
    #[cfg(not(windows))]
    let keepalive = keepalive.with_interval(Duration::from_secs(1));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    let keepalive = keepalive.with_retries(3);
    keepalive
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn user_timeout(limit: Duration) -> Duration {
    limit.max(Duration::from_secs(3))
}
