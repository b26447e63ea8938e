//! Tells this process's own messages from those that still have to be applied.
//!
//! Whoever changes a key in the shared tier changes the local tier when the answer has come. The message of the same
//! change comes back over the bus, before the answer or after it. Applied again, it would remove what was filled
//! since.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::EntryKey;

/// So many keys are kept in mind beside those of changes under way. What is forgotten is applied again, which costs a miss.
const MOST: usize = 10_000;

/// The changes of this process whose messages are expected.
#[derive(Debug, Default)]
pub(super) struct Echoes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    keys: HashMap<EntryKey, Expected>,
    /// Changes that were under way at the last look for what to forget: the next look is when there are twice as many keys.
    left: usize,
}

#[derive(Debug, Default)]
struct Expected {
    /// Changes without an answer yet.
    underway: u32,
    /// Changes that were answered, less messages that were heard. Below zero: a message came before its answer.
    due: i64,
}

/// A change of a key, from before it is sent until it was answered. Dropped without an answer it has failed, and its
/// message, if there is one, will be applied.
#[derive(Debug)]
pub(in crate::engine) struct Underway<'e> {
    echoes: &'e Echoes,
    key: EntryKey,
    is_answered: bool,
}

impl Echoes {
    /// A change of `key` is about to be sent.
    pub(super) fn begin(&self, key: &EntryKey) -> Underway<'_> {
        let mut table = self.lock();
        // Messages that never came, of a bus that lost them without a gap.
        if table.keys.len() >= MOST.max(2 * table.left) {
            table.keys.retain(|_, expected| expected.underway > 0);
            table.left = table.keys.len();
        }
        table.keys.entry(key.clone()).or_default().underway += 1;
        drop(table);
        Underway { echoes: self, key: key.clone(), is_answered: false }
    }

    /// Whether a change of `key` waits for its answer.
    pub(super) fn is_underway(&self, key: &EntryKey) -> bool {
        self.lock().keys.get(key).is_some_and(|expected| expected.underway > 0)
    }

    /// A message about `key` from this process was heard: whether it is an echo, to be skipped.
    pub(super) fn is_echo(&self, key: &EntryKey) -> bool {
        let mut table = self.lock();
        let Some(expected) = table.keys.get_mut(key) else { return false };
        if expected.underway == 0 && expected.due <= 0 {
            return false;
        }
        expected.due -= 1;
        if expected.is_settled() {
            table.keys.remove(key);
        }
        true
    }

    /// Messages may be missing: none is expected any more.
    pub(super) fn forget(&self) {
        self.lock().keys.retain(|_, expected| {
            expected.due = 0;
            expected.underway > 0
        });
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    /// Below zero with nothing under way: the change whose message was heard has failed towards its caller, and was
    /// applied here then.
    fn is_settled(&self) -> bool {
        self.underway == 0 && self.due <= 0
    }
}

impl Underway<'_> {
    /// The change was answered: its caller applies it here.
    pub(in crate::engine) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let mut table = self.echoes.lock();
        let Some(expected) = table.keys.get_mut(&self.key) else { return };
        expected.underway -= 1;
        expected.due += i64::from(self.is_answered);
        if expected.is_settled() {
            table.keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> EntryKey {
        EntryKey::from("menu_of:v0:42")
    }

    #[test]
    fn a_message_after_its_answer_is_an_echo_once() {
        let echoes = Echoes::default();
        echoes.begin(&key()).answered();

        assert!(echoes.is_echo(&key()));
        assert!(!echoes.is_echo(&key()));
    }

    #[test]
    fn a_message_before_its_answer_is_an_echo_once() {
        let echoes = Echoes::default();
        let underway = echoes.begin(&key());

        assert!(echoes.is_echo(&key()));
        underway.answered();
        assert!(!echoes.is_echo(&key()));
    }

    #[test]
    fn the_message_of_a_change_that_failed_is_applied() {
        let echoes = Echoes::default();
        drop(echoes.begin(&key()));

        assert!(!echoes.is_echo(&key()));
    }

    #[test]
    fn a_message_that_was_lost_does_not_hide_a_later_one() {
        let echoes = Echoes::default();
        echoes.begin(&key()).answered();

        echoes.forget();

        assert!(!echoes.is_echo(&key()));
    }

    #[test]
    fn nothing_is_kept_of_what_is_settled() {
        let echoes = Echoes::default();
        for is_heard_first in [true, false] {
            let underway = echoes.begin(&key());
            if is_heard_first {
                echoes.is_echo(&key());
            }
            underway.answered();
            echoes.is_echo(&key());
        }

        assert!(echoes.lock().keys.is_empty());
    }

    #[test]
    fn messages_that_never_come_are_forgotten_and_changes_under_way_are_not() {
        let echoes = Echoes::default();
        let keys = |from: usize, count: usize| (from..from + count).map(|n| EntryKey::from(n.to_string()));
        let underway: Vec<_> = keys(0, 2 * MOST).map(|key| echoes.begin(&key)).collect();
        for key in keys(2 * MOST, 5 * MOST) {
            echoes.begin(&key).answered();
            assert!(echoes.lock().keys.len() <= 4 * MOST);
        }

        assert!(keys(0, 2 * MOST).all(|key| echoes.is_underway(&key)));
        drop(underway);
        for key in keys(7 * MOST, 3 * MOST) {
            echoes.begin(&key).answered();
        }
        assert!(echoes.lock().keys.len() <= 4 * MOST);
    }
}
