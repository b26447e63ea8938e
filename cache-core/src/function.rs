//! One cached function as one cache knows it.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::backend::TagKey;
use crate::call_site;
use crate::epochs::{Cell, Severity};
use crate::event::stats::Counters;
use crate::key::Identity;

/// The counters and the epoch of a function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) identity: Identity,
    /// One for all versions and type instances of a function: who invalidates it by name need not know them.
    pub(crate) epoch: Arc<Cell>,
    /// The tag of that epoch in the shared tier.
    pub(crate) tag: TagKey,
    pub(crate) counters: Counters,
    /// Whether the value that was last read from the shared tier, or stored there, is large.
    is_large: AtomicBool,
    /// Of the kind of its values ...
    fingerprint: OnceLock<Fingerprint>,
    /// ... and of further kinds, if it is called without the macro.
    others: Mutex<Vec<Fingerprint>>,
}

/// Reading a value of more bytes costs more than to find out whether another call is reading it.
const LARGE: usize = 16 << 10;

/// A kind of values and their fingerprint; `None` where they stay in this process.
type Fingerprint = (TypeId, Option<u64>);

/// All functions that were called on a cache.
///
/// Grows to the number of functions in the program, times the type instances of the generic ones.
#[derive(Debug, Default)]
pub(crate) struct Functions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    functions: HashMap<Identity, Arc<Function>, foldhash::fast::RandomState>,
    epochs: HashMap<&'static str, Arc<Cell>>,
}

impl Function {
    /// A value of `bytes` was read from the shared tier, or stored there.
    pub(crate) fn has_size(&self, bytes: usize) {
        // Mostly as before: no need to write where all others read.
        if self.is_large() != (bytes > LARGE) {
            self.is_large.store(bytes > LARGE, Ordering::Relaxed);
        }
    }

    /// Whether its last value was so large that calls had better share what one reads.
    pub(crate) fn is_large(&self) -> bool {
        self.is_large.load(Ordering::Relaxed)
    }
}

impl Functions {
    /// The record of `identity`, made on first sight.
    pub(crate) fn of(&self, identity: Identity) -> Arc<Function> {
        let Table { functions, epochs } = &mut *self.lock();
        let make = || {
            Arc::new(Function {
                identity,
                epoch: epochs.entry(identity.function()).or_default().clone(),
                tag: tag_of(identity.function()),
                counters: Counters::default(),
                is_large: AtomicBool::new(false),
                fingerprint: OnceLock::new(),
                others: Mutex::default(),
            })
        };
        functions.entry(identity).or_insert_with(make).clone()
    }

    /// Moves the epochs of those that `which` picks; tells how many functions that are.
    pub(crate) fn invalidate(&self, severity: Severity, which: impl Fn(&Function) -> bool) -> usize {
        // Under the lock: a function that appears now begins after this invalidation.
        let table = self.lock();
        let picked = table.functions.values().filter(|function| which(function));
        picked.map(|function| function.epoch.invalidate(severity)).count()
    }

    /// How many functions are called `name`.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.lock()
            .functions
            .values()
            .filter(|function| is_called(function.identity.function(), name))
            .count()
    }

    /// Shows the epoch of the functions at `path` to `change`, if there are any.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&Cell)) {
        if let Some(cell) = self.lock().epochs.get(path) {
            change(cell);
        }
    }

    /// The tags of the functions called `name`: of those that are known here, and of one that other processes may call, whose
    /// whole path it is.
    pub(crate) fn tags_of(&self, name: &str) -> Vec<TagKey> {
        let table = self.lock();
        let picked = table.epochs.keys().filter(|path| is_called(path, name) && &***path != name);
        picked.map(|path| tag_of(path)).chain([tag_of(name)]).collect()
    }

    /// All, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        let mut all: Vec<_> = self.lock().functions.values().cloned().collect();
        all.sort_by(|a, b| {
            (a.identity.name(), a.identity.version()).cmp(&(b.identity.name(), b.identity.version()))
        });
        all
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tag that all entries of the functions at `path` bear.
pub(crate) fn tag_of(path: &str) -> TagKey {
    TagKey::Function(path.into())
}

/// Whether `name` means the function at `path`: its whole path, or the end of it after a `::`.
fn is_called(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with("::"))
}

impl Function {
    /// The name as the statistics show it: with the version, where there is one.
    pub(crate) fn title(&self) -> String {
        match self.identity.version() {
            0 => self.identity.name().to_owned(),
            version => format!("{} v{version}", self.identity.name()),
        }
    }

    /// The fingerprint of its values of the kind `of`, or `None` where they stay in this process. `take` takes it, for a version of
    /// the function.
    pub(crate) fn fingerprint(&self, of: TypeId, take: impl Fn(u32) -> Option<u64>) -> Option<u64> {
        if call_site::is_ambiguous(self.identity) {
            return None;
        }
        let take = || (of, take(self.identity.version()));
        let (first, fingerprint) = *self.fingerprint.get_or_init(take);
        if first == of {
            return fingerprint;
        }
        let others = || self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let known = others().iter().find(|(known, _)| *known == of).copied();
        if let Some((_, fingerprint)) = known {
            return fingerprint;
        }
        // Outside the lock: it runs the user's `Deserialize`. Of two at once both find the same.
        let taken = take();
        others().push(taken);
        taken.1
    }
}
