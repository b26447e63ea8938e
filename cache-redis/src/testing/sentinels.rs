//! Sentinels of a test's own, with the servers that they watch.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a fixture fails the test")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::{Reply, Server, ask, free_port, program};

/// How long a step of setting up may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three sentinels, a primary called `main`, and two replicas; on free ports of the loopback.
///
/// ```no_run
/// use cache_redis::testing::Sentinels;
///
/// let mut sentinels = Sentinels::start();
/// let primary = sentinels.primary();
/// sentinels.server(primary).kill();
/// ```
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Sentinels {
    /// Starts them. A primary that does not answer for a second is replaced.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or they do not find each other.
    pub fn start() -> Self {
        let servers: Vec<_> =
            (0..3).map(|_| Server::with_args(&["--repl-diskless-sync-delay", "0"])).collect();
        let primary = servers[0].port();
        for replica in &servers[1..] {
            replica.command(&["REPLICAOF", "127.0.0.1", &primary.to_string()]);
        }
        until("replicas follow", || {
            servers[1..].iter().all(|replica| {
                replica.command(&["INFO", "replication"]).text().contains("master_link_status:up")
            })
        });
        let sentinels = Self { sentinels: (0..3).map(|_| Sentinel::start(primary)).collect(), servers };
        until("sentinels know all", || {
            sentinels.sentinels.iter().all(|sentinel| {
                let known = sentinel.told(&["SENTINEL", "MASTER", "main"]);
                let field = |name: &str| {
                    let at = known.iter().position(|field| field == name);
                    at.and_then(|at| known.get(at + 1)).cloned()
                };
                field("num-slaves").as_deref() == Some("2")
                    && field("num-other-sentinels").as_deref() == Some("2")
            })
        });
        sentinels
    }

    /// The URL.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }

    /// The servers, by their places.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// A server.
    pub fn server(&mut self, at: usize) -> &mut Server {
        &mut self.servers[at]
    }

    /// Ends one of the sentinels.
    pub fn kill_sentinel(&mut self, at: usize) {
        self.sentinels[at].process.kill().expect("a process of ours");
    }

    /// The place of the primary, as the last sentinel tells it.
    ///
    /// # Panics
    /// If it tells none.
    pub fn primary(&self) -> usize {
        let told = self.sentinels[2].told(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        let at = self.servers.iter().position(|server| told.get(1) == Some(&server.port().to_string()));
        at.unwrap_or_else(|| panic!("a server of ours, not {told:?}"))
    }
}

impl Sentinel {
    fn start(primary: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n\
             sentinel parallel-syncs main 2\n",
            folder.path().display()
        );
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, settings).expect("a file of ours");
        let process = Command::new(program())
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{error}: install it with `apt-get install redis-server`"));
        let sentinel = Self { port, process, _folder: folder };
        until("the sentinel answers", || ask(&sentinel.url(), &["PING"]).is_ok());
        sentinel
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// An answer of texts; none if it has no other.
    fn told(&self, words: &[&str]) -> Vec<String> {
        match ask(&self.url(), words) {
            Ok(Reply::List(parts)) => parts
                .into_iter()
                .filter_map(|part| match part {
                    Reply::Text(bytes) => String::from_utf8(bytes).ok(),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended already; there is no more to be done about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "servers find each other in their own time")]
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
