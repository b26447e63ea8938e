//! Errors that nobody is told of.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// One in so many is logged.
const LOGGED: u64 = 10_000;

/// Invalidations that failed behind a write, whose caller is not told.
#[derive(Debug, Default)]
pub(crate) struct FailedInvalidations(AtomicU64);

impl FailedInvalidations {
    /// One has failed. Logged when that begins, and now and then while it lasts.
    pub(crate) fn failed(&self, error: &Error) {
        if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOGGED) {
            super::log::warn!(error, "an invalidation failed after a write; its caller was not told");
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
