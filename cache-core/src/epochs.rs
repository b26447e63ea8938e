//! The epochs that this process knows, one cell a tag.
//!
//! An entry bears the numbers its tags had before its computation began and is current while they still are
//! what they were. So an invalidation is one store, whatever number of entries bear the tag, and the check on
//! a hit is one load each; and one for all of them while no epoch in the process has moved since the last check
//! (`checked.rs`).

mod checked;
mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use checked::Moves;

pub(crate) use checked::Checked;
pub(crate) use table::{EpochTable, Opening};

use crate::entry::Currency;
use crate::entry::epoch::Epoch;

/// Hard: never served again. Soft: stale, may stand in where a policy allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Soft,
    Hard,
}

/// Numbers are never used twice in a process, so that a cell that was dropped and made again cannot fit an
/// entry of its former life.
static NEXT: AtomicU64 = AtomicU64::new(1);

fn draw() -> u64 {
    // Ordered: who draws later has seen what was written before an earlier drawing. `Cell::invalidate` relies on
    // it where an earlier number gives way to a later one.
    NEXT.fetch_add(1, Ordering::AcqRel)
}

/// How often an epoch in this process has moved.
static MOVES: Moves = Moves(AtomicU64::new(Moves::FIRST));

/// The epoch of one tag or function.
///
/// What entries in this process bear is a number of this process's own. It moves with each invalidation that
/// this process makes or hears of. Beside it stands the epoch in the shared tier, where it is known: it decides
/// on what is read from there.
#[derive(Debug)]
pub(crate) struct Cell {
    /// The number that it began with.
    first: u64,
    current: AtomicU64,
    /// The number of the last hard invalidation: entries that bear a smaller one are invalidated.
    hard: AtomicU64,
    /// Locked by whoever moves the number.
    shared: Mutex<Shared>,
}

/// What an answer of the shared tier taught about an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learned {
    /// The tag was invalidated, and its message is still on its way.
    Invalidation,
    /// Nothing of that kind.
    NoInvalidation,
}

/// What is known of the epoch in the shared tier.
#[derive(Debug, Default)]
struct Shared {
    /// Which generation it was learned in. What was learned in an earlier one is forgotten.
    generation: u64,
    /// The current epoch, as far as the bus tells.
    known: Option<Epoch>,
    /// Whether an entry here bears the number since before the epoch was known. Then the first that is learned may be that of an
    /// invalidation after it.
    is_kept_unknown: bool,
    /// The number that was drawn when the epoch was learned, where it was not known before.
    learned: u64,
    /// The epoch that the number moved for last, and how, so that an invalidation is not applied twice.
    applied: Option<(Epoch, Severity)>,
}

impl Shared {
    /// Whether the number is yet to move for `epoch`, as severely as that.
    fn applies(&mut self, epoch: Epoch, severity: Severity) -> bool {
        let is_done = self.applied.is_some_and(|(applied, done)| applied == epoch && done >= severity);
        if !is_done {
            self.applied = Some((epoch, severity));
        }
        !is_done
    }
}

impl Default for Cell {
    fn default() -> Self {
        let first = draw();
        Self { first, current: AtomicU64::new(first), hard: AtomicU64::new(0), shared: Mutex::default() }
    }
}

impl Cell {
    /// Moves the epoch. A computation that began before this call was made is outdated when it returns.
    pub(crate) fn invalidate(&self, severity: Severity) {
        let mut shared = self.shared();
        shared.known = None;
        self.advance(severity);
    }

    /// Moves the epoch after this process gave the tag `epoch` in the shared tier. Its message may have been heard
    /// before.
    pub(crate) fn moved(&self, epoch: Epoch, generation: u64, severity: Severity) {
        let mut shared = self.shared_in(generation);
        // Unknown stays unknown: a message that was heard between the change and its answer may be newer. And a smaller one than is
        // known was overtaken, or the server's clock went back: which of the two the next read will tell.
        shared.known = shared.known.filter(|known| *known <= epoch).map(|_| epoch);
        if shared.applies(epoch, severity) {
            self.advance(severity);
        }
    }

