//! Who holds a cache: computations in the background, which end when nobody else does.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::Cache;

/// How many handles to a cache its background has, and how often that has changed.
#[derive(Debug, Default)]
pub(super) struct Holders(AtomicU64);

/// One change: in the upper half, beside the number of handles.
const CHANGE: u64 = 1 << 32;

impl Holders {
    fn count(&self) {
        self.0.fetch_add(CHANGE + 1, Ordering::AcqRel);
    }

    fn uncount(&self) {
        self.0.fetch_add(CHANGE - 1, Ordering::AcqRel);
    }
}

/// A handle of the background's. It is counted after it is there and until before it goes: so there are never fewer such handles than
/// are counted.
#[derive(Debug)]
pub(super) struct Holder(Cache);

impl Holder {
    pub(super) fn new(cache: Cache) -> Self {
        cache.0.holders.count();
        Self(cache)
    }

    /// Whether nobody but the background holds the cache.
    pub(super) fn is_alone(&self) -> bool {
        let cache = &self.0.0;
        let before = cache.holders.0.load(Ordering::Acquire);
        let handles = Arc::strong_count(cache) as u64;
        // Who has seen a handle gone sees it uncounted.
        fence(Ordering::Acquire);
        // Where the count has changed meanwhile, the two numbers belong to different moments, and the next look tells.
        let after = cache.holders.0.load(Ordering::Relaxed);
        before == after && handles <= before % CHANGE
    }
}

impl Clone for Holder {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.0.holders.uncount();
    }
}

impl Deref for Holder {
    type Target = Cache;

    fn deref(&self) -> &Cache {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn the_background_is_alone_when_all_other_handles_are_gone() {
        let cache = Cache::disabled();
        let (one, other) = (Holder::new(cache.clone()), Holder::new(cache.clone()));
        assert!(!one.is_alone());

        drop(cache);

        assert!(one.is_alone() && other.is_alone());
        drop(other);
        assert!(one.is_alone());
    }

    #[test]
    fn the_background_is_never_alone_while_others_of_it_come_and_go_and_somebody_holds_the_cache() {
        let (cache, is_over) = (Cache::disabled(), AtomicBool::new(false));
        let looking = Holder::new(cache.clone());

        let alone = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let one = Holder::new(cache.clone());
                        drop((one.clone(), one));
                    }
                });
            }
            let alone = (0..2_000_000).filter(|_| looking.is_alone()).count();
            is_over.store(true, Ordering::Relaxed);
            alone
        });

        assert_eq!(alone, 0);
    }
}
