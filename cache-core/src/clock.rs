//! The only place that asks for the time.
//!
//! A cache reads one [`Clock`]. On the hit path it is the kernel's coarse monotonic clock (a few
//! nanoseconds, 1 to 4 ms of resolution on Linux); in tests it is a [`ManualClock`] that stands still until
//! told otherwise.

mod sweeper;
mod tick;
mod timer;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

pub(crate) use tick::Tick;
pub(crate) use timer::Sleep;
use timer::Timer;

/// The ticks within which sleeps may end together: 1/64 s.
const TOGETHER: u64 = 1 << 26;

/// What a cache takes for the time: the system's clock, or one that a test moves.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "tests alone stop the time"))]
    Manual(Arc<Manual>),
}

impl Clock {
    /// The system's monotonic clock. The default.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The time now, coarse and cheap.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
    pub(crate) fn now(&self) -> Tick {
        match &self.0 {
            Source::System => Tick::from_raw(coarsetime::Instant::now_without_cache_update().as_ticks()),
            Source::Manual(manual) => manual.now(),
        }
    }

    /// Starts measuring a duration, precisely.
    #[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        match &self.0 {
            Source::System => Stopwatch::System(std::time::Instant::now()),
            Source::Manual(manual) => Stopwatch::Manual(manual.clone(), manual.now()),
        }
    }

    /// Waits for `after`, on this clock.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes it off the timer.
    pub(crate) fn sleep(&self, after: Duration) -> Sleep {
        match &self.0 {
            Source::System => Sleep::new(timer::system(), self.precise_now().later(after)),
            Source::Manual(manual) => Sleep::new(manual.timer.clone(), manual.now().later(after)),
        }
    }

    /// The same, up to 1/64 s shorter: sleeps that begin at about the same time end together, and cost less.
    pub(crate) fn sleep_about(&self, after: Duration) -> Sleep {
        match &self.0 {
            Source::System => {
                let deadline = self.precise_now().later(after);
                Sleep::new(timer::system(), Tick::from_raw(deadline.raw() & !(TOGETHER - 1)))
            }
            Source::Manual(_) => self.sleep(after),
        }
    }

    /// The time now on the line that sleeping uses. The coarse clock lags by up to its resolution, so a
    /// sleep measured from it would end early.
    fn precise_now(&self) -> Tick {
        match &self.0 {
            Source::System => timer::system_now(),
            Source::Manual(manual) => manual.now(),
        }
    }

    /// The time now in µs, precisely, on a line of this process's own.
    #[cfg_attr(
        not(feature = "memory"),
        expect(dead_code, reason = "only the memory backend keeps time for others")
    )]
    pub(crate) fn micros(&self) -> u64 {
        u64::try_from(self.precise_now().since(Tick::from_raw(0)).as_micros()).unwrap_or(u64::MAX)
    }

    /// Calls `sweep` whenever time may have made something obsolete, until the owner is gone.
    pub(crate) fn sweep_regularly(&self, owner: Weak<dyn Sweep>) {
        match &self.0 {
            Source::System => sweeper::sweep_regularly(owner),
            Source::Manual(manual) => {
                let mut sweeps = manual.sweeps.lock().unwrap_or_else(PoisonError::into_inner);
                sweeps.retain(|sweep| sweep.strong_count() > 0);
                sweeps.push(owner);
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock::system()",
            Source::Manual(_) => "ManualClock",
        })
    }
}

/// Something that holds what time makes obsolete.
pub(crate) trait Sweep: Send + Sync {
    /// Lets go of it.
    fn sweep(self: Arc<Self>);
}

/// A running measurement.
#[derive(Debug)]
pub(crate) enum Stopwatch {
    System(std::time::Instant),
    Manual(Arc<Manual>, Tick),
}

impl Stopwatch {
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::System(start) => start.elapsed(),
            Self::Manual(manual, start) => manual.now().since(*start),
        }
    }
}

pub(crate) struct Manual {
    /// Nanoseconds since its origin. Not ticks: an advance rounded down to ticks would lose a part of one, and
    /// many small ones would end before one of their sum.
    advanced: AtomicU64,
    timer: Arc<Timer>,
    sweeps: Mutex<Vec<Weak<dyn Sweep>>>,
}

impl Manual {
    fn now(&self) -> Tick {
        // Not zero: a value stored at the origin must not look as if it had no age.
        Tick::from_raw(1 << 32).later(Duration::from_nanos(self.advanced.load(Ordering::SeqCst)))
    }
}

impl fmt::Debug for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manual").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A clock that stands still until a test moves it.
///
/// ```
/// use std::time::Duration;
/// use cache_core::testing::ManualClock;
/// use cache_core::Cache;
///
/// let clock = ManualClock::new();
/// let cache = Cache::builder().clock(clock.clock()).build()?;
/// clock.advance(Duration::from_secs(3600));
/// # Ok::<(), cache_core::Error>(())
/// ```
#[cfg(any(test, feature = "testing"))]
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Manual>);

#[cfg(any(test, feature = "testing"))]
impl ManualClock {
    /// Makes a clock that stands at its origin.
    #[expect(clippy::new_without_default, reason = "a clock has no default time")]
    pub fn new() -> Self {
        let advanced = AtomicU64::new(0);
        Self(Arc::new(Manual { advanced, timer: Arc::default(), sweeps: Mutex::default() }))
    }

    /// The clock to give to [`CacheBuilder::clock`](crate::CacheBuilder::clock).
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.0.clone()))
    }

    /// Moves the clock, wakes what waited for that time, and lets caches drop what it made obsolete. So the next call finds nothing
    /// (`MissReason::Absent`), as it does with the system's clock after the sweep that comes every 30 s.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let add = |advanced: u64| Some(advanced.saturating_add(by));
        // It is never refused.
        let _ = self.0.advanced.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        self.0.timer.fire(self.0.now());
        let sweeps = self.0.sweeps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for sweep in sweeps.iter().filter_map(Weak::upgrade) {
            sweep.sweep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_survives_the_way_to_ticks_and_back() {
        for nanos in [0, 1, 999, 1_000, 1_500_000_000, 86_400_000_000_001] {
            let duration = Duration::from_nanos(nanos);

            let back = Tick::from_raw(17).later(duration).since(Tick::from_raw(17));

            assert!(back.abs_diff(duration) <= Duration::from_nanos(1), "{duration:?} became {back:?}");
        }
    }

    #[test]
    fn small_advances_end_where_their_sum_does() {
        let (parts, whole) = (ManualClock::new(), ManualClock::new());

        parts.advance(Duration::from_secs(3600) - Duration::from_millis(1));
        parts.advance(Duration::from_millis(1));
        whole.advance(Duration::from_secs(3600));

        assert_eq!(parts.clock().now(), whole.clock().now());
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(Tick::from_raw(5).later(Duration::MAX), Tick::MAX);
        assert_eq!(Tick::from_raw(5).since(Tick::MAX), Duration::ZERO);
    }
}
