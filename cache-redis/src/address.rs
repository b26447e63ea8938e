//! Where a server listens.

use std::fmt;
use std::path::PathBuf;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// On a port of a host.
    Host {
        /// A name, or an address of IPv4 or IPv6 without brackets.
        host: String,
        port: u16,
    },
    /// On a local socket.
    Socket(PathBuf),
}

impl Address {
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    pub(crate) fn host(host: impl Into<String>, port: u16) -> Self {
        Self::Host { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}
