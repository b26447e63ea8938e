//! What is counted about a key is told here, too, to who subscribed.

use super::{Cache, Function, Inner};
use crate::backend::Origin;
use crate::epochs::Severity;
use crate::event::stats::Happening;
use crate::event::{Event, Events, Invalidated, Invalidator, Tier};
use crate::key::Key;

/// Events that wait for a subscriber, unless it says otherwise.
const CAPACITY: usize = 1024;

impl Cache {
    /// Subscribes to what happens in this cache from now on: hits, misses with their reason, fills, invalidations and whose
    /// they were, refreshes, and how it stands with the shared tier.
    ///
    /// No call ever waits for a subscriber: 1024 events wait for it, beyond that the oldest are lost, and
    /// [`Event::Lost`] tells how many. Without one a call pays nothing; with one each event costs a call the text of its key.
    /// For counts, [`stats`](Self::stats) are exact and cheaper.
    ///
    /// ```
    /// use cache_core::{Cache, Event, Key, Options};
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// let cache = Cache::default();
    /// let mut events = cache.subscribe();
    ///
    /// cache.invalidate_tags(["menu"]).await?;
    ///
    /// assert!(matches!(events.next().await, Some(Event::Invalidation { .. })));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn subscribe(&self) -> Events {
        self.subscribe_with(CAPACITY)
    }

    /// The same, with room for `capacity` events; for one at least.
    pub fn subscribe_with(&self, capacity: usize) -> Events {
        self.0.subscribers.subscribe(capacity)
    }

    /// Counts what happened about `key`, and tells it.
    pub(super) fn count(&self, function: &Function, key: &Key, what: Happening) {
        function.counters.count(what);
        self.tell(function, key, what);
    }

    /// Tells what was counted elsewhere. Not under a lock: it wakes others.
    #[inline]
    pub(super) fn tell(&self, function: &Function, key: &Key, what: Happening) {
        if self.0.subscribers.is_any() {
            self.tell_subscribers(function, key, what);
        }
    }

    #[cold]
    fn tell_subscribers(&self, function: &Function, key: &Key, what: Happening) {
        let (function, key) = (function.title().into(), key.to_string().into());
        let event = match what {
            Happening::SharedHit => Event::Hit { function, key, tier: Tier::Shared },
            Happening::Stale => Event::Stale { function, key },
            Happening::Miss(reason) => Event::Miss { function, key, reason },
            Happening::Joined => Event::Joined { function, key },
            Happening::Fill => Event::Fill { function, key },
            Happening::Refused => Event::RefusedFill { function, key },
            Happening::Refresh => Event::Refresh { function, key },
            Happening::FailedRefresh => Event::FailedRefresh { function, key },
            // About the function, rather than about what is cached.
            Happening::Bypassed
            | Happening::Computation
            | Happening::Error
            | Happening::Abandoned
            | Happening::Rejected
            | Happening::SoftTimeout
            | Happening::HardTimeout => return,
        };
        self.0.subscribers.tell(|| event);
    }

    /// Tells of a hit in the local tier, which was counted where it was found. `function` is its title.
    #[cold]
    pub(super) fn tell_hit(&self, function: &str, key: &Key) {
        self.0.subscribers.tell(|| Event::Hit {
            function: function.into(),
            key: key.to_string().into(),
            tier: Tier::Local,
        });
    }
}

impl Inner {
    /// Tells of an invalidation that took effect here.
    #[inline]
    pub(super) fn tell_invalidation(
        &self,
        of: impl FnOnce() -> Invalidated,
        severity: Severity,
        by: Invalidator,
    ) {
        let is_soft = severity == Severity::Soft;
        self.subscribers.tell(|| Event::Invalidation { of: of(), is_soft, by });
    }
}

impl Invalidator {
    /// Who sent a message, as `own` hears it.
    pub(super) fn of(origin: Origin, own: Origin) -> Self {
        match origin {
            Origin::OUTSIDE => Self::Outside,
            origin if origin == own => Self::Here,
            _ => Self::Elsewhere,
        }
    }
}
