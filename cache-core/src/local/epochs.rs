//! The epochs that this process knows, one cell a tag.
//!
//! An entry bears the numbers its tags had before its computation began and is current while they still are
//! what they were. So an invalidation is one store, whatever number of entries bear the tag, and the check on
//! a hit is one load each; and one for all of them while no epoch in the process has moved since the last check
//! (`checked.rs`).

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::checked::{Checked, Moves};
use crate::entry::epoch::Epoch;
use crate::key::Tag;

/// Hard: never served again. Soft: stale, may stand in where a policy allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Soft,
    Hard,
}

/// Whether the epochs that an entry bears are still the ones of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Currency {
    Current,
    /// One of them was softly invalidated since.
    Expired,
    /// One of them was invalidated since.
    Invalidated,
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
    /// The epoch that the number moved for last, so that an invalidation is not applied twice.
    applied: Option<Epoch>,
}

impl Default for Cell {
    fn default() -> Self {
        Self { current: AtomicU64::new(draw()), hard: AtomicU64::new(0), shared: Mutex::default() }
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
        // Unknown stays unknown: a message that was heard between the change and its answer may be newer.
        shared.known = shared.known.map(|known| known.max(epoch));
        if shared.applied.replace(epoch) != Some(epoch) {
            self.advance(severity);
        }
    }

    /// Moves the epoch after a message told that it is `epoch` now; tells whether that was news.
    pub(crate) fn heard(&self, epoch: Epoch, generation: u64) -> bool {
        let mut shared = self.shared_in(generation);
        if shared.applied == Some(epoch) {
            return false;
        }
        shared.applied = Some(epoch);
        // A smaller one was overtaken by an answer, or the server's clock went back and its epochs were lost. Which of
        // the two the next read will tell.
        shared.known = shared.known.filter(|known| *known <= epoch).map(|_| epoch);
        self.advance(Severity::Hard);
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
        match shared.known.replace(epoch) {
            Some(known) if known != epoch => {
                shared.applied = Some(epoch);
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
            *shared = Shared { generation, known: None, applied: None };
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

    /// The epoch in the shared tier, if it is known.
    pub(crate) fn known(&self, generation: u64) -> Option<Epoch> {
        self.cell.known(generation)
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

    /// What the stamps take, in bytes, beside the struct itself. The tags' cells are shared: each bearer
    /// pays for its own reference.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.more)
    }
}

/// Parts of the table, so that threads seldom meet.
const SHARDS: usize = 16;

/// The cells of all tags that anything in this process bears.
#[derive(Debug, Default)]
pub(crate) struct EpochTable {
    shards: [Mutex<Shard>; SHARDS],
    hash: foldhash::fast::RandomState,
    recent: Mutex<Recent>,
}

/// What was invalidated while something is being computed: it may turn out to bear a tag that had no cell until then.
#[derive(Debug, Default)]
struct Recent {
    computations: usize,
    moved: HashMap<Tag, u64, foldhash::fast::RandomState>,
    /// What was invalidated before this number is not told any more.
    forgotten: u64,
}

/// Tags that are told of at most; beyond, all computations under way count as outdated by any.
const RECENT: usize = 4096;

/// A computation under way, that does not know all its tags yet.
#[derive(Debug)]
pub(crate) struct Opening<'t> {
    table: &'t EpochTable,
    number: u64,
}

impl Opening<'_> {
    /// The epochs of `tags` now; `None` if one of them may have been invalidated since the computation began.
    pub(crate) fn stamp(&self, tags: &[Tag]) -> Option<Box<[Stamp]>> {
        if tags.is_empty() {
            return Some(Box::default());
        }
        // First: what is invalidated from here on shows in the stamps.
        let stamps = self.table.stamp(tags);
        let recent = self.table.recent();
        let is_older = |tag: &Tag| recent.moved.get(tag).is_none_or(|moved| *moved < self.number);
        (recent.forgotten < self.number && tags.iter().all(is_older)).then_some(stamps)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut recent = self.table.recent();
        recent.computations -= 1;
        if recent.computations == 0 {
            recent.moved.clear();
            recent.moved.shrink_to(64);
        }
    }
}

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<Tag, Arc<Cell>, foldhash::fast::RandomState>,
    /// Cells left by the last tidying; at twice that it is time for the next.
    kept: usize,
}

