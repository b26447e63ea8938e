//! What the cached functions read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;

use super::load::Dice;
use super::{Reader, SOON, lines, pause_for};

/// A row of the database.
pub type Row = (u64, u64);

/// Rows with a version each, 1 at first, and one more with each write. It reads first and dawdles then, which is the
/// worst it can do to a cache.
#[derive(Clone, Default)]
pub struct Database(Arc<State>);

struct State {
    versions: Mutex<HashMap<Row, u64>>,
    /// Who asked how often.
    asked: watch::Sender<HashMap<String, u64>>,
    /// Whose answers are held back.
    held: watch::Sender<HashSet<String>>,
    /// How long it dawdles at most, in µs.
    dawdling: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            versions: Mutex::default(),
            asked: watch::Sender::new(HashMap::new()),
            held: watch::Sender::new(HashSet::new()),
            dawdling: AtomicU64::new(0),
        }
    }
}

impl Database {
    /// Holds back what the worker asks from now on.
    pub fn hold(&self, worker: &str) {
        self.0.held.send_if_modified(|held| held.insert(worker.to_owned()));
    }

    /// Lets all answers to the worker go, those to come too.
    pub fn release(&self, worker: &str) {
        self.0.held.send_if_modified(|held| held.remove(worker));
    }

    /// Lets each answer wait for up to `most`.
    pub fn dawdle(&self, most: Duration) {
        self.0.dawdling.store(most.as_micros() as u64, Ordering::Relaxed);
    }

    /// Waits until the worker has asked so often.
    pub async fn was_asked(&self, worker: &str, times: u64) {
        let mut asked = self.0.asked.subscribe();
        let waiting = asked.wait_for(|asked| asked.get(worker).copied().unwrap_or(0) >= times);
        tokio::time::timeout(SOON, waiting).await.expect("it is not asked").expect("it stands");
    }

    /// How often it was asked, by all workers.
    pub fn asked(&self) -> u64 {
        self.0.asked.borrow().values().sum()
    }

    /// Changes a row; answers its version.
    pub fn write(&self, row: Row) -> u64 {
        let mut versions = self.0.versions.lock().unwrap();
        let version = versions.entry(row).or_insert(1);
        *version += 1;
        *version
    }

    fn version(&self, row: Row) -> u64 {
        *self.0.versions.lock().unwrap().entry(row).or_insert(1)
    }

    /// Serves one connection of a worker.
    pub(super) async fn serve(&self, worker: &str, mut reader: Reader, mut writer: OwnedWriteHalf) {
        let mut dice = Dice::new(super::now());
        while let Ok(Some(question)) = reader.next_line().await {
            let words: Vec<&str> = question.split(' ').collect();
            let row = (words[1].parse().unwrap(), words[2].parse().unwrap());
            let version = match words[0] {
                "read" => {
                    let version = self.version(row);
                    self.0.asked.send_modify(|asked| *asked.entry(worker.to_owned()).or_default() += 1);
                    let mut held = self.0.held.subscribe();
                    drop(held.wait_for(|held| !held.contains(worker)).await);
                    let most = self.0.dawdling.load(Ordering::Relaxed);
                    if most > 0 {
                        pause_for(Duration::from_micros(dice.below(most))).await;
                    }
                    version
                }
                _ => self.write(row),
            };
            if writer.write_all(format!("{version}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A worker's way to the database.
pub struct Client {
    name: String,
    port: u16,
    /// Connections that nobody uses now.
    idle: Mutex<Vec<(Reader, OwnedWriteHalf)>>,
}

impl Client {
    pub(super) fn new(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port, idle: Mutex::default() }
    }

    /// The version of a row.
    pub async fn read(&self, row: Row) -> u64 {
        self.ask("read", row).await
    }

    /// Changes a row; answers its version.
    pub async fn write(&self, row: Row) -> u64 {
        self.ask("write", row).await
    }

    async fn ask(&self, verb: &str, (kitchen, id): Row) -> u64 {
        let idle = self.idle.lock().unwrap().pop();
        let (mut reader, mut writer) = match idle {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("the test runs");
                let (reader, mut writer) = lines(stream);
                writer
                    .write_all(format!("database {}\n", self.name).as_bytes())
                    .await
                    .expect("the test runs");
                (reader, writer)
            }
        };
        writer.write_all(format!("{verb} {kitchen} {id}\n").as_bytes()).await.expect("the test runs");
        let answer = reader.next_line().await.expect("the test runs").expect("the test runs");
        // A connection whose call was cancelled has an answer under way, and is dropped.
        self.idle.lock().unwrap().push((reader, writer));
        answer.parse().unwrap()
    }
}
