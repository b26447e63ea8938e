//! Room for what is sent: no more is under way than comes in a small part of the time limit. What waits for room is not on its way yet,
//! so its limit does not run, and what is small is not held up by all of it.

use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::{Error, ErrorKind};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::traffic::{LARGE, MIB, REMEMBERED};

/// Room on the way to the servers, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    /// On the connection that all share.
    small: Semaphore,
    /// On those for large values.
    large: Semaphore,
    /// Whether what was sent last did not come in time.
    is_lost: AtomicBool,
}

/// What somebody has of it.
pub(crate) struct Place<'r> {
    room: &'r Room,
    _taken: Option<SemaphorePermit<'r>>,
}

/// What is under way does not come.
#[derive(Debug)]
pub(crate) struct Lost;

impl Room {
    /// With so many connections for large values.
    pub(crate) fn new(large_connections: usize) -> Self {
        Self {
            small: Semaphore::new(MIB),
            large: Semaphore::new(MIB.saturating_mul(large_connections).min(Semaphore::MAX_PERMITS)),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Waits for room for a value of this size, in the order of those who wait.
    ///
    /// Whoever has waited, and learns that nothing comes through, has waited long enough.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Place<'_>, Lost> {
        if bytes <= REMEMBERED {
            return Ok(Place { room: self, _taken: None });
        }
        let room = if bytes <= LARGE { &self.small } else { &self.large };
        let needed = u32::try_from(bytes.min(MIB)).unwrap_or(u32::MAX);
        if let Ok(taken) = room.try_acquire_many(needed) {
            return Ok(Place { room: self, _taken: Some(taken) });
        }
        // It is never closed.
        let taken = room.acquire_many(needed).await.ok();
        if self.is_lost.load(Ordering::Acquire) { Err(Lost) } else { Ok(Place { room: self, _taken: taken }) }
    }
}

impl Place<'_> {
    /// What was sent has been answered, or not.
    pub(crate) fn ended<T>(self, answer: &Result<T, Error>) {
        let is_lost = answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unreachable);
        // Before the next one gets the place.
        self.room.is_lost.store(is_lost, Ordering::Release);
    }
}
