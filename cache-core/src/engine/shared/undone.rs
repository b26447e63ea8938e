//! Invalidations that could not reach the shared tier.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::{EntryKey, TagKey};

/// So many are kept one by one. Beyond, one for everything stands for all.
const CAPACITY: usize = 10_000;

/// So many are made in one go: more than come meanwhile.
const AT_ONCE: usize = 500;

/// A change of the shared tier that keeps old values from being served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// Removes an entry.
    Invalidate(EntryKey),
    /// Makes an entry stale, and keeps it for so long.
    Expire(EntryKey, Duration),
    /// Moves the epoch of a tag, and keeps it for so long.
    Move(TagKey, Duration),
}

/// The changes that are to be made when the shared tier is back, in their order.
///
/// While there are any, nothing is read from the shared tier: what this process invalidated does not come back from
/// there.
#[derive(Debug, Default)]
pub(super) struct Undone {
    queue: Mutex<Queue>,
    is_waiting: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Change>,
    known: HashSet<Change>,
    /// Those that are being made.
    underway: HashSet<Change>,
    /// Those of them that were asked for once more meanwhile: then they may have been made too early.
    due_again: HashSet<Change>,
}

impl Undone {
    /// Whether there are any.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Acquire)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Keeps `change` for later. `tag_life` is how long epochs are kept that more than a few changes end in.
    pub(super) fn push(&self, change: Change, tag_life: Duration) {
        let mut queue = self.lock();
        let everything = Change::Move(TagKey::Everything, tag_life);
        if queue.known.contains(&everything) {
            queue.push(everything);
        } else if queue.order.len() >= CAPACITY {
            *queue = Queue::default();
            queue.push(everything);
        } else {
            queue.push(change);
        }
        self.is_waiting.store(true, Ordering::Release);
    }

    /// The changes that are to be made now, in one go; they stay until they are [`done`](Self::done).
    pub(super) fn next(&self) -> Vec<Change> {
        let mut queue = self.lock();
        let next: Vec<Change> = queue.order.iter().take(AT_ONCE).cloned().collect();
        queue.underway = next.iter().cloned().collect();
        queue.due_again.clear();
        next
    }

    /// `changes` were made.
    pub(super) fn done(&self, changes: &[Change]) {
        let mut queue = self.lock();
        queue.underway.clear();
        let due_again = std::mem::take(&mut queue.due_again);
        for change in changes {
            // After an overflow another one is first.
            if queue.order.front() != Some(change) {
                break;
            }
            queue.order.pop_front();
            match due_again.contains(change) {
                true => queue.order.push_back(change.clone()),
                false => _ = queue.known.remove(change),
            }
        }
        self.is_waiting.store(!queue.order.is_empty(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, change: Change) {
        if self.underway.contains(&change) {
            self.due_again.insert(change.clone());
        }
        if self.known.insert(change.clone()) {
            self.order.push_back(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn change(n: usize) -> Change {
        Change::Invalidate(EntryKey::from(n.to_string()))
    }

    #[test]
    fn changes_are_made_in_their_order_and_once() {
        let undone = Undone::default();
        for n in [1, 2, 1] {
            undone.push(change(n), LIFE);
        }

        let mut made = Vec::new();
        loop {
            let next = undone.next();
            if next.is_empty() {
                break;
            }
            assert!(undone.is_waiting());
            undone.done(&next);
            made.extend(next);
        }

        assert_eq!(made, [change(1), change(2)]);
        assert!(!undone.is_waiting());
    }

    #[test]
    fn many_are_made_in_one_go_and_one_of_them_that_is_asked_for_meanwhile_again() {
        let undone = Undone::default();
        (0..AT_ONCE + 2).for_each(|n| undone.push(change(n), LIFE));
        let first = undone.next();
        assert_eq!(first.len(), AT_ONCE);

        undone.push(change(1), LIFE);
        undone.done(&first);

        assert_eq!(undone.next(), [change(AT_ONCE), change(AT_ONCE + 1), change(1)]);
    }

    #[test]
    fn a_change_that_is_asked_for_while_it_is_made_is_made_again() {
        let undone = Undone::default();
        undone.push(change(1), LIFE);
        let underway = undone.next();

        undone.push(change(1), LIFE);
        undone.done(&underway);

        assert!(undone.is_waiting());
        assert_eq!(undone.next(), [change(1)]);
        undone.done(&[change(1)]);
        assert!(!undone.is_waiting());
    }

    #[test]
    fn one_for_everything_that_is_being_made_is_made_again_for_what_comes_meanwhile() {
        let undone = Undone::default();
        for n in 0..=CAPACITY {
            undone.push(change(n), LIFE);
        }
        let everything = undone.next();

        undone.push(change(0), LIFE);
        undone.done(&everything);

        assert_eq!(undone.next(), everything);
    }

    #[test]
    fn a_change_that_failed_again_is_not_made_twice() {
        let undone = Undone::default();
        undone.push(change(1), LIFE);
        undone.next();
        undone.push(change(1), LIFE);

        let again = undone.next();
        undone.done(&again);

        assert!(!undone.is_waiting());
    }

    #[test]
    fn too_many_become_one_for_everything() {
        let undone = Undone::default();

        for n in 0..2 * CAPACITY {
            undone.push(change(n), LIFE);
        }

        assert_eq!(undone.next(), [Change::Move(TagKey::Everything, LIFE)]);
        assert_eq!(undone.len(), 1);
    }

    #[test]
    fn a_change_that_gave_way_to_one_for_everything_does_not_take_that_away() {
        let undone = Undone::default();
        undone.push(change(0), LIFE);
        let next = undone.next();
        for n in 1..=CAPACITY {
            undone.push(change(n), LIFE);
        }

        undone.done(&next);

        assert!(undone.is_waiting());
        assert_eq!(undone.len(), 1);
    }
}