impl EpochTable {
    fn shard(&self, tag: &Tag) -> &Mutex<Shard> {
        &self.shards[self.hash.hash_one(tag) as usize % SHARDS]
    }

    /// The epochs of `tags` now.
    pub(crate) fn stamp(&self, tags: &[Tag]) -> Box<[Stamp]> {
        tags.iter().map(|tag| Stamp::now(self.cell(tag))).collect()
    }

    /// Those of a function and `tags` now.
    pub(crate) fn stamps(&self, function: Arc<Cell>, tags: &[Tag]) -> Stamps {
        Stamps::new(Stamp::now(function), tags.iter().map(|tag| Stamp::now(self.cell(tag))))
    }

    /// The epoch of `tag` in the shared tier, if the bus has told all about it in `generation`.
    pub(crate) fn known(&self, tag: &Tag, generation: u64) -> Option<Epoch> {
        let shard = self.shard(tag).lock().unwrap_or_else(PoisonError::into_inner);
        shard.cells.get(tag)?.known(generation)
    }

    fn cell(&self, tag: &Tag) -> Arc<Cell> {
        let mut shard = self.shard(tag).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = shard.cells.get(tag) {
            return cell.clone();
        }
        shard.tidy();
        let cell = Arc::new(Cell::default());
        shard.cells.insert(tag.clone(), cell.clone());
        cell
    }

    /// Begins a computation that may come to bear tags that nobody knows yet.
    pub(crate) fn open(&self) -> Opening<'_> {
        let mut recent = self.recent();
        recent.computations += 1;
        Opening { table: self, number: draw() }
    }

    /// Shows the cell of `tag` to `change`. Without a cell nothing that is stored bears it; what is being computed may.
    pub(crate) fn change<T>(&self, tag: &Tag, change: impl FnOnce(&Cell) -> T) -> Option<T> {
        let shard = self.shard(tag).lock().unwrap_or_else(PoisonError::into_inner);
        let changed = shard.cells.get(tag).map(|cell| change(cell));
        let mut recent = self.recent();
        if recent.computations > 0 {
            if recent.moved.len() >= RECENT {
                recent.moved.clear();
                recent.forgotten = draw();
            }
            recent.moved.insert(tag.clone(), draw());
        }
        changed
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the cells that nothing bears any more.
    pub(crate) fn sweep(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).sweep();
        }
    }

    /// Cells in the table.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).cells.len();
        self.shards.iter().map(len).sum()
    }
}

