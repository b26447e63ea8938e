//! Which of the connections a call takes, and how long it may take.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::room::Room;
use crate::config::Config;

/// Values above this do not share a connection with small ones, which they would delay.
pub(crate) const LARGE: usize = 64 << 10;
pub(crate) const MIB: usize = 1 << 20;
/// What counts as the size of a value that did not come in time, and may be large.
pub(crate) const MAYBE_LARGE: usize = LARGE + 1;
/// The sizes of values above this are remembered: many of them are large together.
const REMEMBERED: usize = 8 << 10;

/// Decides which connection a call takes.
#[derive(Debug)]
pub(crate) struct Traffic {
    next: AtomicUsize,
    sizes: Sizes,
    room: Room,
    time_limit: Duration,
    large_connections: usize,
}

/// A kind of connection, and the time that a call on it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    pub(crate) way: Way,
    pub(crate) limit: Duration,
}

/// One of the connections to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// For small values: reads go together.
    Small,
    /// For large ones; they take turns.
    Large(usize),
    /// For `WAIT`, which counts what its own connection wrote, and holds up all that comes behind it.
    Waiting,
}

impl Traffic {
    pub(crate) fn new(config: &Config) -> Self {
        let large_connections = config.large_value_connections.max(1);
        Self {
            next: AtomicUsize::new(0),
            sizes: Sizes::default(),
            room: Room::new(large_connections),
            time_limit: config.time_limit,
            large_connections,
        }
    }

    /// Room for what is sent.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// For what has no size to speak of.
    pub(crate) fn small(&self) -> Lane {
        Lane { way: Way::Small, limit: self.time_limit }
    }

    /// For a value of this size.
    pub(crate) fn sized(&self, bytes: usize) -> Lane {
        if bytes <= LARGE {
            return self.small();
        }
        let way = Way::Large(self.next.fetch_add(1, Ordering::Relaxed));
        let mib = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
        Lane { way, limit: self.time_limit.saturating_mul(mib.saturating_add(1)) }
    }

    /// For what is stored under a name. Its size is not known before it comes, so the first large value delays
    /// others once, and is remembered.
    pub(crate) fn stored(&self, name: &str) -> Lane {
        self.sized(self.size_of(name))
    }

    /// How large what is stored under a name is, as far as is known; 0 if it is not.
    pub(crate) fn size_of(&self, name: &str) -> usize {
        self.sizes.of(name)
    }

    /// Remembers how large a value is.
    pub(crate) fn has_size(&self, name: &str, bytes: usize) {
        self.sizes.set(name, if bytes > REMEMBERED { bytes } else { 0 });
    }

    /// It did not come in time, perhaps because it is large.
    pub(crate) fn may_be_large(&self, name: &str) {
        self.sizes.set(name, self.size_of(name).max(MAYBE_LARGE));
    }

    /// How many connections large values take turns on.
    pub(crate) fn large_connections(&self) -> usize {
        self.large_connections
    }

    /// For `WAIT`: that of those who came before, and the own one.
    pub(crate) fn waiting(&self, timeout: Duration) -> Lane {
        Lane { way: Way::Waiting, limit: self.time_limit.saturating_add(timeout.saturating_mul(2)) }
    }
}

/// Remembers the sizes of large values by the hashes of their names. Of two in one place the later one stays: a
/// wrong guess costs some delay, no more.
struct Sizes {
    hash: RandomState,
    /// 32 bits of the hash, and 32 of the size. 0 for none.
    places: Box<[AtomicU64]>,
    /// Whether there was any large value: most programs have none, and need not look.
    has_any: AtomicBool,
}

const PLACES: usize = 1024;

impl Default for Sizes {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { hash: RandomState::new(), places, has_any: AtomicBool::new(false) }
    }
}

impl std::fmt::Debug for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sizes").field("has_any", &self.has_any).finish_non_exhaustive()
    }
}

impl Sizes {
    fn place(&self, name: &str) -> (&AtomicU64, u64) {
        let hash = self.hash.hash_one(name);
        (&self.places[hash as usize % PLACES], hash >> 32)
    }

    fn of(&self, name: &str) -> usize {
        if !self.has_any.load(Ordering::Relaxed) {
            return 0;
        }
        let (place, hash) = self.place(name);
        let kept = place.load(Ordering::Relaxed);
        if kept >> 32 == hash { kept as u32 as usize } else { 0 }
    }

    fn set(&self, name: &str, bytes: usize) {
        if bytes != 0 {
            self.has_any.store(true, Ordering::Relaxed);
        } else if !self.has_any.load(Ordering::Relaxed) {
            return;
        }
        let (place, hash) = self.place(name);
        let size = u64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let kept = place.load(Ordering::Relaxed);
        // Small values are many: they only take away what was remembered of themselves.
        let is_its_own = kept >> 32 == hash && kept != 0;
        if size != 0 || is_its_own {
            place.store(if size == 0 { 0 } else { hash << 32 | size }, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_values_are_remembered_until_they_are_small() {
        let sizes = Sizes::default();

        sizes.set("a", 1 << 20);
        sizes.set("other", 0);

        assert_eq!((sizes.of("a"), sizes.of("other")), (1 << 20, 0));
        sizes.set("a", 0);
        assert_eq!(sizes.of("a"), 0);
    }
}
