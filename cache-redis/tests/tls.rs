//! Encrypted connections.
#![cfg(all(feature = "tls", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

#[allow(dead_code, reason = "shared with the tests of one server")]
#[path = "failures/support.rs"]
mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::backend::*;
use cache_redis::testing::Server;
use cache_redis::{Redis, Tls};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::*;

/// An authority, and what it vouches for.
struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a name, and its key.
    fn vouch_for(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // Another name than the authority's, or it would seem to vouch for itself.
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.certificate, &self.key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server that speaks TLS on a port of its own.
struct Secured {
    server: Server,
    port: u16,
    _folder: TempDir,
}

impl Secured {
    fn start(authority: &Authority, name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.vouch_for(name);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let paths = [file("ca.pem", &authority.pem()), file("cert.pem", &certificate), file("key.pem", &key)];
        let [ca, certificate, key] = paths.each_ref().map(|path: &std::path::PathBuf| text(path));
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let port_text = port.to_string();
        let mut all = vec!["--tls-port", &port_text, "--tls-ca-cert-file", ca];
        all.extend(["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients"]);
        // Optional to say `no`: then whoever comes is let in.
        all.push(if arguments.contains(&"--who-comes-shows-one") { "yes" } else { "no" });
        all.extend(arguments.iter().filter(|argument| **argument != "--who-comes-shows-one"));
        Self { server: Server::with_args(&all), port, _folder: folder }
    }

    fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn refused(url: &str, tls: Tls, says: &str) {
    let builder = Redis::builder().url(url).tls(tls).time_limit(Duration::from_secs(10));
    let error = builder.connect().await.expect_err(says);

    // What a server does not say of itself cannot be told from a server that goes away.
    let is_told = !says.contains("client_certificate");
    let kind = if is_told { ErrorKind::Configuration } else { ErrorKind::Unreachable };
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_trusts_the_authority_is_served() {
    let authority = Authority::new();
    let secured = Secured::start(&authority, "127.0.0.1", &[]);

    let builder = Redis::builder().url(secured.url()).tls(Tls::new().ca(authority.pem()));
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("it is trusted");

    put(&redis, &"k".into(), &vec![7; 1 << 20]).await;
    assert_eq!(get(&redis, &"k".into()).await, Some(vec![7; 1 << 20]));
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_trust_it_is_told_at_once() {
    let (authority, other) = (Authority::new(), Authority::new());
    let secured = Secured::start(&authority, "127.0.0.1", &[]);

    for tls in [Tls::new(), Tls::new().ca(other.pem())] {
        refused(&secured.url(), tls, "is not trusted; write `Tls::new().ca(pem)`").await;
    }
    // Also inside of a task, and for the bus.
    let builder = Redis::builder().url(secured.url()).time_limit(Duration::from_secs(10));
    let lazy = builder.lazy().expect("no I/O yet");
    for error in [
        lazy.read(&"k".into(), &[]).await.expect_err("it is not trusted"),
        lazy.subscribe().await.map(drop).expect_err("it is not trusted"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_with_another_name_needs_that_name() {
    let authority = Authority::new();
    let secured = Secured::start(&authority, "cache.internal", &[]);
    let tls = Tls::new().ca(authority.pem());

    refused(&secured.url(), tls.clone(), "write `Tls::new().server_name(name)`").await;
    refused(
        &secured.url(),
        tls.clone().server_name("other.internal"),
        "write `Tls::new().server_name(name)`",
    )
    .await;
    let builder = Redis::builder().url(secured.url()).tls(tls.server_name("cache.internal"));
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("the name is right");

    put(&redis, &"k".into(), b"v").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_want_a_certificate_too() {
    let (authority, other) = (Authority::new(), Authority::new());
    let secured = Secured::start(&authority, "127.0.0.1", &["--who-comes-shows-one"]);
    let trusting = || Tls::new().ca(authority.pem());
    let shown_by = |authority: &Authority| {
        let (certificate, key) = authority.vouch_for("app");
        trusting().client_certificate(certificate, key)
    };

    refused(&secured.url(), trusting(), "write `Tls::new().client_certificate(pem, key_pem)`").await;
    refused(&secured.url(), shown_by(&other), "write `Tls::new().client_certificate(pem, key_pem)`").await;
    let builder = Redis::builder().url(secured.url()).tls(shown_by(&authority));
    assert!(!format!("{builder:?}").contains("PRIVATE"));
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("it is let in");

    put(&redis, &"k".into(), b"v").await;
    assert!(!format!("{redis:?}").contains("PRIVATE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_port_is_told() {
    let authority = Authority::new();
    let secured = Secured::start(&authority, "127.0.0.1", &[]);
    let plain = secured.server.url().replace("redis://", "rediss://");
    let builder = Redis::builder().url(plain).tls(Tls::new().ca(authority.pem()));
    // Such a server waits for the end of a line.
    let error = builder.time_limit(LIMIT).connect().await.expect_err("it speaks no TLS");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert!(error.to_string().contains("write `redis://host:6379`"), "{error}");

    let encrypted = secured.url().replace("rediss://", "redis://");
    Redis::connect(&encrypted).await.expect_err("it speaks TLS");
}

/// A node tells the ports of the others for TLS, and their addresses, which stand in no certificate.
#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_encrypted_too() {
    let authority = Authority::new();
    let secured =
        Secured::start(&authority, "cache.internal", &["--cluster-enabled", "yes", "--tls-cluster", "yes"]);
    let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
    let words: Vec<&str> =
        ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    secured.server.command(&words);
    until("the cluster is there", || {
        secured.server.command(&["CLUSTER", "INFO"]).text().contains("cluster_state:ok")
    })
    .await;

    let url = secured.url().replace("rediss://", "rediss+cluster://");
    let builder = Redis::builder().url(url).tls(Tls::new().ca(authority.pem()).server_name("cache.internal"));
    let redis = builder.time_limit(Duration::from_secs(10)).connect().await.expect("it is trusted");

    put(&redis, &"k".into(), b"v").await;
    assert_eq!(get(&redis, &"k".into()).await, Some(b"v".to_vec()));
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
}
