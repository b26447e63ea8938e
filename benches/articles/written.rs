//! What was written, and when its writer had returned: what an answer is held against.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::data::{ARTICLES, AUTHORS, USERS, favorites_of};

/// Articles that may be published while this runs.
const MORE: u64 = 10_000;

/// All that is written, as far as its writers have returned.
pub(crate) struct Written {
    /// Writers that have returned.
    ended: AtomicU64,
    /// By article.
    pub(crate) revisions: Vec<Known>,
    pub(crate) favorites: Vec<Known>,
    /// The id of the newest comment.
    pub(crate) comments: Vec<Known>,
    /// By user.
    pub(crate) renames: Vec<Known>,
    /// By author, the id of the newest article; behind them that of all.
    pub(crate) newest: Vec<Known>,
}

/// A number that only grows.
pub(crate) struct Known {
    latest: AtomicU64,
    /// Each value it had, with how many writers had returned then.
    history: Mutex<Vec<(u64, u64)>>,
}

impl Written {
    pub(crate) fn new() -> Self {
        let articles =
            |first: fn(u64) -> u64| (0..ARTICLES + MORE).map(move |id| Known::new(first(id))).collect();
        let newest_of = |author| (1..=ARTICLES).rev().find(|id| id % AUTHORS == author).unwrap_or_default();
        Self {
            ended: AtomicU64::new(0),
            revisions: articles(|_| 0),
            favorites: articles(favorites_of),
            comments: articles(|_| 0),
            renames: (0..USERS).map(|_| Known::new(0)).collect(),
            newest: (0..AUTHORS).map(newest_of).chain([ARTICLES]).map(Known::new).collect(),
        }
    }

    /// The moment now: which writers have returned.
    pub(crate) fn now(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    /// A writer has returned.
    pub(crate) fn note(&self, known: &Known, value: impl FnOnce(u64) -> u64) {
        let mut history = known.history.lock().unwrap();
        let value = value(known.latest.load(Ordering::SeqCst));
        known.latest.fetch_max(value, Ordering::SeqCst);
        // Who sees this number sees what comes before it.
        history.push((value, self.ended.load(Ordering::SeqCst) + 1));
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    /// The newest article.
    pub(crate) fn newest(&self) -> u64 {
        self.newest[AUTHORS as usize].latest.load(Ordering::SeqCst)
    }
}

impl Known {
    fn new(first: u64) -> Self {
        Self { latest: AtomicU64::new(first), history: Mutex::default() }
    }

    /// Whether `seen` is older than what was written when a call `began`.
    pub(crate) fn is_newer(&self, seen: u64, began: u64) -> bool {
        let has_ended = |(value, ended): &(u64, u64)| *ended <= began && *value > seen;
        seen < self.latest.load(Ordering::SeqCst) && self.history.lock().unwrap().iter().any(has_ended)
    }
}
