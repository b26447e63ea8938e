//! How long a connection has been asked without an answer.
//!
//! The client never gives up a connection that only times out (redis-rs#1032): half open, or to a server that
//! hangs, it would stay so for minutes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// Remembers since when nothing was answered.
#[derive(Debug)]
pub(crate) struct Silence {
    origin: Moment,
    /// µs from the origin to the beginning of the first call that waited in vain, and one more; 0 for none.
    since: AtomicU64,
}

impl Silence {
    pub(crate) fn new(now: Moment) -> Self {
        Self { origin: now, since: AtomicU64::new(0) }
    }

    /// An answer came.
    pub(crate) fn ends(&self) {
        // Mostly there is nothing to end, and nothing is written to what all calls share.
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(0, Ordering::Relaxed);
        }
    }

    /// A call that began at `began` has waited in vain until `now`. Tells how long all of them have.
    pub(crate) fn lasts(&self, began: Moment, now: Moment) -> Duration {
        let mark = 1 + u64::try_from(began.since(self.origin).as_micros()).unwrap_or(u64::MAX - 1);
        let first = match self.since.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => mark,
            Err(earlier) => earlier,
        };
        now.since(self.origin).saturating_sub(Duration::from_micros(first - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_lasts_from_the_first_call_in_vain_to_the_next_answer() {
        let start = Moment::now();
        let at = |ms| start.later(Duration::from_millis(ms));
        let silence = Silence::new(start);

        assert_eq!(silence.lasts(at(100), at(200)).as_millis(), 100);
        assert_eq!(silence.lasts(at(250), at(350)).as_millis(), 250);
        silence.ends();
        assert_eq!(silence.lasts(at(400), at(500)).as_millis(), 100);
    }
}
