//! Several processes over one real `redis-server`.
//!
//! A test starts its own binary again as a worker (see [`worker`]) and tells it what to do over a connection on the
//! loopback. The [`Database`] that cached functions read lives in the test's process: it counts who asks, and holds
//! answers back.
//!
//! # One clock
//!
//! All processes take their times from `CLOCK_MONOTONIC` ([`now`]). On one machine that is one clock: it
//! never steps, goes on while a process is stopped, and of two readings of which one happened before the other, in
//! whatever processes and on whatever processors, the first is not the greater. So where this clock says that a call
//! started after an invalidation had returned, no clock can be blamed for what the call returned.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

pub mod checker;
pub mod database;
pub mod deploys;
pub mod load;
pub mod worker;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::testing::redis::{Proxy, Server};
use larder::{Cache, Redis};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

pub use database::{Database, Row};
pub use worker::{Dish, Function, Keeps, dish_of};

/// How long a test waits for what must happen. A lease lives for ten seconds.
pub const SOON: Duration = Duration::from_secs(40);

/// The time limit of who is under no fault: many tasks share one processor.
pub const PATIENT: Duration = Duration::from_secs(10);

/// The time now in ns, on the one clock of all processes.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The time now, and by how much the kernel's coarse clock lags behind it.
pub fn now_and_lag() -> (u64, u64) {
    let coarse = clock_gettime(ClockId::MonotonicCoarse);
    let now = now();
    (now, now - (coarse.tv_sec as u64 * 1_000_000_000 + coarse.tv_nsec as u64))
}

/// Lets time pass, for what is made of time: the pace of a load, the length of a fault.
#[expect(clippy::disallowed_methods, reason = "the time that passes is the thing")]
pub async fn pause_for(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until `holds`, which asks another process.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("it does not come about");
}

type Reader = Lines<BufReader<OwnedReadHalf>>;
/// Takes the connection of a worker that has come.
type Arrival = oneshot::Sender<(Reader, OwnedWriteHalf)>;

/// A line-wise connection.
pub fn lines(stream: TcpStream) -> (Reader, OwnedWriteHalf) {
    stream.set_nodelay(true).expect("a loopback connection");
    let (reader, writer) = stream.into_split();
    (BufReader::new(reader).lines(), writer)
}

/// A server, a database, and the door that workers come in by.
pub struct Stage {
    pub server: Server,
    pub database: Database,
    port: u16,
    arrivals: Arc<Mutex<HashMap<String, Arrival>>>,
}

impl Stage {
    pub async fn start() -> Self {
        Self::with_server(Server::start()).await
    }

