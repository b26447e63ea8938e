//! Which keys were removed lately.
//!
//! The removal of an entry moves no epoch: it takes the entry out of the local tier, and the flight away from later callers. Who
//! holds a value that lies in neither, since it was read from the shared tier and is not usable as it is, finds out here.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::Key;

/// Keys of one remainder see each other's removals. The worst of that is that a stale value does not stand in.
const PLACES: usize = 1024;

/// How often keys were removed, by their hashes.
#[derive(Debug)]
pub(super) struct Removals {
    counts: Box<[AtomicU64]>,
    hash: foldhash::fast::RandomState,
}

/// Where the removals of a key are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

/// How often the keys of a place had been removed at some moment.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Removed {
    place: Place,
    count: u64,
}

impl Default for Removals {
    fn default() -> Self {
        Self { counts: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), hash: Default::default() }
    }
}

impl Removals {
    /// The place of `key`.
    pub(super) fn place(&self, key: &Key) -> Place {
        Place(self.hash.hash_one(key.view()) as usize % PLACES)
    }

    /// `key` is about to be removed: before its flight is taken away, so that whoever begins another one sees it.
    pub(super) fn note(&self, key: &Key) {
        self.counts[self.place(key).0].fetch_add(1, Ordering::AcqRel);
    }

    /// The count now, to be compared later.
    pub(super) fn now(&self, place: Place) -> Removed {
        Removed { place, count: self.counts[place.0].load(Ordering::Acquire) }
    }

    /// Whether no key of that place was removed since.
    pub(super) fn is_still(&self, removed: Removed) -> bool {
        self.now(removed.place).count == removed.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_shows_to_who_looked_before_it_and_to_nobody_else() {
        let removals = Removals::default();
        let key = |id: u32| Key::of("dish", id).unwrap();
        let before = removals.now(removals.place(&key(1)));
        let other = (2..).find(|id| removals.place(&key(*id)).0 != before.place.0).map(key).unwrap();
        let of_other = removals.now(removals.place(&other));

        removals.note(&key(1));

        assert!(!removals.is_still(before) && removals.is_still(of_other));
        assert!(
            removals.is_still(removals.now(before.place)),
            "who looks afterwards sees what came afterwards"
        );
    }
}