impl Shard {
    fn tidy(&mut self) {
        if self.cells.len() >= 2 * self.kept.max(64) {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        // One reference is the table's. Nobody can take another while the shard is locked.
        self.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
        self.kept = self.cells.len();
        self.cells.shrink_to(2 * self.kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(table: &EpochTable, function: &Arc<Cell>, tags: &[&str]) -> Stamps {
        let tags: Vec<Tag> = tags.iter().copied().map(Tag::from).collect();
        table.stamps(function.clone(), &tags)
    }

    #[test]
    fn an_invalidated_tag_outdates_what_bears_it_and_nothing_else() {
        let (table, function) = (EpochTable::default(), Arc::<Cell>::default());
        let (menu, place) =
            (stamps(&table, &function, &["menu", "a"]), stamps(&table, &function, &["place"]));

        table.change(&Tag::from("menu"), |cell| cell.invalidate(Severity::Hard));

        assert_eq!(menu.currency(), Currency::Invalidated);
        assert_eq!(place.currency(), Currency::Current);
        assert_eq!(stamps(&table, &function, &["menu"]).currency(), Currency::Current);
    }

    #[test]
    fn whatever_moves_an_epoch_ends_what_was_noted() {
        let epoch = |micros| Epoch::new(micros, 0);
        let moves: [fn(&Cell, &mut Stamp); 5] = [
            |cell, _| cell.invalidate(Severity::Hard),
            |cell, _| cell.invalidate(Severity::Soft),
            |cell, _| cell.moved(Epoch::new(7, 0), 1, Severity::Hard),
            |cell, _| _ = cell.heard(Epoch::new(7, 0), 1),
            |_, stamp| assert_eq!(stamp.learn(Epoch::new(7, 0), 1), Learned::Invalidation),
        ];
        for (at, make_move) in moves.into_iter().enumerate() {
            let (table, function) = (EpochTable::default(), Arc::<Cell>::default());
            let (stamps, checked) = (stamps(&table, &function, &["a", "b", "c"]), Checked::never());
            let cell = table.cell(&Tag::from("c"));
            let mut stamp = Stamp::now(cell.clone());
            assert_eq!(stamp.learn(epoch(1), 1), Learned::NoInvalidation);
            assert!(stamps.are_current(&checked));
            assert!(stamps.are_current(&checked), "as noted");

            make_move(&cell, &mut stamp);

            assert!(!stamps.are_current(&checked), "move {at}");
        }
    }

    #[test]
    fn a_soft_invalidation_after_a_hard_one_does_not_soften_it() {
        let (table, function) = (EpochTable::default(), Arc::<Cell>::default());
        let before = stamps(&table, &function, &["menu"]);

        table.change(&Tag::from("menu"), |cell| cell.invalidate(Severity::Hard));
        let between = stamps(&table, &function, &["menu"]);
        table.change(&Tag::from("menu"), |cell| cell.invalidate(Severity::Soft));

        assert_eq!(before.currency(), Currency::Invalidated);
        assert_eq!(between.currency(), Currency::Expired);
    }

    #[test]
    fn a_cell_made_again_does_not_fit_its_former_life() {
        let (table, tag) = (EpochTable::default(), Tag::from("menu"));
        let number = table.stamp(std::slice::from_ref(&tag))[0].number;

        table.sweep();

        assert_ne!(table.stamp(&[tag])[0].number, number);
    }

    #[test]
    fn a_tag_that_turns_up_at_the_end_of_a_computation_shows_what_was_invalidated_meanwhile() {
        let (table, tags) = (EpochTable::default(), [Tag::from("late"), Tag::from("later")]);
        table.change(&tags[0], |cell| cell.invalidate(Severity::Hard));
        let opening = table.open();
        assert!(opening.stamp(&tags).is_some(), "what came before does not count");

        table.change(&Tag::from("later"), |cell| cell.invalidate(Severity::Hard));

        assert!(opening.stamp(&tags[..1]).is_some());
        assert!(opening.stamp(&tags).is_none());
        assert!(table.open().stamp(&tags).is_some(), "what begins now is newer");
    }

    #[test]
    fn more_invalidations_than_are_told_outdate_all_that_is_being_computed() {
        let table = EpochTable::default();
        let opening = table.open();

        for n in 0..=RECENT {
            table.change(&Tag::from(n.to_string()), |_| ());
        }

        assert!(opening.stamp(&[Tag::from("other")]).is_none());
        assert!(table.open().stamp(&[Tag::from("other")]).is_some());
        assert!(table.recent().moved.len() <= RECENT);
        drop(opening);
        assert!(table.recent().moved.is_empty());
    }

    #[test]
    fn the_table_does_not_grow_with_tags_that_nothing_bears() {
        let table = EpochTable::default();
        let held = table.stamp(&[Tag::from("held")]);

        for n in 0..100_000 {
            table.stamp(&[Tag::from(n.to_string())]);
        }

        assert!(table.len() < 4_000, "{} cells", table.len());
        table.sweep();
        assert_eq!(table.len(), 1);
        assert_eq!(held[0].cell.current(), held[0].number);
    }

    /// One cell, a server, and messages and answers that come in any order.
    mod model {
        use proptest::prelude::*;

        use super::*;

        /// The epoch that the server gives with its `n`th change.
        fn epoch(n: u64) -> Epoch {
            Epoch::new(n, 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n))
        }

        #[derive(Debug, Clone)]
        enum Step {
            /// Another process invalidates: a message is on its way.
            Elsewhere,
            /// This one does: a message and an answer are.
            Here,
            /// The epoch is lost and drawn anew. Nobody is told.
            Loss,
            /// A read or a lease begins and is answered there. The answer is on its way.
            Ask,
            /// A message, an answer to a change, an answer to a question arrives: any of those under way.
            Message(usize),
            Answer(usize),
            Told(usize),
            /// Messages may be missing: those under way are.
            Gap,
        }

        fn step() -> impl Strategy<Value = Step> {
            prop_oneof![
                2 => Just(Step::Elsewhere),
                2 => Just(Step::Here),
                1 => Just(Step::Loss),
                4 => Just(Step::Ask),
                4 => any::<usize>().prop_map(Step::Message),
                2 => any::<usize>().prop_map(Step::Answer),
                4 => any::<usize>().prop_map(Step::Told),
                1 => Just(Step::Gap),
            ]
        }

        /// A question under way, or what was made of its answer.
        #[derive(Debug, Clone)]
        struct Asked {
            stamp: Stamp,
            generation: u64,
            /// What the server answered: which change was the last.
            at: u64,
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

            #[test]
            fn nothing_older_than_an_invalidation_that_is_known_of_is_current(
                steps in prop::collection::vec(step(), 1..40),
            ) {
                let cell = Arc::<Cell>::default();
                let (mut server, mut generation) = (0_u64, 1_u64);
                let mut invalidations = Vec::<u64>::new();
                let (mut messages, mut answers) = (Vec::<u64>::new(), Vec::<u64>::new());
                let (mut asked, mut kept) = (Vec::<Asked>::new(), Vec::<Asked>::new());
                // The latest invalidation that this process was told of.
                let mut told_of = 0;

                for step in steps {
                    match step {
                        Step::Elsewhere | Step::Here => {
                            server += 1;
                            invalidations.push(server);
                            messages.push(server);
                            if matches!(step, Step::Here) {
                                answers.push(server);
                            }
                        }
                        Step::Loss => server += 1,
                        Step::Ask => {
                            let stamp = Stamp::now(cell.clone());
                            asked.push(Asked { stamp, generation, at: server });
                        }
                        Step::Message(n) if !messages.is_empty() => {
                            let of = messages.swap_remove(n % messages.len());
                            cell.heard(epoch(of), generation);
                            told_of = told_of.max(of);
                        }
                        Step::Answer(n) if !answers.is_empty() => {
                            let of = answers.swap_remove(n % answers.len());
                            cell.moved(epoch(of), generation, Severity::Hard);
                            told_of = told_of.max(of);
                        }
                        Step::Told(n) if !asked.is_empty() => {
                            let mut one = asked.swap_remove(n % asked.len());
                            one.stamp.learn(epoch(one.at), one.generation);
                            kept.push(one);
                        }
                        Step::Gap => {
                            messages.clear();
                            generation += 1;
                            // The engine moves the epochs of all functions, which all entries bear.
                            kept.clear();
                        }
                        Step::Message(_) | Step::Answer(_) | Step::Told(_) => {}
                    }

                    for one in &kept {
                        prop_assert!(
                            one.at >= told_of || one.generation < generation || !one.stamp.is_current(),
                            "read at {} and current after the invalidation {told_of}", one.at
                        );
                    }
                    if let Some(known) = cell.known(generation) {
                        prop_assert!(known.micros >= told_of, "{known:?} is known after {told_of}");
                        // Whatever came after what is known will be told.
                        let missed = invalidations.iter().find(|n| **n > known.micros && !messages.contains(n));
                        prop_assert_eq!(missed, None, "missed after {:?}", known);
                    }
                }

                // The next message settles what is known.
                let last = epoch(server + 1);
                cell.heard(last, generation);
                prop_assert!(cell.known(generation).is_none_or(|known| known == last));
            }
        }
    }
}
