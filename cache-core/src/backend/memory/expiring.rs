//! A map whose items end by themselves.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Maps keys to values with a deadline, in µs of the store's clock.
///
/// Each item has exactly one place in the order of deadlines, removed with it, so both are as large as
/// what is alive. Ended items are invisible at once and removed by [`pop_ended`](Self::pop_ended).
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    items: HashMap<K, Item<V>, foldhash::fast::RandomState>,
    order: BTreeSet<(u64, K)>,
}

#[derive(Debug)]
struct Item<V> {
    value: V,
    deadline: u64,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { items: HashMap::default(), order: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord, V> Expiring<K, V> {
    /// The value, if it has not ended at `now`.
    pub(super) fn live(&self, key: &K, now: u64) -> Option<&V> {
        self.items.get(key).filter(|item| now < item.deadline).map(|item| &item.value)
    }

    /// The same, to change it; and its deadline.
    pub(super) fn live_mut(&mut self, key: &K, now: u64) -> Option<(&mut V, u64)> {
        let item = self.items.get_mut(key).filter(|item| now < item.deadline)?;
        Some((&mut item.value, item.deadline))
    }

    /// Stores a value; answers the one it replaces, ended or not.
    pub(super) fn insert(&mut self, key: K, value: V, deadline: u64) -> Option<V> {
        let replaced = self.remove(&key);
        self.order.insert((deadline, key.clone()));
        self.items.insert(key, Item { value, deadline });
        replaced
    }

    /// Removes a value, ended or not.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (key, item) = self.items.remove_entry(key)?;
        self.order.remove(&(item.deadline, key));
        Some(item.value)
    }

    /// Moves the deadline of what is there.
    pub(super) fn set_deadline(&mut self, key: &K, deadline: u64) {
        if let Some(item) = self.items.get_mut(key) {
            self.order.remove(&(item.deadline, key.clone()));
            self.order.insert((deadline, key.clone()));
            item.deadline = deadline;
        }
    }

    /// Removes one item that has ended at `now`.
    pub(super) fn pop_ended(&mut self, now: u64) -> Option<(K, V)> {
        if self.order.first()?.0 > now { None } else { self.pop_first() }
    }

    /// Removes the item that ends first.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_first()?;
        let item = self.items.remove(&key)?;
        Some((key, item.value))
    }

    /// How many items take memory, ended ones included.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}
