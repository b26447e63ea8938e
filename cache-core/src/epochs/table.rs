//! The table of all epochs that this process knows.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Cell, Stamp, Stamps, draw};
use crate::entry::epoch::Epoch;
use crate::key::Tag;

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
    /// The number that was drawn when it began.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The epochs of `tags` now; `None` if one of them may have been invalidated since the computation began.
    pub(crate) fn stamp(&self, tags: &[Tag]) -> Option<Box<[Stamp]>> {
        if tags.is_empty() {
            return Some(Box::default());
        }
        // First: what is invalidated from here on shows in the stamps.
        let stamps = self.table.stamp(tags);
        // An answer of the shared tier may have been the first to tell of an invalidation.
        if stamps.iter().any(|stamp| stamp.has_moved_since(self.number)) {
            return None;
        }
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

    pub(super) fn cell(&self, tag: &Tag) -> Arc<Cell> {
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
}
