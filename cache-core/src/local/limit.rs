//! How large the local tier may get.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// The size of the local tier.
///
/// ```
/// use cache_core::Local;
///
/// let in_bytes = Local::bytes(256 << 20);
/// let in_entries = Local::entries(10_000);
/// let weighed = Local::bytes(64 << 20).weigh::<Vec<u8>>(|bytes| bytes.capacity());
/// # let _ = (in_bytes, in_entries, weighed);
/// ```
#[derive(Clone)]
pub struct Local {
    bound: Bound,
    weighers: HashMap<TypeId, Weigher>,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Bytes(u64),
    Entries(u64),
}

type Weigher = Arc<dyn Fn(&dyn Any) -> usize + Send + Sync>;

/// What the tier is expected to hold in an entry, where nobody says so.
const EXPECTED_ENTRY: u64 = 512;

/// No shard smaller than this in bytes, so that values of some size find room ...
const SMALLEST_SHARD: u64 = 4 << 20;
/// ... or in entries, so that chance does not fill one shard long before the others.
const SMALLEST_SHARD_ENTRIES: u64 = 512;

impl Local {
    /// Bounds the tier to `bytes`. The default is 64 MiB; 0 stores nothing.
    ///
    /// An entry weighs what it takes itself (header, key, the value's own struct, tags) and, for what its
    /// value keeps elsewhere, its encoded size, or what [`weigh`](Self::weigh) says. The index over the
    /// entries comes on top: 50 to 130 bytes for each entry, since it grows by doubling, and as many for each
    /// KiB of the bound, since it remembers what it lately evicted.
    ///
    /// The tier is divided into up to 8 parts a core, each at least 4 MiB (or all of it), with a lock and an
    /// equal share of the bytes each. A value heavier than 97 % of a part is not stored (`rejected` in the
    /// statistics).
    pub fn bytes(bytes: u64) -> Self {
        Self { bound: Bound::Bytes(bytes), weighers: HashMap::new() }
    }

    /// Bounds the tier to a number of entries, whatever they weigh; 0 stores nothing.
    pub fn entries(entries: u64) -> Self {
        Self { bound: Bound::Entries(entries), weighers: HashMap::new() }
    }

    /// Says what the values of type `V` keep outside their own struct, in bytes, instead of the encoded size.
    ///
    /// For values that cannot be encoded (`tier = local`) and for those whose size in memory differs a
    /// lot from their size when encoded. `V` is the stored type: `T` of a function that returns
    /// `Result<T, E>`, `Option<T>` of one that returns `Option<T>`. Without it a value that cannot be encoded
    /// weighs its own struct alone.
    #[must_use]
    pub fn weigh<V: Any>(mut self, weigher: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        let erased = move |value: &dyn Any| value.downcast_ref().map_or(0, &weigher);
        self.weighers.insert(TypeId::of::<V>(), Arc::new(erased));
        self
    }

    /// What the user's weigher says of `value`, where there is one.
    pub(crate) fn weighed(&self, value: &dyn Any) -> Option<usize> {
        if self.weighers.is_empty() {
            return None;
        }
        self.weighers.get(&value.type_id()).map(|weigher| weigher(value))
    }

    pub(crate) fn is_by_entries(&self) -> bool {
        matches!(self.bound, Bound::Entries(_))
    }

    pub(crate) fn capacity(&self) -> u64 {
        match self.bound {
            Bound::Bytes(capacity) | Bound::Entries(capacity) => capacity,
        }
    }

    pub(crate) fn expected_entries(&self) -> usize {
        let entries = match self.bound {
            Bound::Bytes(bytes) => bytes / EXPECTED_ENTRY,
            Bound::Entries(entries) => entries,
        };
        usize::try_from(entries).unwrap_or(usize::MAX).max(1)
    }

    pub(crate) fn shards(&self) -> usize {
        let (capacity, smallest) = match self.bound {
            Bound::Bytes(bytes) => (bytes, SMALLEST_SHARD),
            Bound::Entries(entries) => (entries, SMALLEST_SHARD_ENTRIES),
        };
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let most = (8 * cores).next_power_of_two();
        let fitting = usize::try_from(capacity / smallest).unwrap_or(usize::MAX).max(1);
        // A power of two, rounded down: the shard is picked by a mask.
        most.min(1 << fitting.ilog2())
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::bytes(64 << 20)
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("bound", &self.bound).field("weighers", &self.weighers.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tier_is_one_part() {
        assert_eq!(Local::bytes(1 << 20).shards(), 1);
        assert_eq!(Local::entries(3).shards(), 1);
        assert_eq!(Local::bytes(0).shards(), 1);
    }

    #[test]
    fn a_large_tier_is_cut_into_a_power_of_two() {
        assert!(Local::bytes(64 << 30).shards().is_power_of_two());
        assert!(Local::bytes(64 << 20).shards() <= 16);
    }
}
