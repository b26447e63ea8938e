//! A database file and the connections to it, as a web service has them.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, Result};
use tokio::sync::Semaphore;

/// Readers at the same time.
const READERS: usize = 4;

/// Connections in WAL mode: some that read, and one that writes, since SQLite lets one write at a time.
#[derive(Clone)]
pub(crate) struct Pool {
    readers: Arc<Side>,
    writer: Arc<Side>,
}

struct Side {
    free: Arc<Semaphore>,
    connections: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn open(file: &Path) -> Self {
        Self { readers: Side::open(file, READERS), writer: Side::open(file, 1) }
    }

    /// Runs `read` on a connection, in a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.clone().run(read).await
    }

    /// The same for what writes.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.clone().run(write).await
    }
}

impl Side {
    fn open(file: &Path, count: usize) -> Arc<Self> {
        let connections = (0..count).map(|_| connect(file)).collect();
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), connections: Mutex::new(connections) })
    }

    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.free.clone().acquire_owned().await.unwrap();
        let ran = tokio::task::spawn_blocking(move || {
            // There are as many as there are permits.
            let connection = self.connections.lock().unwrap().pop().unwrap();
            let result = query(&connection);
            self.connections.lock().unwrap().push(connection);
            drop(permit);
            result
        });
        ran.await.unwrap()
    }
}

/// A connection with what is recommended for WAL mode: a commit waits for the system, and not for the disk.
fn connect(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "normal").unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.set_prepared_statement_cache_capacity(64);
    connection
}
