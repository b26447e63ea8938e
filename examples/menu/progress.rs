//! A progress bar on standard error; one line per phase where nobody watches.

use std::convert::Infallible;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::latency::now;

const WIDTH: usize = 30;

/// Calls done so far, told by the callers now and then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub(crate) fn add(&self, calls: u64) {
        self.0.fetch_add(calls, Ordering::Relaxed);
    }
}

/// Shows how far the phase is, until it is dropped.
pub(crate) async fn show(phase: &str, length: Duration, meter: Meter) -> Infallible {
    if !stderr().is_terminal() {
        say(format_args!("{phase} ({:.1} s) ..\n", length.as_secs_f64()));
        return std::future::pending().await;
    }
    let _line = Line;
    let start = now();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let share = (start.elapsed().as_secs_f64() / length.as_secs_f64()).min(1.0);
        let (bar, calls) = (bar(share), meter.0.load(Ordering::Relaxed));
        say(format_args!("\r{phase:<14} [{bar}] {:>3.0} %  {calls} calls", share * 100.0));
    }
}

/// The line that the bar is drawn on; dropping it clears it.
struct Line;

impl Drop for Line {
    fn drop(&mut self) {
        say(format_args!("\r\x1b[2K"));
    }
}

fn bar(share: f64) -> String {
    let done = (share * WIDTH as f64).round() as usize;
    format!("{}{}", "#".repeat(done), ".".repeat(WIDTH.saturating_sub(done)))
}

/// Writes to standard error. A bar nobody can read any more is no reason to stop.
fn say(text: std::fmt::Arguments<'_>) {
    let mut out = stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_from_left_to_right() {
        assert_eq!(bar(0.0), ".".repeat(WIDTH));
        assert!(bar(0.5).starts_with(&"#".repeat(WIDTH / 2)) && bar(0.5).ends_with('.'));
        assert_eq!(bar(1.0), "#".repeat(WIDTH));
    }
}
