//! What a type asked for, and what it was answered.

use std::any::type_name;
use std::collections::BTreeMap;

use serde::de::value::Error;

/// How deep types may nest before the rest is known by name alone.
const DEPTH: usize = 64;
/// How many things one attempt may ask for.
const QUESTIONS: usize = 1 << 14;

/// Whether to probe once more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Some variants, or other answers, have not been tried.
    Again,
    /// All that can be seen has been.
    Done,
}

/// What a type asked for in all attempts, and what it was answered in this one.
#[derive(Debug)]
pub(super) struct Record {
    hasher: blake3::Hasher,
    /// The types being read, outermost first. By name: what `Any` asks for, `'static`, values may lack.
    stack: Vec<&'static str>,
    /// The innermost type has been named, and has not asked for anything that holds others yet.
    is_entered: bool,
    questions: usize,
    /// Which answer each type gets: the first of them that it did not refuse.
    answers: BTreeMap<&'static str, usize>,
    enums: BTreeMap<&'static str, Variants>,
    /// This attempt saw something for the first time, or found an answer refused.
    is_progress: bool,
    /// The innermost type that failed has been blamed in this attempt.
    is_blamed: bool,
}

/// What is known of the variants of one enum.
#[derive(Debug, Default)]
struct Variants {
    /// Those before this one have been tried.
    next: usize,
    /// What `next` was when the attempt began.
    next_before: usize,
    /// Those that cannot be read.
    refused: Vec<usize>,
    /// The ones being read, outermost first.
    open: Vec<usize>,
}

impl Record {
    pub(super) fn new(version: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&version.to_le_bytes());
        Self {
            hasher,
            stack: Vec::new(),
            is_entered: false,
            questions: 0,
            answers: BTreeMap::new(),
            enums: BTreeMap::new(),
            is_progress: false,
            is_blamed: false,
        }
    }

    pub(super) fn start(&mut self) {
        self.stack.clear();
        self.questions = 0;
        self.is_progress = false;
        self.is_blamed = false;
        for variants in self.enums.values_mut() {
            variants.open.clear();
            variants.next_before = variants.next;
        }
        self.note("attempt", &[]);
    }

    /// Whether something is left to try. An attempt without progress would go the same way again.
    pub(super) fn finish(&mut self, is_read: bool) -> Attempt {
        self.note(if is_read { "read" } else { "refused" }, &[]);
        if self.is_progress { Attempt::Again } else { Attempt::Done }
    }

    pub(super) fn digest(&self) -> u64 {
        let mut digest = [0; 8];
        digest.copy_from_slice(&self.hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(digest)
    }

    /// Notes a question, with the names that came with it.
    pub(super) fn note(&mut self, what: &str, names: &[&str]) {
        self.hasher.update(&(names.len() as u64).to_le_bytes());
        for part in std::iter::once(&what).chain(names) {
            self.hasher.update(&(part.len() as u64).to_le_bytes());
            self.hasher.update(part.as_bytes());
        }
    }

    /// Notes a question, and fails when there were too many.
    pub(super) fn ask(&mut self, what: &str, names: &[&str]) -> Result<(), Error> {
        self.note(what, names);
        self.questions += 1;
        if self.questions > QUESTIONS { Err(refusal()) } else { Ok(()) }
    }

    /// Reads a type: blames it if it fails and nothing within it is to blame.
    pub(super) fn named<T, R, F>(&mut self, read: F) -> Result<R, Error>
    where
        F: FnOnce(&mut Self) -> Result<R, Error>,
    {
        let name = type_name::<T>();
        if self.stack.len() >= DEPTH {
            self.blame(name);
            return Err(refusal());
        }
        self.stack.push(name);
        self.is_entered = true;
        let result = read(self);
        if result.is_err() {
            self.blame(name);
        }
        self.is_entered = false;
        self.stack.pop();
        result
    }

    /// Reads what a type hands on to another without a seed in between (options, newtypes, enums), so that a type
    /// within itself is seen there too. A type that has just been entered by name is not entered again.
    pub(super) fn within<T, R, F>(&mut self, read: F) -> Result<R, Error>
    where
        F: FnOnce(&mut Self) -> Result<R, Error>,
    {
        let is_entered = std::mem::take(&mut self.is_entered);
        if is_entered && self.stack.last() == Some(&type_name::<T>()) {
            return read(self);
        }
        self.named::<T, _, _>(|record| {
            record.is_entered = false;
            read(record)
        })
    }

    /// The next attempt gives this type another answer; when there is none left, its name stands in.
    fn blame(&mut self, name: &'static str) {
        if std::mem::replace(&mut self.is_blamed, true) {
            return;
        }
        let answer = self.answers.entry(name).or_default();
        if *answer < super::probe::ANSWERS {
            *answer += 1;
            self.is_progress = true;
            // The same variants again, as this attempt did not get to see all of them.
            for variants in self.enums.values_mut() {
                variants.next = variants.next_before;
            }
            return;
        }
        self.note("stands in", &[name]);
        self.refuse_variant();
    }

    /// What cannot be read is in the innermost open variant: the next attempt takes another.
    fn refuse_variant(&mut self) {
        for name in self.stack.iter().rev() {
            if let Some(variants) = self.enums.get_mut(name)
                && let Some(&index) = variants.open.last()
            {
                if !variants.refused.contains(&index) {
                    variants.refused.push(index);
                    self.is_progress = true;
                }
                return;
            }
        }
    }

    /// Which of its answers the innermost type gets.
    pub(super) fn answer(&self) -> usize {
        self.stack.last().and_then(|name| self.answers.get(name)).copied().unwrap_or(0)
    }

    /// The type's name stands in for what it would ask for.
    pub(super) fn stand_in(&mut self) {
        let name = self.stack.last().copied().unwrap_or_default();
        self.note("stands in", &[name]);
    }

    /// A type occurs within itself: what is optional ends here.
    pub(super) fn is_recursive(&self) -> bool {
        let is_repeated = |(index, name): (usize, &&str)| self.stack[..index].contains(name);
        self.stack.iter().enumerate().any(is_repeated)
    }

    /// Chooses a variant of the enum `name`: one that has not been tried, else one that can be read.
    pub(super) fn open_variant(&mut self, name: &'static str, count: usize) -> usize {
        let variants = self.enums.entry(name).or_default();
        let index = if variants.next < count {
            variants.next += 1;
            self.is_progress = true;
            variants.next - 1
        } else {
            // Within itself it takes another each time, so that one which ends is met.
            let readable = (0..count).filter(|index| !variants.refused.contains(index));
            let readable: Vec<usize> = readable.collect();
            let turn = variants.open.len() % readable.len().max(1);
            readable.get(turn).copied().unwrap_or(0)
        };
        variants.open.push(index);
        index
    }

    pub(super) fn close_variant(&mut self, name: &'static str) {
        if let Some(variants) = self.enums.get_mut(name) {
            variants.open.pop();
        }
    }
}

/// Ends an attempt.
pub(super) fn refusal() -> Error {
    serde::de::Error::custom("the type cannot be probed")
}
