//! Keeps calls away from a shared tier that does not answer.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// After so many failures in a row nobody asks any more.
const FAILURES: u32 = 3;

/// Closed, or open after [`FAILURES`] failures in a row.
///
/// No call of a user's ever is the probe, since a probe of a dead server takes the whole time limit. The keeper
/// probes, one at a time, and closes the breaker when one succeeds.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    is_open: AtomicBool,
}

/// What a failure did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// It was counted.
    Counted,
    /// It was one too many: the breaker has opened.
    Opened,
}

impl Breaker {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether the last call was answered, as far as it has come back.
    #[inline]
    pub(super) fn is_untroubled(&self) -> bool {
        self.failures.load(Ordering::Relaxed) == 0
    }

    /// A call was answered. An open breaker stays open: only a probe closes it.
    #[inline]
    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A call failed.
    pub(super) fn failed(&self) -> Failed {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let opens = failures >= FAILURES && !self.is_open.swap(true, Ordering::AcqRel);
        if opens { Failed::Opened } else { Failed::Counted }
    }

    /// A probe succeeded; tells whether the breaker was open.
    pub(super) fn close(&self) -> bool {
        self.failures.store(0, Ordering::Release);
        self.is_open.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_open_from_three_failures_in_a_row_until_a_probe_succeeds(
            steps in prop::collection::vec(0..6_u8, 0..60),
        ) {
            let (breaker, mut in_a_row, mut is_open) = (Breaker::default(), 0, false);

            for step in steps {
                match step {
                    0 => {
                        prop_assert_eq!(breaker.close(), is_open);
                        (in_a_row, is_open) = (0, false);
                    }
                    1 | 2 => {
                        breaker.succeeded();
                        in_a_row = 0;
                    }
                    _ => {
                        in_a_row += 1;
                        let opens = in_a_row >= 3 && !is_open;
                        is_open |= opens;
                        prop_assert_eq!(breaker.failed() == Failed::Opened, opens);
                    }
                }
                prop_assert_eq!(breaker.is_open(), is_open);
            }
        }
    }
}
