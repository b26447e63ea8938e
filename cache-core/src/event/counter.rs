//! A counter that costs a hit less than a nanosecond.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Cells of one counter. A thread that got one to itself adds without a locked instruction.
const CELLS: usize = 64;

/// One cache line, so that two threads never write to the same one.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Line(AtomicU64);

/// A counter split into one cell a thread.
#[derive(Debug)]
pub(crate) struct Counter {
    own: [Line; CELLS],
    /// For the threads beyond.
    shared: AtomicU64,
}

impl Default for Counter {
    fn default() -> Self {
        Self { own: std::array::from_fn(|_| Line::default()), shared: AtomicU64::new(0) }
    }
}

impl Counter {
    /// Adds one; tells how many this thread has added, for whoever does something every so often.
    #[inline]
    pub(crate) fn increment(&self) -> u64 {
        match self.own.get(lane()) {
            // Only this thread writes here until it ends, and the next owner of the lane starts after
            // that (the free list's mutex orders them): a plain load and store lose nothing.
            Some(Line(cell)) => {
                let added = cell.load(Ordering::Relaxed) + 1;
                cell.store(added, Ordering::Relaxed);
                added
            }
            None => self.shared.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// The sum. While others add, some number between the sum before and after.
    pub(crate) fn sum(&self) -> u64 {
        let own: u64 = self.own.iter().map(|Line(cell)| cell.load(Ordering::Relaxed)).sum();
        own + self.shared.load(Ordering::Relaxed)
    }
}

/// Lanes that threads have given back, and the first one never given out.
static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

/// A thread's hold on its lane; gives it back when the thread ends.
struct Lane(usize);

impl Drop for Lane {
    fn drop(&mut self) {
        // From here on this thread counts in the shared cell.
        LANE.set(CELLS);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).0.push(self.0);
    }
}

const UNKNOWN: usize = usize::MAX;

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static HOLD: Cell<Option<Lane>> = const { Cell::new(None) };
}

#[inline]
fn lane() -> usize {
    match LANE.get() {
        UNKNOWN => take_lane(),
        lane => lane,
    }
}

#[cold]
fn take_lane() -> usize {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let lane = free.0.pop().or_else(|| {
        (free.1 < CELLS).then(|| {
            free.1 += 1;
            free.1 - 1
        })
    });
    drop(free);
    let Some(lane) = lane else {
        LANE.set(CELLS);
        return CELLS;
    };
    LANE.set(lane);
    // A thread in the middle of its end has no hold any more: then the lane goes back at once.
    if HOLD.try_with(|hold| hold.set(Some(Lane(lane)))).is_err() {
        LANE.set(CELLS);
        return CELLS;
    }
    lane
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_among_more_threads_than_lanes() {
        let counter = Counter::default();

        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..CELLS + 9 {
                    scope.spawn(|| (0..1_000).for_each(|_| _ = counter.increment()));
                }
            });
        }

        assert_eq!(counter.sum(), 3 * (CELLS as u64 + 9) * 1_000);
    }
}
