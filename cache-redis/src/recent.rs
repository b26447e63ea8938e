//! The invalidations of the last seconds, for the case that another server takes the place of the one that has them.
//!
//! Replication is asynchronous: a replica that is promoted may lack what was invalidated shortly before, and then the
//! old entries are current again. So what this process has invalidated is repeated there before anything is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::command::Command;

/// How long a change is kept after it was made, while others follow it.
const KEPT: Duration = Duration::from_secs(10);
/// How old a change may be that is repeated: a fail-over takes its time.
const OLDEST: Duration = Duration::from_secs(60);
/// So many changes are kept at most; the oldest go first.
const CAPACITY: usize = 10_000;

/// The changes that were made lately.
#[derive(Default)]
pub(crate) struct Recent {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    changes: VecDeque<(Moment, Command)>,
    /// The number of the first of them: how many were kept before.
    first: u64,
    /// How often another server was found.
    moves: u64,
}

impl Recent {
    /// How often another server was found by now. To be asked before a change is sent, and told when it is noted.
    pub(crate) fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// Changes were made. Notes nothing and tells so if another server was found since `moves`: it was given what
    /// was noted by then, and these it may lack, so they are to be made again.
    #[must_use]
    pub(crate) fn note(&self, moves: u64, commands: impl IntoIterator<Item = Command>) -> bool {
        let now = Moment::now();
        let mut state = self.lock();
        if state.moves != moves {
            return false;
        }
        state.changes.extend(commands.into_iter().map(|command| (now, command)));
        while state.changes.len() > CAPACITY
            || state.changes.front().is_some_and(|(made, _)| now.since(*made) > KEPT)
        {
            state.changes.pop_front();
            state.first += 1;
        }
        true
    }

    /// Another server was found. Whoever asks for the changes afterwards gets all that are not made again.
    pub(crate) fn has_moved(&self) {
        self.lock().moves += 1;
    }

    /// Lets `give` keep for other servers what they may lack, and send calls there: nothing is noted meanwhile. It
    /// tells whether it found any.
    #[cfg(feature = "cluster")]
    pub(crate) fn may_move(&self, give: impl FnOnce(&mut dyn Iterator<Item = &Command>) -> bool) {
        let mut state = self.lock();
        let has_moved = give(&mut state.young(0));
        state.moves += u64::from(has_moved);
    }

    /// The changes from the one of a number on, and the number of the next one.
    pub(crate) fn since(&self, number: u64) -> (Vec<Command>, u64) {
        let state = self.lock();
        (state.young(number).cloned().collect(), state.first + state.changes.len() as u64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The changes from the one of a number on that are to be repeated.
    fn young(&self, number: u64) -> impl Iterator<Item = &Command> {
        let now = Moment::now();
        let skipped = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let from_there = self.changes.iter().skip(skipped);
        from_there.filter(move |(made, _)| now.since(*made) <= OLDEST).map(|(_, command)| command)
    }
}

/// Those of the changes that one server can lack: all of them, or of a cluster those of its slots.
#[derive(Clone)]
pub(crate) struct Share {
    recent: Arc<Recent>,
    concerns: Arc<dyn Fn(&Command) -> bool + Send + Sync>,
}

impl Share {
    pub(crate) fn all(recent: &Arc<Recent>) -> Self {
        Self::of(recent, |_| true)
    }

    /// Those for which `concerns` holds by the time they are asked for.
    pub(crate) fn of(
        recent: &Arc<Recent>,
        concerns: impl Fn(&Command) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { recent: Arc::clone(recent), concerns: Arc::new(concerns) }
    }

    /// See [`Recent::has_moved`].
    pub(crate) fn has_moved(&self) {
        self.recent.has_moved();
    }

    /// See [`Recent::since`].
    pub(crate) fn since(&self, number: u64) -> (Vec<Command>, u64) {
        let (mut changes, next) = self.recent.since(number);
        changes.retain(&*self.concerns);
        (changes, next)
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").field("changes", &self.lock().changes.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").field("recent", &self.recent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(n: usize) -> Command {
        Command::on_key("DEL", &n.to_string())
    }

    fn bytes(changes: &[Command]) -> Vec<Vec<u8>> {
        changes.iter().map(|change| change.cmd().get_packed_command()).collect()
    }

    #[test]
    fn what_was_sent_before_another_server_was_found_is_made_again() {
        let recent = Recent::default();
        let moves = recent.moves();

        assert!(recent.note(moves, [change(1)]));
        recent.has_moved();
        assert!(!recent.note(moves, [change(2)]));
        assert!(recent.note(recent.moves(), [change(3)]));

        assert_eq!(bytes(&recent.since(0).0), bytes(&[change(1), change(3)]));
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn who_looks_for_other_servers_and_finds_none_lets_changes_be_noted() {
        let recent = Recent::default();
        assert!(recent.note(0, [change(1)]));

        recent.may_move(|changes| changes.count() == 0);
        assert!(recent.note(0, [change(2)]));
        recent.may_move(|changes| changes.count() == 2);

        assert!(!recent.note(0, [change(3)]));
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn a_server_lacks_what_concerns_it() {
        let recent = Arc::<Recent>::default();
        let share = Share::of(&recent, |change| change.key() == Some(b"2"));

        assert!(recent.note(0, (1..=3).map(change)));

        let (lacked, next) = share.since(0);
        assert_eq!((bytes(&lacked), next), (bytes(&[change(2)]), 3));
        assert!(share.since(next).0.is_empty());
    }

    #[test]
    fn only_what_came_since_is_given_again() {
        let recent = Recent::default();
        assert!(recent.note(0, [change(1), change(2)]));

        let (_, next) = recent.since(0);
        assert!(recent.note(0, [change(3)]));

        assert_eq!(bytes(&recent.since(next).0), bytes(&[change(3)]));
        assert!(recent.since(next + 1).0.is_empty());
    }

    #[test]
    fn too_many_push_the_oldest_out() {
        let recent = Recent::default();

        assert!(recent.note(0, (0..CAPACITY + 5).map(change)));

        let (kept, next) = recent.since(0);
        assert_eq!((kept.len(), next), (CAPACITY, CAPACITY as u64 + 5));
        assert_eq!(bytes(&kept[..1]), bytes(&[change(5)]));
        assert_eq!(bytes(&recent.since(next - 1).0), bytes(&[change(CAPACITY + 4)]));
    }
}