    /// A message told of a change of this process's own, which has moved the number already.
    pub(crate) fn echoed(&self, epoch: Epoch, generation: u64) {
        let mut shared = self.shared_in(generation);
        shared.known = shared.known.filter(|known| *known <= epoch).map(|_| epoch);
    }

    /// Moves the epoch after a message told that it is `epoch` now; tells whether that was news.
    pub(crate) fn heard(&self, epoch: Epoch, generation: u64, severity: Severity) -> bool {
        let mut shared = self.shared_in(generation);
        if !shared.applies(epoch, severity) {
            return false;
        }
        // A smaller one was overtaken by an answer, or the server's clock went back and its epochs were lost. Which of
        // the two the next read will tell.
        shared.known = shared.known.filter(|known| *known <= epoch).map(|_| epoch);
        self.advance(severity);
        true
    }

    /// Learns the epoch from an answer of the shared tier to a question that was asked in `generation`, after the
    /// number was `stamped`. What was heard since is newer, and then the answer teaches nothing.
    ///
    /// Where it differs from what was known, an invalidation is on its way here: it takes effect now, and `stamped`
    /// goes along, since what it was taken for is read or computed after that invalidation.
    fn learn(&self, epoch: Epoch, generation: u64, stamped: &mut u64) -> Learned {
        let mut shared = self.shared_in(generation);
        if shared.generation != generation || self.current() != *stamped {
            return Learned::NoInvalidation;
        }
        // It was overtaken, or the server's clock went back: which of the two the next read will tell. What it came with is of before.
        if shared.known.is_some_and(|known| epoch < known) {
            shared.known = None;
            self.advance(Severity::Hard);
            return Learned::Invalidation;
        }
        match shared.known.replace(epoch) {
            None if !std::mem::take(&mut shared.is_kept_unknown) => {
                shared.learned = draw();
                Learned::NoInvalidation
            }
            known if known != Some(epoch) => {
                shared.applied = Some((epoch, Severity::Hard));
                *stamped = self.advance(Severity::Hard);
                Learned::Invalidation
            }
            _ => Learned::NoInvalidation,
        }
    }

    /// The epoch in the shared tier, if the bus has told all about it since it was learned.
    pub(crate) fn known(&self, generation: u64) -> Option<Epoch> {
        let shared = self.shared();
        shared.known.filter(|_| shared.generation == generation)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known in `generation`: nothing yet, if that is a new one.
    fn shared_in(&self, generation: u64) -> MutexGuard<'_, Shared> {
        let mut shared = self.shared();
        if shared.generation < generation {
            *shared = Shared { generation, ..Shared::default() };
        }
        shared
    }

    fn advance(&self, severity: Severity) -> u64 {
        let number = draw();
        MOVES.make(|| {
            // `max`: of two at once the later number stays. The one that lost it is covered all the same, since
            // what bears the later number began after the earlier was drawn.
            if severity == Severity::Hard {
                self.hard.fetch_max(number, Ordering::SeqCst);
            }
            self.current.fetch_max(number, Ordering::SeqCst);
        });
        number
    }

    #[inline]
    pub(crate) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    #[inline]
    fn currency(&self, borne: u64) -> Currency {
        if self.current() == borne {
            return Currency::Current;
        }
        if borne < self.hard.load(Ordering::Acquire) { Currency::Invalidated } else { Currency::Expired }
    }
}

/// A tag's epoch as it was when a computation began.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    cell: Arc<Cell>,
    number: u64,
}

impl Stamp {
    pub(crate) fn now(cell: Arc<Cell>) -> Self {
        let number = cell.current();
        Self { cell, number }
    }

