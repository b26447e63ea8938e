//! Whether a history keeps the promises.
//!
//! A value bears the time at which its computation began. An invalidation that was `Ok` ran from its start to its end.
//! A call that starts after that end must not return a value whose computation began before that start:
//!
//! 1. in the process that invalidated: from the end on;
//! 2. in other processes: from `max_local_staleness` after the end on; and from the end on, if the function reads
//!    through;
//! 3. for a fresh cache, which has nothing but the shared tier: from the end on.
//!
//! An invalidation that was `Err` promises nothing, and is left out. The versions of the rows check the clock: what
//! was written before a computation began is in its value.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::database::Row;
use super::load::{DISHES, KITCHENS, Record, Scope, What};
use super::worker::{Dish, Function};

/// What processes did, each in its own list.
#[derive(Debug, Default)]
pub struct History {
    pub processes: Vec<Vec<Record>>,
    /// What fresh caches read from the shared tier.
    pub audits: Vec<Record>,
}

/// Which promise was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub promise: u8,
    pub function: Function,
    pub dish: Dish,
    /// Who read, from when to when.
    pub reader: String,
    pub read: (u64, u64),
    /// By how much the coarse clock lagged then.
    pub lag: u64,
    /// Whether the value was still being computed in the same process when the read started: it joined.
    pub has_joined: bool,
    /// What was invalidated, by which process, and from when to when.
    pub invalidation: Invalidation,
}

/// An invalidation that was `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalidation {
    pub scope: Scope,
    pub process: usize,
    pub start: u64,
    pub end: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |from: u64, to: u64| (to as f64 - from as f64) / 1e6;
        let Invalidation { scope, process, start, end } = self.invalidation;
        write!(
            f,
            "promise {}: {} read {}{:?} version {} by {}, which began {:.3} ms before an invalidation of \
             {scope:?} by process {process} that took {:.3} ms; the read started {:.3} ms after its end (at {}), and took {:.3} ms; the coarse clock lagged {:.3} ms{}",
            self.promise,
            self.reader,
            self.function.name(),
            self.dish.row,
            self.dish.version,
            self.dish.by,
            ms(self.dish.began, start),
            ms(start, end),
            ms(end, self.read.0),
            self.read.0,
            ms(self.read.0, self.read.1),
            ms(0, self.lag),
            if self.has_joined { "; it joined" } else { "" },
        )
    }
}

/// What the check came to.
#[derive(Debug, Default)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// Reads of values that were there before, of which an invalidation demanded something.
    pub checked: u64,
    /// Reads elsewhere of what was invalidated, within the bound: their starts, and how long after the invalidation.
    pub lags: Vec<(u64, Duration)>,
}

/// What invalidations demand of later reads of one value.
#[derive(Debug, Default)]
struct Demands {
    /// By the end.
    all: Vec<Invalidation>,
    /// The greatest start of each and all before it.
    since: Vec<u64>,
}

impl Demands {
    /// Of the invalidations of some processes, those that cover one value.
    fn new<'r>(
        processes: impl Iterator<Item = (usize, &'r Vec<Record>)>,
        function: Function,
        row: Row,
    ) -> Self {
        let mut all = Vec::new();
        for (process, records) in processes {
            for Record { start, end, what, .. } in records {
                if let What::Invalidation(scope, true) = *what
                    && scope.covers(function, row)
                {
                    all.push(Invalidation { scope, process, start: *start, end: *end });
                }
            }
        }
        all.sort_unstable_by_key(|invalidation| invalidation.end);
        let mut greatest = 0;
        let since = all.iter().map(|invalidation| {
            greatest = greatest.max(invalidation.start);
            greatest
        });
        Self { since: since.collect(), all }
    }

    /// How many had ended before `time`.
    fn count(&self, time: u64) -> usize {
        self.all.partition_point(|invalidation| invalidation.end < time)
    }

    /// Since when a value must have begun, if what had ended before `time` counts.
    fn since(&self, time: u64) -> Option<u64> {
        Some(self.since[self.count(time).checked_sub(1)?])
    }

    /// The first that forbids a value of `began`, of those that had ended before `time`.
    fn forbidding(&self, began: u64, time: u64) -> Option<Invalidation> {
        self.all[..self.count(time)].iter().find(|invalidation| began < invalidation.start).copied()
    }
}

