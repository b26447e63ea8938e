//! One cached function as one cache knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::stats::Counters;
use crate::key::Identity;
use crate::local::epochs::{Cell, Severity};

/// The counters and the epoch of a function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) identity: Identity,
    pub(crate) epoch: Arc<Cell>,
    pub(crate) counters: Counters,
}

/// All functions that were called on a cache.
///
/// Grows to the number of functions in the program, times the type instances of the generic ones.
#[derive(Debug, Default)]
pub(crate) struct Functions(Mutex<HashMap<Identity, Arc<Function>>>);

impl Functions {
    /// The record of `identity`, made on first sight.
    pub(crate) fn of(&self, identity: Identity) -> Arc<Function> {
        let mut functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Function { identity, epoch: Arc::default(), counters: Counters::default() });
        functions.entry(identity).or_insert_with(make).clone()
    }

    /// Moves the epochs of those that `which` picks; tells how many.
    pub(crate) fn invalidate(&self, severity: Severity, which: impl Fn(&Function) -> bool) -> usize {
        // Under the lock: a function that appears now begins after this invalidation.
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let picked = functions.values().filter(|function| which(function));
        picked.map(|function| function.epoch.invalidate(severity)).count()
    }

    /// All, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = functions.values().cloned().collect();
        drop(functions);
        all.sort_by(|a, b| {
            (a.identity.name(), a.identity.version()).cmp(&(b.identity.name(), b.identity.version()))
        });
        all
    }
}

impl Function {
    /// The name as the statistics show it: with the version, where there is one.
    pub(crate) fn title(&self) -> String {
        match self.identity.version() {
            0 => self.identity.name().to_owned(),
            version => format!("{} v{version}", self.identity.name()),
        }
    }

    /// Whether `name` means this function: its whole name, or the end of it after a `::`; whatever its type
    /// arguments.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let front = self.identity.function().strip_suffix(name);
        front.is_some_and(|front| front.is_empty() || front.ends_with("::"))
    }
}
