//! The command line, read by hand: six options need no crate.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A menu service under load, without and with the cache.

usage: cargo run --release --example menu -- [options]

  --seconds N   length of each of the two phases, in seconds (default 3)
  --tasks N     callers at work at the same time (default 64)
  --writes P    share of the calls that are writes, in percent (default 1)
  --seed N      seed of the load: the same number, the same calls (default 1)
  --data FILE   menus from a CSV file, instead of the built-in ones
  --forget      leave the invalidations out, to see that stale answers are found
  --help        this text

exit code: 0 without stale answers, 1 with any, 2 when something is wrong with the options or the data";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Args {
    pub(crate) phase: Duration,
    pub(crate) tasks: usize,
    /// Between 0 and 1.
    pub(crate) writes: f64,
    pub(crate) seed: u64,
    pub(crate) data: Option<PathBuf>,
    pub(crate) invalidation: Invalidation,
}

/// Whether writes invalidate. They do; leaving it out shows that the check can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalidation {
    Sent,
    Forgotten,
}

/// What to do, as the command line says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wish {
    Run(Args),
    Help,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            phase: Duration::from_secs(3),
            tasks: 64,
            writes: 0.01,
            seed: 1,
            data: None,
            invalidation: Invalidation::Sent,
        }
    }
}

/// A command line that cannot be obeyed; the message ends with what to write.
#[derive(Debug, PartialEq)]
pub(crate) struct ArgsError(String);

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ArgsError {}

/// Reads the words after the program's name. Both `--tasks 8` and `--tasks=8` are understood.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Wish, ArgsError> {
    let mut args = Args::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = |example: &str| {
            inline.clone().or_else(|| words.next()).ok_or_else(|| {
                ArgsError(format!("option `{name}` lacks its value; write `{name} {example}`"))
            })
        };
        match name {
            "--seconds" => {
                let seconds = within(name, &value("3")?, 0.05..=3600.0, "3")?;
                args.phase = Duration::from_secs_f64(seconds);
            }
            "--tasks" => args.tasks = within(name, &value("64")?, 1..=10_000, "64")?,
            "--writes" => args.writes = within(name, &value("1")?, 0.0..=100.0, "1")? / 100.0,
            "--seed" => args.seed = within(name, &value("1")?, 0..=u64::MAX, "1")?,
            "--data" => args.data = Some(value("menus.csv")?.into()),
            "--forget" => args.invalidation = Invalidation::Forgotten,
            "--help" | "-h" => return Ok(Wish::Help),
            _ => {
                return Err(ArgsError(format!(
                    "unknown option `{word}`; write one of --seconds, --tasks, --writes, --seed, --data, \
                     --forget, --help"
                )));
            }
        }
    }
    Ok(Wish::Run(args))
}

fn within<T>(
    name: &str,
    text: &str,
    range: std::ops::RangeInclusive<T>,
    example: &str,
) -> Result<T, ArgsError>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (from, to) = (range.start(), range.end());
        ArgsError(format!(
            "option `{name}` takes a number from {from} to {to}, not `{text}`; write `{name} {example}`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Wish, ArgsError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn no_option_is_needed() {
        assert_eq!(parse_line(""), Ok(Wish::Run(Args::default())));
    }

    #[test]
    fn every_option_is_read_in_both_spellings() {
        let expected = Args {
            phase: Duration::from_millis(500),
            tasks: 8,
            writes: 0.25,
            seed: 7,
            data: Some("menus.csv".into()),
            invalidation: Invalidation::Forgotten,
        };

        let spaced = "--seconds 0.5 --tasks 8 --writes 25 --seed 7 --data menus.csv --forget";
        let joined = "--seconds=0.5 --tasks=8 --writes=25 --seed=7 --data=menus.csv --forget";

        assert_eq!(parse_line(spaced), Ok(Wish::Run(expected.clone())));
        assert_eq!(parse_line(joined), Ok(Wish::Run(expected)));
    }

    #[test]
    fn help_wins_over_the_rest() {
        assert_eq!(parse_line("--tasks 8 --help"), Ok(Wish::Help));
    }

    #[test]
    fn a_wrong_line_gets_an_error_that_ends_with_what_to_write() {
        for (line, fix) in [
            ("--tasks", "write `--tasks 64`"),
            ("--tasks none", "write `--tasks 64`"),
            ("--tasks 0", "write `--tasks 64`"),
            ("--seconds NaN", "write `--seconds 3`"),
            ("--seconds -1", "write `--seconds 3`"),
            ("--writes 101", "write `--writes 1`"),
            ("--task 8", "--forget, --help"),
            ("menus.csv", "--forget, --help"),
        ] {
            let error = parse_line(line).unwrap_err().to_string();
            assert!(error.ends_with(fix), "{line}: {error}");
        }
    }
}
