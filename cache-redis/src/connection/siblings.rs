//! What the connections to one server have in common: all of them lead to the same one.
//!
//! A fail-over may leave the old server alive, and with it the connections that are open, while new ones lead to the
//! server that takes its place. What is invalidated by one connection would then be read by another one. So the first
//! connection that finds another server begins an **era**, and none of an earlier era is used any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::recent::Share;

/// Which server the connections of a [`Links`](super::links::Links) lead to.
#[derive(Debug)]
pub(crate) struct Siblings {
    era: AtomicU64,
    /// `None` before the first connection.
    server: Mutex<Option<Server>>,
    recent: Share,
}

#[derive(Debug)]
struct Server {
    run: String,
    /// Whether it may still lack what was changed elsewhere before it was found.
    lacks: bool,
}

/// How a connection belongs to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) era: u64,
    /// Whether the server is to be given the recent changes before the connection is used.
    pub(super) lacks: bool,
}

impl Siblings {
    /// With the changes that another server may lack.
    pub(super) fn new(recent: Share) -> Self {
        Self { era: AtomicU64::new(0), server: Mutex::default(), recent }
    }

    /// The era that a connection has to be of to be used.
    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    pub(super) fn recent(&self) -> &Share {
        &self.recent
    }

    /// Whether they lead to another server than that of this run.
    pub(super) fn are_elsewhere(&self, run: &str) -> bool {
        self.lock().as_ref().is_some_and(|server| server.run != run)
    }

    /// A connection to the server of this run has come. If the others lead elsewhere, an era begins with it.
    pub(super) fn join(&self, run: &str) -> Joined {
        let mut server = self.lock();
        let is_another = server.as_ref().is_some_and(|server| server.run != run);
        if is_another || server.is_none() {
            *server = Some(Server { run: run.to_owned(), lacks: is_another });
        }
        if is_another {
            // In this order: who sees the move finds no connection of the era before, and what was noted without
            // seeing it is given to the server.
            self.era.fetch_add(1, Ordering::AcqRel);
            self.recent.has_moved();
        }
        Joined { era: self.era(), lacks: server.as_ref().is_some_and(|server| server.lacks) }
    }

    /// The server of this era has what was changed elsewhere before it was found.
    pub(super) fn are_made_up_for(&self, era: u64) {
        let mut server = self.lock();
        // Not if another one was found meanwhile. If the era ended otherwise, the next connection does it again.
        if let Some(server) = server.as_mut().filter(|_| self.era() == era) {
            server.lacks = false;
        }
    }

    /// The server of this era says that it is not the one to be asked: all connections are made anew.
    pub(super) fn leave(&self, era: u64) {
        // If that fails, another one has said so.
        let _ = self.era.compare_exchange(era, era + 1, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::recent::Recent;

    fn siblings() -> (Siblings, Arc<Recent>) {
        let recent = Arc::default();
        (Siblings::new(Share::all(&recent)), recent)
    }

    #[test]
    fn the_first_that_finds_another_server_begins_an_era() {
        let (siblings, recent) = siblings();

        assert_eq!(siblings.join("a"), Joined { era: 0, lacks: false });
        assert_eq!(siblings.join("a"), Joined { era: 0, lacks: false });
        assert!(siblings.are_elsewhere("b"));
        assert_eq!(siblings.join("b"), Joined { era: 1, lacks: true });

        assert_eq!((siblings.era(), recent.moves()), (1, 1));
        assert!(!siblings.are_elsewhere("b") && siblings.are_elsewhere("a"));
    }

    #[test]
    fn each_connection_gives_the_server_what_it_lacks_until_one_has_done_so() {
        let (siblings, _) = siblings();
        siblings.join("a");
        let first = siblings.join("b");

        assert_eq!(siblings.join("b"), first);
        siblings.are_made_up_for(first.era);

        assert_eq!(siblings.join("b"), Joined { lacks: false, ..first });
    }

    #[test]
    fn what_one_server_was_given_another_lacks() {
        let (siblings, _) = siblings();
        siblings.join("a");
        let first = siblings.join("b");

        let second = siblings.join("a");
        siblings.are_made_up_for(first.era);

        assert_eq!(siblings.join("a"), second);
        assert!(second.lacks);
    }

    #[test]
    fn a_server_is_left_once() {
        let (siblings, _) = siblings();
        let Joined { era, .. } = siblings.join("a");

        siblings.leave(era);
        siblings.leave(era);

        assert_eq!(siblings.join("a"), Joined { era: era + 1, lacks: false });
    }
}
