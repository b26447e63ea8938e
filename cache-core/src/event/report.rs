//! The statistics as a person reads them.

use std::fmt;
use std::time::Duration;

/// Statistics of a cache at one moment; `Display` prints a table.
///
/// ```
/// # async fn example(cache: cache_core::Cache) {
/// let stats = cache.stats();
/// println!("{stats}");
/// assert_eq!(stats.calls(), stats.hits() + stats.stale() + stats.misses() + stats.joined());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// One for each function that was called, by name.
    pub functions: Vec<FunctionStats>,
    /// Entries in the local tier now, expired ones included until they are swept.
    pub local_entries: u64,
    /// What they weigh: bytes, or entries for a tier bounded by entries.
    pub local_weight: u64,
    /// What they may weigh.
    pub local_capacity: u64,
    /// Entries that the local tier let go to make room.
    pub evictions: u64,
    /// The refreshes that are due.
    pub refreshes: RefreshStats,
    /// Invalidations that failed without anybody being told: of writers (`#[invalidates]`, `#[updates]`) that are not
    /// `strict`, and of second passes. What did not reach the shared tier is repeated there.
    pub failed_invalidations: u64,
    /// The shared tier, if the cache has one.
    pub shared: Option<SharedStats>,
}

/// Statistics of what a cache recomputes in the background.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshStats {
    /// Refreshes that are due and wait for their turn.
    pub queued: u64,
    /// For how long the first of them has waited.
    pub oldest: Duration,
    /// Refreshes under way.
    pub running: u64,
    /// Refreshes that found no room in the queue, or whose runtime stood still.
    pub dropped: u64,
    /// Entries that are kept warm (`refresh(idle = ..)`).
    pub scheduled: u64,
}

/// Statistics of a cache's shared tier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedStats {
    /// Whether the shared tier is not asked at present: it does not answer (the breaker is open), or was not yet told
    /// of what was invalidated here meanwhile.
    pub is_away: bool,
    /// Whether the bus vouches for the local tier: a heartbeat came back within `max_local_staleness`.
    pub is_confirmed: bool,
    /// Invalidations that will be repeated when the shared tier is back.
    pub queued_invalidations: u64,
    /// Invalidations that were repeated.
    pub repeated_invalidations: u64,
    /// Calls to the shared tier that failed.
    pub failures: u64,
    /// What the last of them said. It stays when calls succeed again.
    pub last_error: Option<String>,
    /// Times that the breaker opened.
    pub openings: u64,
    /// Messages heard on the bus.
    pub messages: u64,
    /// Times that messages may have been missed; the first is the beginning.
    pub gaps: u64,
    /// Messages of programs that are not Larder that could not be read: not of the documented form, or too long.
    pub unread: u64,
}

/// Statistics of one function in one cache.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FunctionStats {
    /// The name in the keys, with the version where there is one.
    pub name: String,
    /// Calls that a tier answered.
    pub hits: u64,
    /// Those of them that the shared tier answered.
    pub shared_hits: u64,
    /// Calls that a stale value answered.
    pub stale: u64,
    /// Calls that had to compute, by reason.
    pub misses: Misses,
    /// Calls that joined a computation already in flight.
    pub joined: u64,
    /// Calls that went past the cache: `when` was false, the ttl zero, the cache disabled, or the
    /// arguments could not be made a key. Not among [`calls`](Self::calls).
    pub bypassed: u64,
    /// Computations begun.
    pub computations: u64,
    /// Computations that ended with `Err`.
    pub errors: u64,
    /// Computations that were cancelled or panicked.
    pub abandoned: u64,
    /// Values stored.
    pub fills: u64,
    /// Values not stored because an invalidation came while they were computed.
    pub refused_fills: u64,
    /// Values not stored because they are larger than the tier takes.
    pub rejected: u64,
    /// Values that were to be recomputed in the background before they were stale. Where another process had done it, there was
    /// nothing to compute.
    pub refreshes: u64,
    /// Those of them that came to nothing: the old value goes on.
    pub failed_refreshes: u64,
    /// Calls that a stale value answered since the computation took longer than `timeout(soft = ..)`. They are among
    /// [`stale`](Self::stale).
    pub soft_timeouts: u64,
    /// Calls whose computation took longer than `timeout(hard = ..)`.
    pub hard_timeouts: u64,
    /// Time of a lookup, of a sample of the calls.
    pub lookup: Timing,
    /// Time of a computation.
    pub compute: Timing,
}

