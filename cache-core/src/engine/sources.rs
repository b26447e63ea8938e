//! What a value is made of: the answers to other computations that its body was handed.

use std::sync::Arc;

use crate::clock::Tick;
use crate::epochs::{Stamp, Stamps};
use crate::local::StoredEntry;

/// The answer to another computation, of which nothing is kept that an invalidation would outdate.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// When that began: perhaps before what was made of it.
    pub(super) begun: Tick,
    /// What it bears; without, perhaps anything.
    stamps: Option<Stamps>,
}

impl Source {
    /// What a follower was handed. An entry that is kept here is none: what outdates it is noticed.
    pub(super) fn of(entry: &StoredEntry) -> Option<Self> {
        let source = || Self { begun: entry.begun(), stamps: Some(entry.stamps().clone()) };
        entry.is_for_followers().then(source)
    }

    /// That there is nothing.
    pub(super) fn absence(begun: Tick) -> Self {
        Self { begun, stamps: None }
    }

    /// Whether an invalidation of what `stamp` is of outdates it.
    pub(super) fn bears(&self, stamp: &Stamp) -> bool {
        self.stamps.as_ref().is_none_or(|stamps| stamps.iter().any(|own| own.is_of_the_same(stamp)))
    }
}

/// Those of one body, which all items of a batch share. Most have none.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Option<Arc<Vec<Source>>>);

impl Sources {
    pub(super) fn push(&mut self, source: Source) {
        Arc::make_mut(self.0.get_or_insert_default()).push(source);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().flat_map(|all| all.iter())
    }
}
