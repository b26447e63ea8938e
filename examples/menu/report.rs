//! What is printed at the end.

use std::fmt;

use crate::args::Args;
use crate::catalogue::Catalogue;
use crate::check::Findings;
use crate::data::Collection;
use crate::latency::Readable;
use crate::load::Outcome;

/// What there is, and what will be done with it.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) args: &'a Args,
    pub(crate) collection: &'a Collection,
    pub(crate) catalogue: &'a Catalogue,
}

impl fmt::Display for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { args, collection, catalogue } = self;
        let source = match &args.data {
            Some(path) => path.display().to_string(),
            None => "built in".to_owned(),
        };
        writeln!(
            f,
            "data    {} of {} at {} ({source})",
            counted(catalogue.cards.len() as u64, "menu"),
            counted(catalogue.restaurants.len() as u64, "restaurant"),
            counted(catalogue.places.len() as u64, "place"),
        )?;
        if collection.rejected > 0 {
            let more = if collection.rejected > collection.reasons.len() as u64 { ", .." } else { "" };
            let reasons = collection.reasons.join(", ");
            writeln!(f, "        {} left out: {reasons}{more}", counted(collection.rejected, "row"))?;
        }
        if collection.undated > 0 {
            writeln!(f, "        {} left out: no such day", counted(collection.undated, "date"))?;
        }
        writeln!(
            f,
            "load    {}, {} % writes, Zipf-distributed, seed {}, {:.1} s without and {:.1} s with the cache",
            counted(args.tasks as u64, "caller"),
            args.writes * 100.0,
            args.seed,
            args.phase.as_secs_f64(),
            args.phase.as_secs_f64(),
        )
    }
}

/// The two phases side by side.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) without: &'a Outcome,
    pub(crate) with: &'a Outcome,
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:16}{:>14}{:>12}{:>12}{:>12}", "", "calls/s", "read p50", "read p99", "writes")?;
        for (name, outcome) in [("without cache", self.without), ("with cache", self.with)] {
            writeln!(
                f,
                "{name:16}{:>14}{:>12}{:>12}{:>12}",
                grouped(outcome.throughput() as u64),
                Readable(outcome.reads.percentile(0.50)),
                Readable(outcome.reads.percentile(0.99)),
                grouped(outcome.writes),
            )?;
        }
        let ratio = self.with.throughput() / self.without.throughput();
        writeln!(f, "{:16}{:>14}", "ratio", format!("{ratio:.1} x"))?;
        if self.with.writes > 0 {
            writeln!(
                f,
                "\nEach write is followed by some eight queries that look for stale answers, in both phases; they \
                 take time\nand are not counted as calls. `--writes 0` shows reads alone."
            )?;
        }
        Ok(())
    }
}

/// Whether any answer was stale.
#[derive(Debug)]
pub(crate) struct Verdict(pub(crate) Findings);

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { compared, different, dated, outdated } = self.0;
        writeln!(f, "stale answers: {}", grouped(self.0.stale()))?;
        writeln!(
            f,
            "  {} of {} answers after an invalidation differ from the database",
            grouped(different),
            grouped(compared),
        )?;
        writeln!(
            f,
            "  {} of {} reads are older than what was acknowledged before they began",
            grouped(outdated),
            grouped(dated),
        )
    }
}

/// A number of things: `1 place`, `3,000 menus`.
fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A number with its thousands apart: `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
