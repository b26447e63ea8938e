//! A `redis-server` of a test's own.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a fixture fails the test")]

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Client, Value};
use tempfile::TempDir;

use crate::chance;

/// A `redis-server` process on a free port of the loopback, without persistence, in a directory of its own.
///
/// Dropping it ends the process. Each method returns when the server has done it.
///
/// ```
/// use cache_redis::testing::{Reply, Server};
///
/// let server = Server::start();
/// assert_eq!(server.command(&["SET", "k", "v"]), Reply::Text(b"OK".to_vec()));
/// assert_eq!(server.command(&["GET", "k"]), Reply::Text(b"v".to_vec()));
/// ```
pub struct Server {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    process: Child,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Nothing is there.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes, or a status like `OK`.
    Text(Vec<u8>),
    /// Several.
    List(Vec<Reply>),
    /// An error, with its code.
    Error(String),
}

impl Server {
    /// Starts a server.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or does not start.
    pub fn start() -> Self {
        Self::with_args(&[])
    }

    /// Starts a server with more arguments, like `["--maxmemory", "4mb"]`.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or does not start.
    pub fn with_args(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        for _ in 0..16 {
            let port = free_port();
            if let Some(process) = launch(port, &arguments, &folder) {
                return Self { port, arguments, folder, process };
            }
        }
        panic!("redis-server does not start: see what it says with `redis-server --port 0 {arguments:?}`");
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL, with the password if one was given by `--requirepass`.
    pub fn url(&self) -> String {
        match self.password() {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Runs one command, over a connection of its own.
    ///
    /// # Panics
    /// If the server does not answer within ten seconds.
    pub fn command(&self, words: &[&str]) -> Reply {
        // Sentinels cut connections when they make a replica of a server.
        let mut attempts = (0..5).map(|_| ask(&self.url(), words));
        let answered = attempts.by_ref().find(Result::is_ok).or_else(|| Some(ask(&self.url(), words)));
        match answered {
            Some(Ok(reply)) => reply,
            other => panic!("the server takes connections: {other:?}"),
        }
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill().expect("a process of ours");
        self.process.wait().expect("a process of ours");
    }

    /// Ends the process if it runs, and starts another on the same port. It has forgotten everything.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.process = launch(self.port, &self.arguments, &self.folder).expect("the port is still free");
    }

    /// Stops the process: it keeps its connections, the kernel takes what is sent, and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
        // The signal is on its way; wait for it where that can be seen.
        let state = format!("/proc/{}/stat", self.process.id());
        while std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") T ")) {
            std::thread::yield_now();
        }
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("the program `kill`");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    fn password(&self) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == "--requirepass")?;
        self.arguments.get(at + 1).map(String::as_str)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is no more to be done about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Without the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Reply {
    fn of(value: Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Int(number),
            Value::BulkString(bytes) => Self::Text(bytes),
            Value::SimpleString(text) => Self::Text(text.into_bytes()),
            Value::Okay => Self::Text(b"OK".to_vec()),
            Value::Array(values) => Self::List(values.into_iter().map(Self::of).collect()),
            Value::ServerError(error) => Self::Error(error.to_string()),
            other => Self::Text(format!("{other:?}").into_bytes()),
        }
    }

    /// The text of it.
    ///
    /// # Panics
    /// If it is none.
    pub fn text(self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8(bytes).expect("a text"),
            other => panic!("a text, not {other:?}"),
        }
    }
}

/// Runs one command at a URL; an error if nobody is there.
pub(super) fn ask(url: &str, words: &[&str]) -> redis::RedisResult<Reply> {
    let limit = Duration::from_secs(10);
    let mut connection = Client::open(url)?.get_connection_with_timeout(limit)?;
    connection.set_read_timeout(Some(limit))?;
    let mut command = redis::Cmd::new();
    command.arg(words);
    Ok(match redis::ConnectionLike::req_command(&mut connection, &command) {
        Ok(value) => Reply::of(value),
        Err(error) => Reply::Error(error.to_string()),
    })
}

/// A port that was free a moment ago, below those that the system gives to outgoing connections: one of them could
/// take it while the server restarts.
pub(super) fn free_port() -> u16 {
    loop {
        // A node of a cluster takes the port 10,000 above, too.
        let port = 10_000 + (chance::bits() % 10_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The server under test: `redis-server`, or what the variable `LARDER_TEST_SERVER` names.
pub(super) fn program() -> std::ffi::OsString {
    std::env::var_os("LARDER_TEST_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// Starts a process and waits until it is ready; `None` if it ends before.
fn launch(port: u16, arguments: &[String], folder: &TempDir) -> Option<Child> {
    let mut process = Command::new(program())
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}: install it with `apt-get install redis-server`"));
    let mut log = BufReader::new(process.stdout.take().expect("it is piped"));
    let mut line = String::new();
    loop {
        line.clear();
        let length = log.read_line(&mut line).expect("its log is text");
        if length == 0 {
            process.wait().expect("a process of ours");
            return None;
        }
        // The last line before it answers, after it has loaded what it keeps.
        if line.contains("Ready to accept") {
            break;
        }
    }
    // Somebody must read on, or it would stand still when the pipe is full. Ends with the process.
    std::thread::spawn(move || {
        let _ = log.read_to_end(&mut Vec::new());
    });
    Some(process)
}