    /// The same over a server that was started otherwise.
    pub async fn with_server(server: Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let stage = Self { server, database: Database::default(), port, arrivals: Arc::default() };
        let (database, arrivals) = (stage.database.clone(), stage.arrivals.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (database, arrivals) = (database.clone(), arrivals.clone());
                tokio::spawn(async move {
                    let (mut reader, writer) = lines(stream);
                    let Ok(Some(greeting)) = reader.next_line().await else { return };
                    match greeting.split_once(' ').expect("a greeting of ours") {
                        ("worker", name) => {
                            let awaited = arrivals.lock().unwrap().remove(name).expect("a worker of ours");
                            let _ = awaited.send((reader, writer));
                        }
                        (_, name) => database.serve(name, reader, writer).await,
                    }
                });
            }
        });
        stage
    }

    /// Starts a worker that asks Redis directly.
    pub async fn worker(&self, name: &str) -> Worker {
        self.worker_at(name, &self.server.url(), PATIENT, Duration::from_secs(2), Keeps::Values, None).await
    }

    /// Starts a worker behind a proxy of its own, with the default time limit.
    pub async fn worker_behind_a_proxy(&self, name: &str, staleness: Duration, keeps: Keeps) -> Worker {
        let proxy = Proxy::start(self.server.port()).await;
        let url = proxy.url();
        self.worker_at(name, &url, Duration::from_millis(100), staleness, keeps, Some(proxy)).await
    }

    async fn worker_at(
        &self,
        name: &str,
        url: &str,
        time_limit: Duration,
        staleness: Duration,
        keeps: Keeps,
        proxy: Option<Proxy>,
    ) -> Worker {
        let (arrived, arrival) = oneshot::channel();
        self.arrivals.lock().unwrap().insert(name.to_owned(), arrived);
        let process = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "worker", "--include-ignored", "--nocapture", "--test-threads=1"])
            .env(
                worker::ROLE,
                format!(
                    "{name} {} {url} {} {} {keeps:?}",
                    self.port,
                    time_limit.as_millis(),
                    staleness.as_millis()
                ),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("this binary starts");
        let mut worker = Worker { name: name.to_owned(), process, proxy, line: Line::default() };
        let arrival = tokio::time::timeout(SOON, arrival).await.expect("the worker does not come");
        let (mut reader, mut writer) = arrival.expect("the stage stands");
        let (commands, mut sending) = mpsc::unbounded_channel::<String>();
        worker.line.commands = Some(commands);
        tokio::spawn(async move {
            while let Some(command) = sending.recv().await {
                if writer.write_all(command.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let waiting = worker.line.waiting.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = reader.next_line().await {
                let (number, answer) = line.split_once(' ').expect("an answer of ours");
                let asked = waiting.lock().unwrap().remove(&number.parse().unwrap());
                // Who asked may have lost interest.
                let _ = asked.expect("it was asked").send(answer.to_owned());
            }
            // It has ended: nobody waits for its answers.
            waiting.lock().unwrap().clear();
        });
        worker
    }
}

/// What a fresh cache finds, which has nothing but the shared tier.
pub async fn stored(stage: &Stage, function: Function, row: Row) -> Option<Dish> {
    let redis = Redis::builder().url(stage.server.url()).client_name("fresh");
    let redis = redis.time_limit(PATIENT).lazy().unwrap();
    let fresh = Cache::builder().prefix(worker::PREFIX).shared(redis).build().unwrap();
    let peeked = fresh.scope(async { function.entry(row).peek().await }).await;
    peeked.expect("the server is there").map(|peek| peek.value)
}

/// A process. Dropping it ends it.
pub struct Worker {
    pub name: String,
    proxy: Option<Proxy>,
    process: Child,
    line: Line,
}

#[derive(Default)]
struct Line {
    commands: Option<mpsc::UnboundedSender<String>>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>,
    last: AtomicU64,
}

impl Worker {
    /// Tells it to do something; the answer comes when it is done. It does many things at once.
    pub fn begin(&self, command: &str) -> Doing {
        let number = self.line.last.fetch_add(1, Ordering::Relaxed);
        let (asked, answer) = oneshot::channel();
        self.line.waiting.lock().unwrap().insert(number, asked);
        let commands = self.line.commands.as_ref().expect("it has arrived");
        commands.send(format!("{number} {command}\n")).expect("its connection stands");
        Doing { what: format!("{}: {command}", self.name), answer }
    }

    /// Tells it to do something, and waits until it is done.
    pub async fn ask(&self, command: &str) -> String {
        self.begin(command).end().await
    }

    /// Lets it call a function.
    pub async fn read(&self, function: Function, row: Row) -> Dish {
        dish_of(&self.begin_to_read(function, row).end().await)
    }

    /// Lets it begin to call a function.
    pub fn begin_to_read(&self, function: Function, (kitchen, id): Row) -> Doing {
        self.begin(&format!("read {} {kitchen} {id}", function.name()))
    }

    /// Waits until so many of its calls wait for a computation, of its own process or of another.
    pub async fn has_joined(&self, calls: u64) {
        until(async || self.count("joined").await >= calls).await;
    }

    /// Waits until it reaches Redis and hears the bus.
    pub async fn hears(&self) {
        assert_eq!(self.ask("hears").await, "ok");
    }

    /// The proxy between it and Redis.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("it was started behind one")
    }

    /// One of its counters, by the name that [`worker`] gives it.
    pub async fn count(&self, what: &str) -> u64 {
        let stats = self.ask("stats").await;
        let count = stats.split(' ').find_map(|field| field.strip_prefix(what)?.strip_prefix('='));
        count.unwrap_or_else(|| panic!("{what} in {stats}")).parse().unwrap()
    }

    /// `SIGKILL`.
    pub fn kill(&mut self) {
        self.process.kill().expect("a process of ours");
        self.process.wait().expect("a process of ours");
    }

    /// `SIGSTOP`; returns when it stands still.
    pub fn pause(&self) {
        self.signal("-STOP");
        while !self.is_paused() {
            std::thread::yield_now();
        }
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        stat.expect("a process of ours").contains(") T ")
    }

    /// `SIGCONT`.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("the program `kill`");
        assert!(sent.success(), "kill {signal} {pid}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already; there is no more to be done about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a worker is doing.
pub struct Doing {
    what: String,
    answer: oneshot::Receiver<String>,
}

impl Doing {
    /// Waits until it is done.
    pub async fn end(self) -> String {
        match tokio::time::timeout(SOON, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => panic!("{}: the worker has ended", self.what),
            Err(_) => panic!("{}: it hangs", self.what),
        }
    }
}
