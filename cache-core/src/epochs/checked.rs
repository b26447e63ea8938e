//! What spares a hit the look at each epoch that its entry bears.
//!
//! Compiled twice: here, and by `tests/model_moves.rs` against loom's primitives.

use crate::sync::{AtomicU64, Ordering};

/// How often any of some epochs has moved. On a line of its own, as each hit reads it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Moves(pub(super) AtomicU64);

impl Moves {
    /// The count before the first: not what a [`Checked`] begins with.
    pub(super) const FIRST: u64 = 1;

    /// Makes one move, and counts it afterwards.
    pub(super) fn make(&self, one: impl FnOnce()) {
        one();
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// What the count of moves was when the stamps of one entry were last found to be current.
///
/// While it still is that, no epoch has moved, and the cells that the stamps refer to need not be looked at: they lie on other lines
/// of memory, which a hit would wait for.
///
/// Who moves an epoch counts afterwards. So who sees that count sees the epoch, too, and nobody finds stamps current at
/// that count which are not.
#[derive(Debug)]
pub(crate) struct Checked(AtomicU64);

impl Checked {
    /// Not yet.
    pub(crate) fn never() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether nothing has moved since the last check.
    #[inline(always)]
    pub(super) fn still_holds(&self, moves: &Moves) -> bool {
        // Relaxed, both: who comes after an invalidation sees a count that is no lower, and whoever noted a count had seen
        // all that it stands for.
        self.0.load(Ordering::Relaxed) == moves.0.load(Ordering::Relaxed)
    }

    /// Checks by `are_current`, and notes it.
    pub(super) fn check(&self, moves: &Moves, are_current: impl FnOnce() -> bool) -> bool {
        // First: what moves from here on changes the count.
        let count = moves.0.load(Ordering::Acquire);
        let are_current = are_current();
        if are_current {
            self.0.store(count, Ordering::Relaxed);
        }
        are_current
    }
}
