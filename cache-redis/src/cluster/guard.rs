//! Keeps calls away from one node that does not answer, so that the others are not delayed.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// After so many failures in a row nobody asks any more.
const FAILURES: u32 = 3;

/// Closed, or open after [`FAILURES`] failures in a row. Only a probe closes it.
#[derive(Debug, Default)]
pub(super) struct Guard {
    failures: AtomicU32,
    is_open: AtomicBool,
}

impl Guard {
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// A call was answered.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A call was not.
    pub(super) fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::AcqRel) + 1 >= FAILURES {
            self.is_open.store(true, Ordering::Release);
        }
    }

    /// A probe was answered.
    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Release);
        self.is_open.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_it_and_a_probe_closes_it() {
        let guard = Guard::default();
        guard.failed();
        guard.failed();
        guard.succeeded();
        guard.failed();
        guard.failed();
        assert!(!guard.is_open());

        guard.failed();
        guard.succeeded();
        assert!(guard.is_open());

        guard.close();
        assert!(!guard.is_open());
    }
}
