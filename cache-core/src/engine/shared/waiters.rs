//! Waiting for a key that another process computes.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use crate::backend::EntryKey;
use crate::clock::Clock;

/// Who waits in this process, by key. Mostly one for each key: the leader of its flight.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Table>);

type Table = HashMap<EntryKey, Vec<Arc<Notify>>>;

/// One who waits. Dropped, it waits no more.
#[derive(Debug)]
pub(crate) struct Waiter<'w> {
    waiters: &'w Waiters,
    key: EntryKey,
    bell: Arc<Notify>,
}

impl Waiters {
    /// Registers for the messages about `key`. To be called before asking for the lease: what comes after the answer
    /// is heard then, whatever overtakes what.
    pub(super) fn register(&self, key: &EntryKey) -> Waiter<'_> {
        let bell = Arc::new(Notify::new());
        self.lock().entry(key.clone()).or_default().push(bell.clone());
        Waiter { waiters: self, key: key.clone(), bell }
    }

    /// Something happened to `key`.
    pub(super) fn wake(&self, key: &EntryKey) {
        let bells = self.lock().get(key).cloned().unwrap_or_default();
        bells.iter().for_each(|bell| bell.notify_one());
    }

    /// Anything may have happened.
    pub(super) fn wake_all(&self) {
        let bells: Vec<_> = self.lock().values().flatten().cloned().collect();
        bells.iter().for_each(|bell| bell.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Waits for a message about the key, or for `patience`: messages can be lost.
    ///
    /// # Cancel safety
    ///
    /// A message that came while nobody waited is kept for the next wait.
    pub(super) async fn wait(&self, clock: &Clock, patience: Duration) {
        let mut message = pin!(self.bell.notified());
        let mut sleep = Box::pin(clock.sleep(patience));
        poll_fn(|context| {
            if message.as_mut().poll(context).is_ready() || sleep.as_mut().poll(context).is_ready() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut table = self.waiters.lock();
        if let Some(bells) = table.get_mut(&self.key) {
            bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if bells.is_empty() {
                table.remove(&self.key);
            }
        }
    }
}
