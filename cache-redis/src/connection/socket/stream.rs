//! Connecting without the client, which keeps its sockets to itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

use crate::address::Address;

/// A plain socket. What is encrypted the client alone can read.
pub(in crate::connection) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Connects. Of several addresses all are tried at once.
    pub(in crate::connection) async fn connect(
        address: &Address,
        prepare: impl Fn(&TcpStream) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (host, port) = match address {
            Address::Host { host, port } => (host.as_str(), *port),
            #[cfg(unix)]
            Address::Socket(path) => return UnixStream::connect(path).await.map(Self::Unix),
            #[cfg(not(unix))]
            Address::Socket(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let mut attempts = JoinSet::new();
        for address in lookup_host((host, port)).await? {
            attempts.spawn(TcpStream::connect(address));
        }
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        while let Some(attempt) = attempts.join_next().await {
            match attempt.map_err(io::Error::other).and_then(|connected| connected) {
                Ok(stream) => {
                    prepare(&stream)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Writes what can be written now.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads what has come.
    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(into),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_read(into),
        }
    }

    /// Whether something can be read; if not, the task is woken when it can.
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_read_ready(context),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
