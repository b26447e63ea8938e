//! Counts a call once, whatever becomes of it.

use super::fetch::Plan;
use super::shared::Stored;
use super::{Cache, Function};
use crate::clock::Tick;
use crate::entry::refresh::is_due;
use crate::event::stats::Happening;
use crate::key::Key;

/// What a call is counted as.
pub(super) struct Tally<'f> {
    pub(super) cache: &'f Cache,
    key: &'f Key,
    pub(super) function: &'f Function,
    /// Whether a stale value may yet answer, so that a miss is only known to be one in the end.
    is_open: bool,
    pending: Option<Happening>,
    is_counted: bool,
    /// What it was counted as, for whoever traces it.
    pub(super) told: Option<Happening>,
    /// Which value of the shared tier answered, if it is to be recomputed.
    pub(super) due: Option<u64>,
}

impl<'f> Tally<'f> {
    /// For a call that a stale value may answer (`is_open`), or not.
    pub(super) fn new(cache: &'f Cache, function: &'f Function, key: &'f Key, is_open: bool) -> Self {
        Self { cache, key, function, is_open, pending: None, is_counted: false, told: None, due: None }
    }

    /// Says what the call is. The first word counts, unless a stale value answers in the end.
    pub(super) fn count(&mut self, what: Happening) {
        if self.is_counted {
            return;
        }
        if self.is_open && matches!(what, Happening::Miss(_) | Happening::Joined) {
            self.pending.get_or_insert(what);
            self.told = self.pending;
            return;
        }
        self.is_counted = true;
        // What was pending was on the way to a value.
        let what = self.pending.take().filter(|_| what != Happening::Stale).unwrap_or(what);
        self.told = Some(what);
        self.cache.count(self.function, self.key, what);
    }

    /// Notices whether a value of the shared tier is to be recomputed.
    pub(super) fn notice_due(&mut self, plan: &Plan, stored: &Stored, chance: f64) {
        let Some(refresh) = plan.remember.refresh else { return };
        // On a line on which the value was created at its age.
        let now = Tick::from_raw(0).later(stored.age);
        let fresh = stored.age.saturating_add(stored.fresh);
        let (due, end) = (refresh.due_after(fresh), Tick::from_raw(0).later(fresh));
        if is_due(now, Tick::from_raw(0).later(due), end, stored.cost, chance) {
            self.due = Some(stored.version);
        }
    }

    /// Whether it is known what the call is.
    pub(super) fn has_said(&self) -> bool {
        self.is_counted || self.told.is_some()
    }

    pub(super) fn count_hit(&mut self) {
        if !self.is_counted && self.pending.is_none() {
            self.is_counted = true;
            self.function.counters.hits.increment();
        }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.cache.count(self.function, self.key, pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::MissReason;
    use crate::function::Functions;

    #[test]
    fn a_call_is_counted_once_and_as_stale_if_a_stale_value_answered() {
        let (cache, functions) = (Cache::default(), Functions::default());
        let key = Key::of("f", 1).unwrap();
        let function = functions.of(key.identity());
        let counted = |is_open, said: &[Happening]| {
            let mut tally = Tally::new(&cache, &function, &key, is_open);
            said.iter().for_each(|what| tally.count(*what));
            drop(tally);
            let stats = function.counters.report(String::new());
            (stats.misses.total(), stats.joined, stats.stale)
        };
        let miss = Happening::Miss(MissReason::Expired);

        assert_eq!(counted(false, &[miss, Happening::Joined]), (1, 0, 0));
        assert_eq!(counted(true, &[Happening::Joined, miss]), (1, 1, 0));
        assert_eq!(counted(true, &[miss, Happening::Stale, miss]), (1, 1, 1));
        assert_eq!(counted(true, &[]), (1, 1, 1));
    }
}
