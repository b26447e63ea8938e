//! Whether anybody watches calls: who traces, or who subscribed, in whatever way and to whatever cache.
//!
//! A hit asks this alone, by one load, and goes into no more unless somebody does.

use std::sync::atomic::{AtomicUsize, Ordering};

static WATCHERS: AtomicUsize = AtomicUsize::new(0);

/// Somebody watches, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Watching(());

impl Watching {
    pub(crate) fn begin() -> Self {
        WATCHERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether anybody does.
// Relaxed: who began to watch and then calls sees it, by the order of its own task; of others it may miss a moment.
#[inline]
pub(crate) fn is_watched() -> bool {
    WATCHERS.load(Ordering::Relaxed) != 0
}