/// Misses of a function, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misses {
    /// Nothing was stored, it was evicted, or it had expired and was swept (every 30 s).
    pub absent: u64,
    /// What was stored had expired, and was not swept yet.
    pub expired: u64,
    /// What was stored had been invalidated.
    pub invalidated: u64,
    /// What was stored is of another version of the function, or of its type.
    pub version: u64,
    /// What was stored is not of the type asked for, or was not written by Larder.
    pub undecodable: u64,
    /// The shared tier could not be asked.
    pub unreachable: u64,
}

impl Misses {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.absent + self.expired + self.invalidated + self.version + self.undecodable + self.unreachable
    }
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// The mean.
    pub mean: Duration,
    /// The time that 99 % did not exceed, within an eighth.
    pub p99: Duration,
}

impl FunctionStats {
    /// Calls that went through the cache: hits + stale + misses + joined.
    pub fn calls(&self) -> u64 {
        self.hits + self.stale + self.misses.total() + self.joined
    }

    /// The share of calls that a stored value answered, fresh or stale; calls that joined a computation do not count as that. 0
    /// without calls.
    pub fn hit_ratio(&self) -> f64 {
        ratio(self.hits + self.stale, self.calls())
    }

    /// What the calls answered from a tier would have taken to compute: their number times the mean.
    pub fn time_saved(&self) -> Duration {
        let nanos = self.compute.mean.as_nanos().saturating_mul(u128::from(self.hits + self.stale));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Stats {
    fn sum(&self, of: impl Fn(&FunctionStats) -> u64) -> u64 {
        self.functions.iter().map(of).sum()
    }

    /// Calls of all functions: hits + stale + misses + joined.
    pub fn calls(&self) -> u64 {
        self.sum(FunctionStats::calls)
    }
    /// Hits of all functions.
    pub fn hits(&self) -> u64 {
        self.sum(|f| f.hits)
    }
    /// Calls of all functions that a stale value answered.
    pub fn stale(&self) -> u64 {
        self.sum(|f| f.stale)
    }
    /// Misses of all functions, whatever the reason.
    pub fn misses(&self) -> u64 {
        self.sum(|f| f.misses.total())
    }
    /// Calls of all functions that joined a computation in flight.
    pub fn joined(&self) -> u64 {
        self.sum(|f| f.joined)
    }
    /// Computations of all functions.
    pub fn computations(&self) -> u64 {
        self.sum(|f| f.computations)
    }
    /// Fills of all functions that an invalidation overtook.
    pub fn refused_fills(&self) -> u64 {
        self.sum(|f| f.refused_fills)
    }
    /// The share of the calls of all functions that a stored value answered, as [`FunctionStats::hit_ratio`]; 0 without calls.
    pub fn hit_ratio(&self) -> f64 {
        ratio(self.hits() + self.stale(), self.calls())
    }
    /// What the hits of all functions would have taken to compute.
    pub fn time_saved(&self) -> Duration {
        self.functions.iter().map(FunctionStats::time_saved).fold(Duration::ZERO, Duration::saturating_add)
    }
    /// The statistics of the function whose name ends with `name` (`menu_of`, or `menus::menu_of`): with its version
    /// (`menu_of v2`) those of that one, without it those of the highest version that was called. Of a generic function each instance
    /// has its own: `menu_of<u8>`.
    pub fn function(&self, name: &str) -> Option<&FunctionStats> {
        let is_called = |whole: &str| {
            whole.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with("::"))
        };
        let versions = self.functions.iter().filter_map(|f| {
            let (own, version) = versioned(&f.name);
            (is_called(own) || is_called(&f.name)).then_some((version, f))
        });
        // The first of equals: `max_by_key` would take the last one.
        versions.min_by_key(|(version, _)| std::cmp::Reverse(*version)).map(|(_, f)| f)
    }
}

/// `menu_of` and 2 for `menu_of v2`.
fn versioned(name: &str) -> (&str, u32) {
    let parts = name.rsplit_once(" v").and_then(|(own, version)| Some((own, version.parse().ok()?)));
    parts.unwrap_or((name, 0))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

const COLUMNS: [&str; 13] = [
    "function", "calls", "hits", "stale", "misses", "joined", "hit %", "computed", "refused", "errors",
    "lookup", "compute", "saved",
];

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<[String; COLUMNS.len()]> = vec![COLUMNS.map(String::from)];
        rows.extend(self.functions.iter().map(row));
        let mut widths = [0; COLUMNS.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            write!(f, "{:<width$}", row[0], width = widths[0])?;
            for (cell, width) in row.iter().zip(widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        let misses = self.functions.iter().fold(Misses::default(), |sum, f| Misses {
            absent: sum.absent + f.misses.absent,
            expired: sum.expired + f.misses.expired,
            invalidated: sum.invalidated + f.misses.invalidated,
            version: sum.version + f.misses.version,
            undecodable: sum.undecodable + f.misses.undecodable,
            unreachable: sum.unreachable + f.misses.unreachable,
        });
        writeln!(
            f,
            "misses: {} absent, {} expired, {} invalidated, {} version, {} undecodable, {} unreachable; bypassed: {}; \
             lookup and compute: mean / p99",
            grouped(misses.absent),
            grouped(misses.expired),
            grouped(misses.invalidated),
            grouped(misses.version),
            grouped(misses.undecodable),
            grouped(misses.unreachable),
            grouped(self.sum(|f| f.bypassed)),
        )?;
        write!(
            f,
            "local tier: {} entries, {} of {}, {} evicted",
            grouped(self.local_entries),
            grouped(self.local_weight),
            grouped(self.local_capacity),
            grouped(self.evictions),
        )?;
        let rejected = self.sum(|f| f.rejected);
        if rejected > 0 {
            write!(
                f,
                "\nnot kept here, since larger than a part of the local tier takes: {}",
                grouped(rejected)
            )?;
        }
        if self.failed_invalidations > 0 {
            write!(f, "\nfailed invalidations after writes: {}", grouped(self.failed_invalidations))?;
        }
        let Some(shared) = &self.shared else { return Ok(()) };
        write!(
            f,
            "\nshared tier: {}, {} hits, {} failures, {} openings of the breaker, {} invalidations queued; bus: {}, {} messages, {} gaps",
            if shared.is_away { "away" } else { "there" },
            grouped(self.sum(|f| f.shared_hits)),
            grouped(shared.failures),
            grouped(shared.openings),
            grouped(shared.queued_invalidations),
            if shared.is_confirmed { "heard" } else { "silent" },
            grouped(shared.messages),
            grouped(shared.gaps),
        )?;
        match &shared.last_error {
            Some(error) => write!(f, "\nlast failure of the shared tier: {error}"),
            None => Ok(()),
        }
    }
}

fn row(f: &FunctionStats) -> [String; COLUMNS.len()] {
    [
        f.name.clone(),
        grouped(f.calls()),
        grouped(f.hits),
        grouped(f.stale),
        grouped(f.misses.total()),
        grouped(f.joined),
        format!("{:.1}", 100.0 * f.hit_ratio()),
        grouped(f.computations),
        grouped(f.refused_fills),
        grouped(f.errors),
        f.lookup.to_string(),
        f.compute.to_string(),
        short(f.time_saved()),
    ]
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Timing {
    /// Mean and 99 %; `-` where nothing was timed yet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.p99.is_zero() {
            return f.pad("-");
        }
        f.pad(&format!("{} / {}", short(self.mean), short(self.p99)))
    }
}

/// A duration in three digits or so.
fn short(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let seconds = duration.as_secs_f64();
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n if n < 1e9 => format!("{:.1} ms", n / 1e6),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ if seconds < 7_200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let told: Vec<_> = [0, 999, 1_000, 1_234_567].map(grouped).into();

        assert_eq!(told, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_duration_is_told_in_its_own_unit() {
        let told =
            [40, 1_500, 2_500_000, 90_000_000_000, 300_000_000_000].map(Duration::from_nanos).map(short);

        assert_eq!(told, ["40 ns", "1.5 µs", "2.5 ms", "90.0 s", "5.0 min"]);
    }
}
