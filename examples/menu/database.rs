//! An SQLite database in a temporary directory, and the few connections to it.
//!
//! SQLite blocks the thread that calls it, so every query runs on a thread for blocking work; the runtime's
//! own threads stay free. The journal is a write-ahead log: readers and the one writer do not wait for each other.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a query has no answer. Like most errors of database crates it is not `Clone`.
#[derive(Debug)]
pub(crate) enum DbError {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// The thread that ran the query ended early.
    Interrupted(tokio::task::JoinError),
    /// The directory for the database could not be made.
    Directory(std::io::Error),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "querying the database: {error}"),
            Self::Interrupted(error) => write!(f, "running a query: {error}"),
            Self::Directory(error) => write!(f, "making a temporary directory for the database: {error}"),
        }
    }
}

impl std::error::Error for DbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Interrupted(error) => Some(error),
            Self::Directory(error) => Some(error),
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The database of the service; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    readers: Arc<Pool>,
    /// One, because SQLite writes one transaction at a time: queueing here costs less than its busy-waiting.
    writer: Arc<Pool>,
    // After the connections, which must be closed when it is removed.
    _directory: TempDir,
}

impl Database {
    /// Creates an empty database. Blocks: call it outside the runtime.
    pub(crate) fn create(schema: &str) -> Result<Self, DbError> {
        let directory =
            tempfile::Builder::new().prefix("larder-menu-").tempdir().map_err(DbError::Directory)?;
        let connect = || {
            let connection = Connection::open(directory.path().join("menus.sqlite"))?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            Ok::<_, rusqlite::Error>(connection)
        };
        let writer = connect()?;
        writer.execute_batch(schema)?;
        let threads = std::thread::available_parallelism().map_or(4, usize::from);
        // More than threads, since one often waits to be handed over: the fewest that serve the uncached load best.
        let readers = (0..(4 * threads).min(32)).map(|_| connect()).collect::<Result<_, _>>()?;
        Ok(Self { readers: Pool::new(readers), writer: Pool::new(vec![writer]), _directory: directory })
    }

    /// Runs `query` on one snapshot of the database.
    pub(crate) async fn read<T, Q>(&self, query: Q) -> Result<T, DbError>
    where
        T: Send + 'static,
        Q: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        run(&self.readers, TransactionBehavior::Deferred, query).await
    }

    /// Runs `change` in a transaction; it is committed when this returns `Ok`.
    pub(crate) async fn write<T, Q>(&self, change: Q) -> Result<T, DbError>
    where
        T: Send + 'static,
        Q: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        run(&self.writer, TransactionBehavior::Immediate, change).await
    }
}

async fn run<T, Q>(pool: &Arc<Pool>, behavior: TransactionBehavior, query: Q) -> Result<T, DbError>
where
    T: Send + 'static,
    Q: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
{
    let mut connection = pool.lend().await;
    tokio::task::spawn_blocking(move || {
        let transaction = connection.transaction_with_behavior(behavior)?;
        let answer = query(&transaction)?;
        transaction.commit()?;
        Ok(answer)
    })
    .await
    .map_err(DbError::Interrupted)?
}

/// Open connections that wait for work.
#[derive(Debug)]
struct Pool {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    fn new(connections: Vec<Connection>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Arc::new(Self { idle: Mutex::new(connections), permits })
    }

    async fn lend(self: &Arc<Self>) -> Lent {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { connection, pool: Arc::clone(self), _permit: permit }
    }
}

/// A connection that goes back to its pool, even when the query panics.
#[derive(Debug)]
struct Lent {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    // After the connection is back, which `drop` sees to, the next caller may come.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

impl Deref for Lent {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        // There are as many permits as connections, the semaphore is never closed, and only `drop` takes it out.
        #[expect(clippy::expect_used, reason = "see above")]
        self.connection.as_ref().expect("a permit stands for a connection")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        // As above.
        #[expect(clippy::expect_used, reason = "see above")]
        self.connection.as_mut().expect("a permit stands for a connection")
    }
}