    /// Whether the epoch is what it was.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.cell.current() == self.number
    }

    /// Whether the epoch had moved before this was taken, and after `number` was drawn.
    fn has_moved_since(&self, number: u64) -> bool {
        self.number > number && self.number != self.cell.first
    }

    /// Whether both are of one tag or function.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }

    /// The epoch in the shared tier, if it is known.
    pub(crate) fn known(&self, generation: u64) -> Option<Epoch> {
        self.cell.known(generation)
    }

    /// Notes that an entry here bears it from now on; of a value that began to be computed when `unchecked` was drawn, if the shared tier was
    /// not asked whether that is younger than its epochs.
    pub(crate) fn note_kept(&self, generation: u64, unchecked: Option<u64>) {
        let mut shared = self.cell.shared_in(generation);
        if shared.generation != generation || !self.is_current() {
            return;
        }
        // What was learned since may be the epoch of an invalidation after that.
        if unchecked.is_some_and(|began| shared.learned > began) {
            shared.known = None;
        }
        shared.is_kept_unknown |= shared.known.is_none();
    }

    /// See [`Cell::learn`].
    pub(crate) fn learn(&mut self, epoch: Epoch, generation: u64) -> Learned {
        self.cell.learn(epoch, generation, &mut self.number)
    }
}

/// All that an entry bears: the epoch of its function first, then those of its tags.
#[derive(Debug, Clone)]
pub(crate) struct Stamps {
    function: Stamp,
    /// The first tags lie in the entry itself: most have no more, and need no second allocation.
    few: [Option<Stamp>; FEW],
    more: Box<[Stamp]>,
}

/// Tags that need no allocation of their own.
const FEW: usize = 2;

impl Stamps {
    pub(crate) fn new(function: Stamp, tags: impl IntoIterator<Item = Stamp>) -> Self {
        let mut tags = tags.into_iter();
        Self { function, few: std::array::from_fn(|_| tags.next()), more: tags.collect() }
    }

    /// The same with more tags.
    pub(crate) fn with(&self, named: &[Stamp]) -> Self {
        if named.is_empty() {
            return self.clone();
        }
        // The first one is that of the function.
        Self::new(self.function.clone(), self.iter().skip(1).chain(named).cloned())
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stamp> {
        std::iter::once(&self.function).chain(self.few.iter().flatten()).chain(&self.more)
    }

    /// The same.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stamp> {
        std::iter::once(&mut self.function).chain(self.few.iter_mut().flatten()).chain(&mut self.more)
    }

    /// Whether all are current; `checked` is theirs alone.
    #[inline(always)]
    pub(crate) fn are_current(&self, checked: &Checked) -> bool {
        checked.still_holds(&MOVES) || self.are_found_current(checked)
    }

    #[inline(never)]
    fn are_found_current(&self, checked: &Checked) -> bool {
        checked.check(&MOVES, || self.currency() == Currency::Current)
    }

    #[inline]
    pub(crate) fn currency(&self) -> Currency {
        let few = self.few.iter().all(|stamp| stamp.as_ref().is_none_or(Stamp::is_current));
        if self.function.is_current() && few && self.more.iter().all(Stamp::is_current) {
            return Currency::Current;
        }
        self.worst()
    }

    #[cold]
    fn worst(&self) -> Currency {
        let mut worst = Currency::Current;
        for stamp in self.iter() {
            match stamp.cell.currency(stamp.number) {
                Currency::Current => {}
                Currency::Expired => worst = Currency::Expired,
                Currency::Invalidated => return Currency::Invalidated,
            }
        }
        worst
    }

    /// The number of the latest invalidation of any of them: a later one has a greater number.
    pub(crate) fn latest_move(&self) -> u64 {
        self.iter().map(|stamp| stamp.cell.current()).max().unwrap_or(0)
    }

    /// What the stamps take, in bytes, beside the struct itself. The tags' cells are shared: each bearer
    /// pays for its own reference.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.more)
    }
}

#[cfg(test)]
mod tests;
