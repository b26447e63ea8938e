//! What is counted about the shared tier.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::report::SharedStats;
use crate::key::Identity;

/// The counters of one cache's shared tier.
#[derive(Debug, Default)]
pub(crate) struct SharedCounters {
    failures: AtomicU64,
    openings: AtomicU64,
    messages: AtomicU64,
    gaps: AtomicU64,
    repeated: AtomicU64,
    /// Functions whose entries could not be read or written, and that this was logged of.
    unreadable: Mutex<HashSet<Identity>>,
}

impl SharedCounters {
    /// A call to the shared tier failed.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The breaker opened.
    pub(crate) fn opened(&self) {
        self.openings.fetch_add(1, Ordering::Relaxed);
    }

    /// A message was heard.
    pub(crate) fn heard(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages may have been missed.
    pub(crate) fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    /// An invalidation that had failed was repeated.
    pub(crate) fn repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// An entry of `function` was no value of its. The function counts that; here it is logged once.
    pub(crate) fn undecodable(&self, function: Identity) {
        if self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(function) {
            super::log::warn!(function, "an entry in the shared tier cannot be read; it will be overwritten");
        }
    }

    /// A value of `function` cannot be encoded, and stays here.
    pub(crate) fn not_encodable(&self, function: Identity) {
        if self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(function) {
            super::log::warn!(function, "a value cannot be encoded; it stays out of the shared tier");
        }
    }

    /// A report of this moment.
    pub(crate) fn report(&self, is_away: bool, is_confirmed: bool, queued_invalidations: u64) -> SharedStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SharedStats {
            is_away,
            is_confirmed,
            queued_invalidations,
            repeated_invalidations: read(&self.repeated),
            failures: read(&self.failures),
            openings: read(&self.openings),
            messages: read(&self.messages),
            gaps: read(&self.gaps),
        }
    }
}
