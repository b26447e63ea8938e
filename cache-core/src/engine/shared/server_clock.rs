//! What time it is where the entries are stored.
//!
//! Frames bear the server's time, since the clocks of two processes need not agree. How long ago a frame was made is
//! therefore asked on the server's clock, carried forward by this process's own monotonic one.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::backend::ServerTime;
use crate::clock::Tick;

/// A sample is replaced by a less exact one after this long: clocks drift, and servers are replaced.
const KEPT: Duration = Duration::from_secs(30);

/// The latest that the server told of its time.
#[derive(Debug)]
pub(super) struct ServerClock {
    sample: Mutex<Option<Sample>>,
    /// By how many µs the server's time is ahead of this process's clock, for every hit to read.
    ahead: AtomicI64,
}

/// The server told nothing.
const UNTOLD: i64 = i64::MIN;

impl Default for ServerClock {
    fn default() -> Self {
        Self { sample: Mutex::default(), ahead: AtomicI64::new(UNTOLD) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    asked: Tick,
    /// How long the answer took: the sample is not more exact than that.
    took: Duration,
}

impl ServerClock {
    /// The server told its time in the answer to a question of `asked` that came at `now`.
    pub(super) fn told(&self, told: ServerTime, asked: Tick, now: Tick) {
        let new = Sample { asked, took: now.since(asked) };
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let is_better = |old: &Sample| new.took <= old.took || now.since(old.asked) > KEPT;
        if sample.as_ref().is_none_or(is_better) {
            *sample = Some(new);
            let ahead = i64::try_from(told.micros()).unwrap_or(i64::MAX).saturating_sub(floor_micros(asked));
            self.ahead.store(ahead, Ordering::Release);
        }
    }

    /// The server's time at `now`, or a little later: so that nothing is taken for younger than it is. `None` as long
    /// as the server told nothing.
    pub(super) fn latest(&self, now: Tick) -> Option<ServerTime> {
        let ahead = self.ahead.load(Ordering::Acquire);
        let time = ceil_micros(now).saturating_add(ahead);
        (ahead != UNTOLD).then(|| ServerTime::from_micros(u64::try_from(time).unwrap_or(0)))
    }

    /// Forgets all: another server may answer from now on.
    pub(super) fn forget(&self) {
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        *sample = None;
        self.ahead.store(UNTOLD, Ordering::Release);
    }
}

fn floor_micros(tick: Tick) -> i64 {
    ((u128::from(tick.raw()) * 1_000_000) >> 32) as i64
}

fn ceil_micros(tick: Tick) -> i64 {
    (u128::from(tick.raw()) * 1_000_000).div_ceil(1 << 32) as i64
}

/// The moment `by` after `time`.
pub(super) fn later(time: ServerTime, by: Duration) -> ServerTime {
    let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
    ServerTime::from_micros(time.micros().saturating_add(by))
}

/// The moment `by` before `time`.
pub(super) fn earlier(time: ServerTime, by: Duration) -> ServerTime {
    let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
    ServerTime::from_micros(time.micros().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_raw(seconds << 32)
    }

    #[test]
    fn time_goes_on_from_the_asking_so_that_nothing_is_taken_for_younger_than_it_is() {
        let clock = ServerClock::default();
        assert_eq!(clock.latest(at(10)), None);

        clock.told(ServerTime::from_micros(500_000_000), at(10), at(11));

        assert_eq!(clock.latest(at(14)), Some(ServerTime::from_micros(504_000_000)));
    }

    #[test]
    fn a_quicker_answer_counts_more_than_a_slower_one_for_a_while() {
        let clock = ServerClock::default();
        clock.told(ServerTime::from_micros(500_000_000), at(10), at(10));

        clock.told(ServerTime::from_micros(600_000_000), at(11), at(13));
        assert_eq!(clock.latest(at(13)), Some(ServerTime::from_micros(503_000_000)));

        clock.told(ServerTime::from_micros(600_000_000), at(50), at(53));
        assert_eq!(clock.latest(at(53)), Some(ServerTime::from_micros(603_000_000)));
    }
}
