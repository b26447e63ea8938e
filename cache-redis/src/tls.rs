//! Encrypted connections.

use std::fmt;
use std::net::SocketAddr;

use cache_core::Error;
use redis::io::AsyncDNSResolver;
use redis::{Client, ClientTlsConfig, ConnectionAddr, RedisFuture, TlsCertificates};

use crate::url::refuse;

/// How encrypted connections are made: whom to trust, and who we are.
///
/// Needed only for more than what the system trusts.
///
/// ```
/// use cache_redis::{Redis, Tls};
///
/// # fn build(ca: &str, certificate: &str, key: &str) -> Result<(), cache_core::Error> {
/// let redis = Redis::builder()
///     .url("rediss://10.0.0.7:6379")
///     .tls(Tls::new().ca(ca).client_certificate(certificate, key).server_name("cache.internal"))
///     .lazy()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    ca: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl Tls {
    /// Trusts what the system trusts, and shows no certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities alone, one or more certificates in PEM.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// The certificate that the server may ask for, with those that vouch for it, and its key; in PEM.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client = Some((certificate.into(), key.into()));
        self
    }

    /// The name that the certificates of the servers must bear, instead of the host that is connected to: for
    /// addresses that stand in no certificate, as in a cluster.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

/// Without the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("has_ca", &self.ca.is_some())
            .field("has_client_certificate", &self.client.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// Checked settings of encrypted connections.
#[derive(Clone)]
pub(crate) struct Secured {
    /// An address of nowhere, with the certificates: the client does not name their type.
    template: ConnectionAddr,
    pub(crate) server_name: Option<String>,
}

impl Secured {
    pub(crate) fn new(tls: Tls) -> Result<Self, Error> {
        // Without one the client would panic inside of a task. If the program has chosen one, that stays.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been quicker: then there is one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client_tls =
            tls.client.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let (has_ca, ca) = (tls.ca.is_some(), tls.ca);
        if ca.as_deref().is_some_and(|pem| !contains(pem, b"-----BEGIN CERTIFICATE-----")) {
            return refuse("the authorities are not certificates in PEM; write `Tls::new().ca(pem)`");
        }
        let mut template =
            ConnectionAddr::TcpTls { host: "host".to_owned(), port: 1, insecure: false, tls_params: None };
        if has_ca || client_tls.is_some() {
            let certificates = TlsCertificates { client_tls, root_cert: ca };
            let Ok(client) = Client::build_with_tls(template, certificates) else {
                return refuse(
                    "the certificates or the key are not in PEM; write \
                     `Tls::new().ca(pem).client_certificate(pem, key_pem)`",
                );
            };
            template = client.get_connection_info().addr().clone();
        }
        Ok(Self { template, server_name: tls.server_name })
    }

    /// How to connect to a host.
    pub(crate) fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        let mut address = self.template.clone();
        if let ConnectionAddr::TcpTls { host: name, port: number, .. } = &mut address {
            *name = self.server_name.as_deref().unwrap_or(host).to_owned();
            *number = port;
        }
        address
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Leads every name to one host: what the client connects to is the name in the certificate.
pub(crate) struct LeadsTo(pub(crate) String);

impl AsyncDNSResolver for LeadsTo {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _name: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((self.0.as_str(), port)).await?;
            let found: Vec<_> = found.collect();
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send + 'a>)
        })
    }
}

/// What a failed handshake says about the settings, if it is about them.
pub(crate) fn fix_of(said: &str) -> Option<&'static str> {
    if said.contains("not valid for name") || said.contains("NotValidForName") {
        Some("the server's certificate bears another name; write `Tls::new().server_name(name)`")
    } else if said.contains("invalid peer certificate") {
        Some("the server's certificate is not trusted; write `Tls::new().ca(pem)`")
    } else if said.contains("CertificateRequired") || said.contains("certificate required") {
        Some("the server wants a certificate; write `Tls::new().client_certificate(pem, key_pem)`")
    } else if said.contains("received fatal alert") {
        Some("the server refuses the certificate; write `Tls::new().client_certificate(pem, key_pem)`")
    } else if said.contains("InvalidContentType") {
        Some("the server does not speak TLS there; write `redis://host:6379`, or its port for TLS")
    } else {
        None
    }
}
