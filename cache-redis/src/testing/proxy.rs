//! A proxy that breaks connections.

#![allow(clippy::expect_used, reason = "a fixture fails the test")]

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a [`Proxy`] does with what passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Lets it pass.
    Pass,
    /// Takes it and gives it to nobody: a half-open connection. New ones are taken too.
    Swallow,
    /// Lets each piece wait.
    Delay(Duration),
    /// Closes new connections at once; those that are open pass.
    Refuse,
}

/// A TCP proxy on the loopback, between a client and a server.
///
/// Dropping it closes all connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    traffic: watch::Sender<Traffic>,
    cuts: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to a port of the loopback.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (traffic, seen) = watch::channel(Traffic::Pass);
        let (cuts, cut) = watch::channel(0);
        let target = Arc::new(AtomicU16::new(target));
        let leads_to = Arc::clone(&target);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() != Traffic::Refuse {
                    tokio::spawn(connect(
                        client,
                        leads_to.load(Ordering::Relaxed),
                        seen.clone(),
                        cut.clone(),
                    ));
                }
            }
        });
        Self { port, target, traffic, cuts, accepting }
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL to connect to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Changes what is done from now on, on open connections too.
    pub fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }

    /// Leads new connections to another port, as a name does that is given another address.
    pub fn lead_to(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
    }

    /// Closes all connections. New ones are taken.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Carries one connection until an end closes it or it is cut.
async fn connect(
    client: TcpStream,
    target: u16,
    traffic: watch::Receiver<Traffic>,
    mut cut: watch::Receiver<u64>,
) {
    cut.mark_unchanged();
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        _ = carry(from_client, to_server, traffic.clone()) => {}
        _ = carry(from_server, to_client, traffic) => {}
        _ = cut.changed() => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    traffic: watch::Receiver<Traffic>,
) -> io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let now = *traffic.borrow();
        match now {
            Traffic::Swallow => continue,
            #[expect(clippy::disallowed_methods, reason = "the delay is the thing")]
            Traffic::Delay(delay) => tokio::time::sleep(delay).await,
            Traffic::Pass | Traffic::Refuse => {}
        }
        to.write_all(&piece[..length]).await?;
    }
}
