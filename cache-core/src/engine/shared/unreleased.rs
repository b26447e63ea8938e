//! Leases that nobody needs any more: giving them up, and those for which that failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::backend::{EntryKey, LeaseToken};
use crate::clock::{Clock, Tick};

/// So many are kept. Of more the oldest go, whose lives end first.
const CAPACITY: usize = 10_000;

/// The pause before another attempt, while the shared tier counts as one that answers.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// When a lease is given up again whose request may still be on its way: on another connection the giving up can
/// overtake it, and then it is granted to nobody.
const LATE: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];

/// A lease that nobody needs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unneeded {
    pub(super) key: EntryKey,
    pub(super) token: LeaseToken,
    /// When it ends by itself.
    pub(super) ends: Tick,
    /// The life of one that may be granted yet: its request may have been on its way for as long as nobody answered.
    pub(super) to_come: Option<Duration>,
}

/// The leases to be given up when the shared tier answers again, or after a pause: each would delay others for the rest
/// of its life, though its holder lives.
#[derive(Debug, Default)]
pub(super) struct Unreleased(Mutex<VecDeque<(Tick, Unneeded)>>);

impl Shared {
    /// Gives up a lease, in the background, so that nobody waits for its life to pass.
    pub(super) fn release(&self, clock: &Clock, lease: Unneeded) {
        if self.breaker.is_open() {
            self.unreleased.keep(lease, clock.now());
            return;
        }
        let (backend, clock) = (self.backend.clone(), clock.clone());
        let (unreleased, bell) = (Arc::clone(&self.unreleased), self.keeper.bell());
        // Where there is no runtime, the lease ends with its life.
        let _ = self.keeper.spawn(async move {
            let again: &[Duration] = if lease.to_come.is_some() { &LATE } else { &[] };
            let mut pauses = again.iter();
            while backend.release(&lease.key, lease.token).await.is_ok() {
                let Some(pause) = pauses.next() else { return };
                clock.sleep(*pause).await;
            }
            unreleased.keep(lease, clock.now());
            bell.notify_one();
        });
    }
}

impl Unreleased {
    /// Keeps a lease that could not be given up at `now`.
    pub(super) fn keep(&self, lease: Unneeded, now: Tick) {
        let mut leases = self.lock();
        if leases.len() >= CAPACITY {
            leases.pop_front();
        }
        leases.push_back((now.later(AGAIN_AFTER), lease));
    }

    /// Takes those out that have waited for their pause.
    pub(super) fn take_due(&self, now: Tick) -> Vec<Unneeded> {
        let mut leases = self.lock();
        let due = leases.partition_point(|(due, _)| *due <= now);
        let taken: Vec<_> = leases.drain(..due).map(|(_, lease)| lease).collect();
        drop(leases);
        taken.into_iter().filter(|lease| now < lease.ends).collect()
    }

    /// Takes all of them out: the shared tier answers again, and may have done only now what it was asked for before.
    pub(super) fn take_all(&self, now: Tick) -> Vec<Unneeded> {
        let taken = std::mem::take(&mut *self.lock());
        let renewed = taken.into_iter().map(|(_, lease)| match lease.to_come {
            Some(life) => Unneeded { ends: now.later(life), ..lease },
            None => lease,
        });
        renewed.filter(|lease| now < lease.ends).collect()
    }

    /// How long the next one waits yet.
    pub(super) fn pause(&self, now: Tick) -> Option<Duration> {
        self.lock().front().map(|(due, _)| due.since(now))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Tick, Unneeded)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(10);
    const START: Tick = Tick::from_raw(1);

    fn lease(n: usize, to_come: Option<Duration>) -> Unneeded {
        let key = EntryKey::from(n.to_string().as_str());
        Unneeded { key, token: LeaseToken::random(), ends: START.later(LIFE), to_come }
    }

    #[test]
    fn a_lease_is_kept_for_a_pause_unless_all_are_taken() {
        let (unreleased, kept) = (Unreleased::default(), lease(1, None));
        let due = START.later(AGAIN_AFTER);

        unreleased.keep(kept.clone(), START);
        assert_eq!(unreleased.pause(START), Some(AGAIN_AFTER));
        assert_eq!(unreleased.take_due(due.earlier(Duration::from_millis(1))), []);
        assert_eq!(unreleased.take_due(due), std::slice::from_ref(&kept));
        assert_eq!(unreleased.pause(due), None);

        unreleased.keep(kept.clone(), START);
        assert_eq!(unreleased.take_all(START), [kept]);
    }

    #[test]
    fn a_lease_that_has_ended_is_let_go_and_one_to_come_begins_to_live_when_it_can() {
        let unreleased = Unreleased::default();
        let [granted, asked] = [lease(1, None), lease(2, Some(LIFE))];
        let keep = || [&granted, &asked].into_iter().for_each(|lease| unreleased.keep(lease.clone(), START));
        let before = granted.ends.earlier(Duration::from_millis(1));

        keep();
        assert_eq!(unreleased.take_due(before).len(), 2);
        keep();
        assert_eq!(unreleased.take_due(granted.ends), []);
        keep();
        assert_eq!(unreleased.take_all(before).len(), 2);
        keep();
        let renewed = Unneeded { ends: granted.ends.later(LIFE), ..asked.clone() };
        assert_eq!(unreleased.take_all(granted.ends), [renewed]);
    }

    #[test]
    fn of_too_many_the_oldest_go() {
        let unreleased = Unreleased::default();

        for n in 0..=CAPACITY {
            unreleased.keep(lease(n, None), START);
        }

        let kept = unreleased.take_all(START);
        assert_eq!((kept.len(), &kept[0].key), (CAPACITY, &EntryKey::from("1")));
    }
}
