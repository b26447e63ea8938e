//! Invalidations that a slot still lacks. Until it has them, nothing is asked of it.
//!
//! Either its node could not be reached, or another one has taken its place and may not have them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::slot;
use crate::command::Command;

/// So many are kept at most.
const CAPACITY: usize = 10_000;

/// The changes that are to be made, by slot, in their order.
#[derive(Default)]
pub(super) struct Kept {
    slots: Mutex<HashMap<u16, Vec<Command>>>,
    count: AtomicUsize,
}

impl Kept {
    /// Keeps a change for later; tells whether there was room.
    pub(super) fn push(&self, change: &Command) -> bool {
        let Some(key) = change.key() else { return false };
        let (mut slots, at) = (self.lock(), slot::of(key));
        let of_slot = slots.entry(at).or_default();
        // One of the same kind on the same key says it all.
        let known = of_slot.len();
        of_slot.retain(|other| !other.is_like(change));
        let replaced = known - of_slot.len();
        let count = self.count.load(Ordering::Relaxed) - replaced;
        let has_room = count < CAPACITY;
        if has_room {
            of_slot.push(change.clone());
        } else if of_slot.is_empty() {
            slots.remove(&at);
        }
        self.count.store(count + usize::from(has_room), Ordering::Release);
        has_room
    }

    /// Whether a slot lacks any.
    pub(super) fn concerns(&self, slot: u16) -> bool {
        !self.is_empty() && self.lock().contains_key(&slot)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// What the slots lack.
    pub(super) fn all(&self) -> Vec<(u16, Vec<Command>)> {
        self.lock().iter().map(|(slot, changes)| (*slot, changes.clone())).collect()
    }

    /// A change was made without waiting its turn: an earlier one of the same kind is superfluous.
    pub(super) fn is_made(&self, change: &Command) {
        if self.is_empty() {
            return;
        }
        let Some(slot) = change.key().map(slot::of) else { return };
        let like =
            self.lock().get(&slot).and_then(|kept| kept.iter().find(|kept| kept.is_like(change)).cloned());
        if let Some(like) = like {
            self.done(slot, &[like]);
        }
    }

    /// `made` were made; what came meanwhile stays.
    pub(super) fn done(&self, slot: u16, made: &[Command]) {
        let mut slots = self.lock();
        let Some(changes) = slots.get_mut(&slot) else { return };
        let before = changes.len();
        changes.retain(|change| !made.iter().any(|made| made.is_same(change)));
        let done = before - changes.len();
        if changes.is_empty() {
            slots.remove(&slot);
        }
        self.count.fetch_sub(done, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, Vec<Command>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::script::{EXPIRE, INVALIDATE};

    fn change(script: &'static crate::command::script::Script, key: &str) -> Command {
        Command::script(script, &[key, key]).arg("channel")
    }

    #[test]
    fn a_slot_lacks_what_was_kept_until_it_is_done() {
        let kept = Kept::default();
        let (a, slot) = (change(&INVALIDATE, "a"), slot::of(b"a"));
        assert!(kept.push(&a) && kept.push(&change(&INVALIDATE, "a")) && kept.push(&change(&EXPIRE, "a")));
        assert!(kept.concerns(slot) && !kept.concerns(slot + 1));

        let all = kept.all();
        assert_eq!((all.len(), all[0].1.len()), (1, 2));
        kept.done(slot, &all[0].1[..1]);
        assert!(kept.concerns(slot));
        kept.done(slot, &all[0].1);

        assert!(kept.is_empty() && !kept.concerns(slot));
    }

    #[test]
    fn there_is_an_end_to_it() {
        let kept = Kept::default();
        for n in 0..CAPACITY {
            assert!(kept.push(&change(&INVALIDATE, &n.to_string())));
        }

        assert!(!kept.push(&change(&INVALIDATE, "one more")));
        assert!(kept.push(&change(&INVALIDATE, "1")), "it is there already");
        for (slot, made) in kept.all() {
            kept.done(slot, &made);
        }
        assert!(kept.is_empty());
    }
}
