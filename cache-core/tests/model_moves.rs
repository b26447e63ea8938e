//! Every order in which hits, their checks and invalidations can meet, tried by loom.
//!
//! Compiles the engine's own files against loom's primitives.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

#[path = "../src/epochs/checked.rs"]
mod checked;

#[path = "../src/clock/tick.rs"]
#[allow(dead_code, reason = "the models use what they need")]
mod tick;

#[path = "../src/engine/trust.rs"]
#[allow(dead_code, reason = "the models use what they need")]
mod trust;

mod clock {
    pub(crate) use crate::tick::Tick;
}

/// What those files take from `crate::sync`, from loom.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

use std::time::Duration;

use checked::{Checked, Moves};
use clock::Tick;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;
use trust::Trust;

/// An entry that bears two tags, in small.
struct Entry {
    epochs: [AtomicU64; 2],
    moves: Moves,
    checked: Checked,
}

impl Entry {
    /// As `Cell::advance` does.
    fn invalidate(&self, tag: usize) {
        self.moves.make(|| _ = self.epochs[tag].fetch_max(1, Ordering::SeqCst));
    }

    /// As `Stamps::are_current` does.
    fn is_current(&self) -> bool {
        let is_as_it_was = |epoch: &AtomicU64| epoch.load(Ordering::Acquire) == 0;
        self.checked.still_holds(&self.moves)
            || self.checked.check(&self.moves, || self.epochs.iter().all(is_as_it_was))
    }
}

fn entry() -> Arc<Entry> {
    let epochs = [AtomicU64::new(0), AtomicU64::new(0)];
    Arc::new(Entry { epochs, moves: Moves(AtomicU64::new(Moves::FIRST)), checked: Checked::never() })
}

/// Twice: the second one may find what the first one noted.
fn hit_twice(entry: &Arc<Entry>) -> thread::JoinHandle<()> {
    let entry = entry.clone();
    thread::spawn(move || {
        entry.is_current();
        entry.is_current();
    })
}

#[test]
fn after_an_invalidation_nothing_that_was_noted_makes_a_hit() {
    loom::model(|| {
        let entry = entry();
        let hits = hit_twice(&entry);
        let has_returned = Arc::new(AtomicBool::new(false));
        let invalidation = {
            let (entry, has_returned) = (entry.clone(), has_returned.clone());
            thread::spawn(move || {
                entry.invalidate(1);
                has_returned.store(true, Ordering::Release);
            })
        };

        let is_after = has_returned.load(Ordering::Acquire);
        assert!(!(is_after && entry.is_current()), "a hit after the invalidation had returned");

        invalidation.join().unwrap();
        hits.join().unwrap();
        assert!(!entry.is_current() && !entry.is_current());
    });
}

#[test]
fn of_two_invalidations_at_once_each_ends_the_hits() {
    loom::model(|| {
        let entry = entry();
        let invalidation = {
            let entry = entry.clone();
            thread::spawn(move || {
                entry.is_current();
                entry.invalidate(0);
                assert!(!entry.is_current());
            })
        };

        entry.invalidate(1);
        assert!(!entry.is_current());

        invalidation.join().unwrap();
    });
}

#[test]
fn without_an_invalidation_one_check_is_enough() {
    loom::model(|| {
        let entry = entry();
        assert!(!entry.checked.still_holds(&entry.moves));

        assert!(entry.is_current());

        assert!(entry.checked.still_holds(&entry.moves));
    });
}

/// An entry that was begun long ago, asked `ask` while a new generation begins after a gap, in which an invalidation was lost.
fn asked_after_a_gap<T: Send + 'static>(ask: fn(&Trust, Tick, Tick, &Entry) -> T) -> T {
    let (entry, trust) = (entry(), Arc::new(Trust::none_yet(Duration::from_secs(2))));
    let (begun, now) = (Tick::from_raw(0), Tick::from_raw(100 << 32));
    let asked = {
        let (entry, trust) = (entry.clone(), trust.clone());
        thread::spawn(move || ask(&trust, now, begun, &entry))
    };

    trust.gap(now);
    entry.invalidate(0);
    trust.confirm(now);

    assert!(trust.is_given(now));
    asked.join().unwrap()
}

#[test]
fn what_a_gap_hid_makes_no_hit_when_the_bus_is_trusted_again() {
    loom::model(|| {
        let is_hit =
            asked_after_a_gap(|trust, now, begun, entry| trust.vouches(now, begun, || entry.is_current()));
        assert!(!is_hit, "an old epoch, and the trust of the next generation");
    });
}

#[test]
fn nor_does_it_where_more_is_asked() {
    loom::model(|| {
        let (for_fresh, for_stale, is_current) =
            asked_after_a_gap(|trust, now, begun, entry| trust.before(now, begun, || entry.is_current()));
        assert!(!(for_fresh && is_current), "an old epoch, and the trust of the next generation");
        // Whatever its epoch is: it was begun before the gap.
        assert!(!for_stale);
    });
}
