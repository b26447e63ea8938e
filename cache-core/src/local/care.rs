//! What an entry needs whose function has `grace` or `refresh`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Tick;
use crate::entry::refresh::{self, Refresh};

/// Into how many parts of its `idle` time the last use of an entry is told.
const MARKS: u32 = 16;

/// Beside an entry, so that those without it are no larger.
#[derive(Debug)]
pub(crate) struct Care {
    /// Raw ticks: until when it may stand in; 0 without grace.
    stale_until: AtomicU64,
    grace: Duration,
    pub(super) upkeep: Option<Upkeep>,
}

/// What an entry needs to be recomputed before it is stale.
#[derive(Debug)]
pub(crate) struct Upkeep {
    refresh: Refresh,
    due: Tick,
    /// Until when it is fresh where it is kept longest: here it may be kept for less than in the shared tier.
    fresh_anywhere_until: Tick,
    cost: Duration,
    /// Which value of the shared tier it is, if it is there.
    version: Option<u64>,
    /// Raw ticks: a failure was just seen, and it is not tried before.
    not_before: AtomicU64,
    /// Whether a refresh was asked for and has not failed.
    is_asked: AtomicBool,
    /// About how often it was used.
    uses: AtomicU64,
    /// Raw ticks: when it was used last, told in parts of `idle`.
    used_at: AtomicU64,
    is_scheduled: AtomicBool,
}

/// What a read finds to be done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attention {
    Nothing,
    /// It is to be recomputed in the background.
    Refresh,
    /// It is to be kept warm from now on.
    Schedule,
}

impl Care {
    /// For an entry that is fresh until `fresh_until` and stands in for `rest` more; once it was expired, for `grace`.
    pub(crate) fn new(fresh_until: Tick, rest: Duration, grace: Duration, upkeep: Option<Upkeep>) -> Self {
        let stale_until = if rest.is_zero() { 0 } else { fresh_until.later(rest).raw() };
        Self { stale_until: AtomicU64::new(stale_until), grace, upkeep }
    }

    #[inline]
    pub(super) fn stale_until(&self) -> Tick {
        Tick::from_raw(self.stale_until.load(Ordering::Acquire))
    }

    /// It is stale from now on: its grace begins.
    pub(super) fn expire(&self, now: Tick) {
        self.stale_until.fetch_min(now.later(self.grace).raw(), Ordering::AcqRel);
    }
}

impl Upkeep {
    /// For a value that was created at `created`, is fresh for `fresh` in all, and took `cost` to compute.
    pub(crate) fn new(
        refresh: Refresh,
        created: Tick,
        fresh: Duration,
        cost: Duration,
        version: Option<u64>,
        now: Tick,
    ) -> Self {
        Self {
            refresh,
            due: created.later(refresh.due_after(fresh)),
            fresh_anywhere_until: created.later(fresh),
            cost,
            version,
            not_before: AtomicU64::new(0),
            is_asked: AtomicBool::new(false),
            uses: AtomicU64::new(0),
            used_at: AtomicU64::new(now.raw()),
            is_scheduled: AtomicBool::new(false),
        }
    }

    pub(crate) fn refresh(&self) -> Refresh {
        self.refresh
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.version
    }

    /// When it is due for certain.
    pub(crate) fn due(&self) -> Tick {
        self.due.max(Tick::from_raw(self.not_before.load(Ordering::Acquire)))
    }

    /// What a refresh of it saves: about how often it was used, times what computing it takes.
    pub(crate) fn gain(&self) -> u64 {
        let micros = u64::try_from(self.cost.as_micros()).unwrap_or(u64::MAX);
        self.uses.load(Ordering::Relaxed).saturating_add(1).saturating_mul(micros.max(1))
    }

    pub(crate) fn add_uses(&self, uses: u64) {
        self.uses.fetch_add(uses, Ordering::Relaxed);
    }

    /// Takes the place of another: its uses count for half. Where nobody `is_asking` for this one, it was used last
    /// when the other was.
    pub(crate) fn succeed(&self, before: &Self, is_asking: bool) {
        self.add_uses(before.uses.load(Ordering::Relaxed) / 2);
        if !is_asking {
            self.used_at.store(before.used_at.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Notes a use, for its `idle` time.
    pub(super) fn note_use(&self, now: Tick) {
        self.used_at.store(now.raw(), Ordering::Relaxed);
    }

    /// Whether it was used within its `idle` time.
    pub(crate) fn is_in_use(&self, now: Tick) -> bool {
        let used_at = Tick::from_raw(self.used_at.load(Ordering::Relaxed));
        self.refresh.idle.is_some_and(|idle| now < used_at.later(idle))
    }

    /// Whether the schedule is to see to it, and it is fresh yet where it is kept longest.
    pub(super) fn is_awaited(&self, now: Tick) -> bool {
        now < self.fresh_anywhere_until && self.is_in_use(now)
    }

    /// Whether it goes onto the schedule with this call, and was not there.
    pub(crate) fn begins_schedule(&self) -> bool {
        self.refresh.idle.is_some() && !self.is_scheduled.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn leaves_schedule(&self) {
        self.is_scheduled.store(false, Ordering::Release);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// Whether a refresh is asked for with this call, and was not before.
    pub(crate) fn begins_refresh(&self) -> bool {
        !self.is_asked.swap(true, Ordering::AcqRel)
    }

    /// When the rest after a failure ends, if there was one; `other` otherwise.
    pub(super) fn rests_until(&self, other: Tick) -> Tick {
        match self.not_before.load(Ordering::Acquire) {
            0 => other,
            until => Tick::from_raw(until),
        }
    }

    /// A refresh has failed: the next is not before `until`.
    pub(super) fn rest(&self, until: Tick) {
        self.not_before.store(until.raw(), Ordering::Release);
        self.is_asked.store(false, Ordering::Release);
    }

    /// The first read at which something is to be considered.
    pub(super) fn first_consideration(&self, fresh_until: Tick) -> Tick {
        match self.refresh.idle {
            // The first use starts the clock of `idle`. Not zero: that is for who expires the entry.
            Some(_) => Tick::from_raw(1),
            None => self.considered_from(fresh_until),
        }
    }

    fn considered_from(&self, fresh_until: Tick) -> Tick {
        let from = refresh::considered_from(self.due, fresh_until, self.cost);
        from.max(Tick::from_raw(self.not_before.load(Ordering::Acquire)))
    }

    /// Considers it at a read; tells what is to be done, and the first read at which to consider it again.
    pub(super) fn consider(&self, now: Tick, fresh_until: Tick, chance: f64) -> (Attention, Tick) {
        let mark = match self.refresh.idle {
            Some(idle) => {
                self.note_use(now);
                now.later(idle / MARKS)
            }
            None => Tick::from_raw(u64::MAX),
        };
        let from = self.considered_from(fresh_until);
        let is_asked = self.is_asked.load(Ordering::Acquire);
        let is_due = now >= from && refresh::is_due(now, self.due, fresh_until, self.cost, chance);
        if !is_asked && is_due && self.begins_refresh() {
            return (Attention::Refresh, mark.min(fresh_until));
        }
        let next = if is_asked || is_due { fresh_until } else { from.max(now) };
        let attention = match self.begins_schedule() {
            true => Attention::Schedule,
            false => Attention::Nothing,
        };
        (attention, next.min(mark).min(fresh_until))
    }
}