/// Checks a history against the promises, with `max_local_staleness` as the bound of the second.
pub fn check(history: &History, bound: Duration) -> Verdict {
    let bound = bound.as_nanos() as u64;
    let mut verdict = Verdict::default();
    let rows: Vec<Row> = (0..KITCHENS).flat_map(|k| (0..DISHES).map(move |id| (k, id))).collect();
    let all: Vec<(Function, Row)> =
        Function::ALL.iter().flat_map(|function| rows.iter().map(|row| (*function, *row))).collect();
    let demands = |processes: std::ops::Range<usize>| -> HashMap<(Function, Row), Demands> {
        let of = |&(function, row): &(Function, Row)| {
            let records = processes.clone().map(|process| (process, &history.processes[process]));
            ((function, row), Demands::new(records, function, row))
        };
        all.iter().map(of).collect()
    };
    let everybody: Vec<&Vec<Record>> = history.processes.iter().collect();
    let (anywhere, writes) = (demands(0..everybody.len()), writes(&everybody));
    let here: Vec<_> = (0..everybody.len()).map(|process| demands(process..process + 1)).collect();

    let readers = everybody.iter().zip(&here).enumerate();
    let readers =
        readers.map(|(number, (records, here))| (format!("process {number}"), *records, Some(here)));
    let auditor = ("a fresh cache".to_owned(), &history.audits, None);
    for (reader, records, here) in readers.chain([auditor]) {
        let computing = computing(records);
        for record in records {
            let What::Read(function, dish) = &record.what else { continue };
            let value = (*function, dish.row);
            let anywhere = &anywhere[&value];
            let written = last_before(writes.get(&dish.row), dish.began);
            assert!(
                dish.version >= written,
                "the clock is wrong: {dish:?} began after {written} was written"
            );
            let mut rules = Vec::new();
            match here {
                Some(here) => {
                    rules.push((1, &here[&value], record.start));
                    rules.push(match function {
                        Function::SharedDish => (2, anywhere, record.start),
                        // A cache goes by the coarse clock, and may take the time for so much less.
                        _ => (2, anywhere, (record.start - record.lag).saturating_sub(bound)),
                    });
                }
                None => rules.push((3, anywhere, record.start)),
            }
            let mut is_demanded = false;
            for (promise, demands, time) in rules {
                let Some(since) = demands.since(time) else { continue };
                is_demanded = true;
                if dish.began < since {
                    verdict.violations.push(Violation {
                        promise,
                        function: *function,
                        dish: dish.clone(),
                        reader: reader.clone(),
                        read: (record.start, record.end),
                        lag: record.lag,
                        has_joined: computing.get(&dish.began).is_some_and(|end| record.start < *end),
                        invalidation: demands.forbidding(dish.began, time).expect("one does"),
                    });
                    break;
                }
            }
            verdict.checked += u64::from(is_demanded && dish.began < record.start);
            if here.is_some()
                && let Some(old) = anywhere.forbidding(dish.began, record.start)
            {
                verdict.lags.push((record.start, Duration::from_nanos(record.start - old.end)));
            }
        }
    }
    verdict
}

/// Until when the calls took that computed: a value's own call started before it began. By when it began.
fn computing(records: &[Record]) -> HashMap<u64, u64> {
    let leads = records.iter().filter_map(|record| match &record.what {
        What::Read(_, dish) if (record.start..record.end).contains(&dish.began) => {
            Some((dish.began, record.end))
        }
        _ => None,
    });
    leads.collect()
}

/// The writes of each row: end and version, by the version.
fn writes(everybody: &[&Vec<Record>]) -> HashMap<Row, Vec<(u64, u64)>> {
    let mut writes: HashMap<Row, Vec<(u64, u64)>> = HashMap::new();
    for record in everybody.iter().copied().flatten() {
        if let What::Write(row, version) = record.what {
            writes.entry(row).or_default().push((record.end, version));
        }
    }
    for of_row in writes.values_mut() {
        of_row.sort_unstable();
        let mut greatest = 0;
        for (_, version) in of_row.iter_mut() {
            greatest = greatest.max(*version);
            *version = greatest;
        }
    }
    writes
}

/// The version that was written before `time`.
fn last_before(writes: Option<&Vec<(u64, u64)>>, time: u64) -> u64 {
    let Some(writes) = writes else { return 1 };
    let count = writes.partition_point(|(end, _)| *end < time);
    count.checked_sub(1).map_or(1, |last| writes[last].1)
}
