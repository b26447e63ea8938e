//! The invalidations of the last seconds, for the case that another server takes the place of the one that has them.
//!
//! Replication is asynchronous: a replica that is promoted may lack what was invalidated shortly before, and then the
//! old entries are current again. So what this process has invalidated is repeated there before anything is read.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::command::Command;

/// How long a change is kept after it was made, while others follow it.
const KEPT: Duration = Duration::from_secs(10);
/// How old a change may be that is repeated: a fail-over takes its time.
const OLDEST: Duration = Duration::from_secs(60);
/// So many changes are kept at most; the oldest go first.
const CAPACITY: usize = 10_000;

/// The changes that were made lately, and by which server.
#[derive(Default)]
pub(crate) struct Recent {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    changes: VecDeque<(Moment, Command)>,
    /// What the server calls its run.
    run: Option<String>,
}

impl Recent {
    /// Changes were made.
    pub(crate) fn note(&self, commands: impl IntoIterator<Item = Command>) {
        let now = Moment::now();
        let mut state = self.lock();
        state.changes.extend(commands.into_iter().map(|command| (now, command)));
        while state.changes.len() > CAPACITY
            || state.changes.front().is_some_and(|(made, _)| now.since(*made) > KEPT)
        {
            state.changes.pop_front();
        }
    }

    /// The changes that a server of this run may lack: none if it is the run that made them.
    pub(crate) fn lacked_by(&self, run: &str) -> Vec<Command> {
        let state = self.lock();
        match &state.run {
            Some(known) if known != run => state.changes().collect(),
            _ => Vec::new(),
        }
    }

    /// The changes of names for which `concerns` holds.
    #[cfg(feature = "cluster")]
    pub(crate) fn that(&self, concerns: impl Fn(&[u8]) -> bool) -> Vec<Command> {
        self.lock().changes().filter(|command| command.key().is_some_and(&concerns)).collect()
    }

    /// A server of this run has all of them.
    pub(crate) fn is_with(&self, run: &str) {
        self.lock().run = Some(run.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn changes(&self) -> impl Iterator<Item = Command> {
        let now = Moment::now();
        self.changes
            .iter()
            .filter(move |(made, _)| now.since(*made) <= OLDEST)
            .map(|(_, command)| command.clone())
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").field("changes", &self.lock().changes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(n: usize) -> Command {
        Command::on_key("DEL", &n.to_string())
    }

    #[test]
    fn only_another_run_lacks_what_was_made() {
        let recent = Recent::default();
        recent.note([change(1)]);
        assert!(recent.lacked_by("a").is_empty(), "the first one");
        recent.is_with("a");

        assert!(recent.lacked_by("a").is_empty());
        assert_eq!(recent.lacked_by("b").len(), 1);
        recent.is_with("b");
        assert!(recent.lacked_by("b").is_empty());
    }

    #[test]
    fn too_many_push_the_oldest_out() {
        let recent = Recent::default();
        recent.is_with("a");

        recent.note((0..CAPACITY + 5).map(change));

        let kept = recent.lacked_by("b");
        assert_eq!(kept.len(), CAPACITY);
        assert_eq!(kept[0].cmd().get_packed_command(), change(5).cmd().get_packed_command());
    }
}
