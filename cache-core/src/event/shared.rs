//! What is counted about the shared tier.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::report::SharedStats;
use super::subscribers::Subscribers;
use super::told::Event;
use crate::error::Error;
use crate::key::Identity;

/// One refusal in so many is logged.
const LOGGED: u64 = 10_000;

/// The counters of one cache's shared tier.
#[derive(Debug, Default)]
pub(crate) struct SharedCounters {
    failures: AtomicU64,
    /// What the last of them said.
    last_error: Mutex<Option<String>>,
    openings: AtomicU64,
    messages: AtomicU64,
    gaps: AtomicU64,
    repeated: AtomicU64,
    refusals: AtomicU64,
    unread: AtomicU64,
    is_deaf: AtomicBool,
    /// Functions whose entries could not be read or written, and that this was logged of.
    unreadable: Mutex<HashSet<Identity>>,
    /// Who is told, beside being counted.
    subscribers: Arc<Subscribers>,
}

impl SharedCounters {
    pub(crate) fn new(subscribers: Arc<Subscribers>) -> Self {
        Self { subscribers, ..Self::default() }
    }

    /// A call to the shared tier failed.
    pub(crate) fn failed(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// The shared tier answered that it cannot do what it was asked. Logged when it begins, and now and then while it
    /// lasts.
    pub(crate) fn refused(&self, error: &Error) {
        self.failed(error);
        if self.refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOGGED) {
            super::log::warn!(error, "the shared tier refuses; going on without it where it does");
        }
    }

    /// Messages cannot be listened to. Logged when it begins.
    pub(crate) fn deaf(&self, error: &Error) {
        self.failed(error);
        if !self.is_deaf.swap(true, Ordering::Relaxed) {
            super::log::warn!(
                error,
                "the bus cannot be listened to; the local tier keeps values for a short time only"
            );
        }
    }

    /// Messages are listened to.
    pub(crate) fn listens(&self) {
        self.is_deaf.store(false, Ordering::Relaxed);
    }

    /// The breaker opened.
    pub(crate) fn opened(&self) {
        self.openings.fetch_add(1, Ordering::Relaxed);
        self.subscribers.tell(|| Event::BreakerOpened);
    }

    /// The breaker closed.
    pub(crate) fn closed(&self) {
        self.subscribers.tell(|| Event::BreakerClosed);
    }

    /// A message was heard.
    pub(crate) fn heard(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// A program outside said what cannot be read. Logged when it begins, and now and then while it lasts.
    pub(crate) fn unread(&self, why: &'static str) {
        if self.unread.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOGGED) {
            super::log::warn!(why, "an invalidation from outside was not understood, and is not made");
        }
    }

    /// Messages may have been missed.
    pub(crate) fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        self.subscribers.tell(|| Event::Gap);
    }

    /// So many invalidations that had failed were repeated.
    pub(crate) fn repeated(&self, count: u64) {
        self.repeated.fetch_add(count, Ordering::Relaxed);
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
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            openings: read(&self.openings),
            messages: read(&self.messages),
            gaps: read(&self.gaps),
            unread: read(&self.unread),
        }
    }
}
