//! Applying a set of invalidations: the shared tier first, then this process, so that nothing old is read back in between.
//!
//! Where there is a shared tier, this runs as a task of its own: a caller that goes away half way does not leave it half
//! done.

use std::time::Duration;

use tokio::sync::oneshot;

use super::invalidation::{Invalidate, Resolved};
use super::shared::TAG_LIFE;
use super::{Cache, Inner};
use crate::backend::dynamic::BoxFuture;
use crate::backend::{EntryKey, Epoch, InvalidateRequest, TagKey, Tags};
use crate::epochs::{Cell, Severity};
use crate::error::{Error, ErrorKind};
use crate::event::{Invalidated, Invalidator};
use crate::key::Key;
use crate::local::Displaced;

impl Cache {
    /// Applies all of `set` in one go: one round trip to the shared tier, or one to each of its nodes, whatever number of
    /// entries and tags it holds. (Sets of thousands take several; and a process that is more than 4,096 messages behind drops what it
    /// holds, since it may have missed some.)
    ///
    /// Once this returned `Ok`, no call that starts afterwards in this process returns a value that the set concerns
    /// and whose computation began before; in other processes none does after the milliseconds that a message takes, and in
    /// any case after `max_local_staleness`. The set is not one atomic step: while it is applied, others may see a part.
    ///
    /// ```
    /// use cache_core::{Cache, Invalidate};
    ///
    /// # async fn example(cache: &Cache) -> Result<(), cache_core::Error> {
    /// cache.apply(Invalidate::tags(["restaurant:42", "city:7"]).and(Invalidate::function("popular"))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unreachable`, when the shared tier could not be reached: then all of the set is applied in this process, and will
    /// be applied there as soon as it answers, if there is a handle to the cache then. Some of it may have been applied there already.
    ///
    /// `Refused`, `Configuration`, `Unsupported`, when it answered so: likewise. `Postponed`: a part of a cluster could not be reached, and
    /// the backend repeats it. `NotReplicated`: it is made, and fewer replicas have it than were asked for; that is not repeated.
    ///
    /// `Key`, when a handle in the set names no entry: the rest is applied.
    ///
    /// # Cancel safety
    ///
    /// Takes effect when first polled, also if the future is dropped then.
    pub async fn apply(&self, set: Invalidate) -> Result<(), Error> {
        self.begin_to_apply(set).ended().await
    }

    /// Begins to apply all of `set`, in each cache that it concerns.
    pub(super) fn begin_to_apply(&self, set: Invalidate) -> Applying {
        let (parts, failure) = set.by_cache(self);
        let parts = parts.into_iter().filter(|(_, part)| !part.is_empty());
        Applying { parts: parts.filter_map(|(cache, part)| cache.begin_part(part)).collect(), failure }
    }

    /// Begins what is to be done in this cache; `None` if that is done.
    fn begin_part(&self, part: Resolved) -> Option<Part> {
        let Some(shared) = self.0.shared.as_deref() else {
            self.0.apply_here(&part, None);
            return None;
        };
        shared.attend(self);
        let (told, outcome) = oneshot::channel();
        let (cache, applying) = (self.clone(), Underway { cache: self.clone(), part: Some(part) });
        let applying = async move {
            // Whoever began it may be gone by its end.
            if let Err(Err(error)) = told.send(applying.end().await) {
                cache.note_failed_invalidation(&error);
            }
        };
        let here = match shared.run(applying) {
            Ok(_) => None,
            // No runtime: nothing that could go away, either.
            Err(applying) => Some(Box::pin(applying) as BoxFuture<'static, ()>),
        };
        Some(Part { cache: self.clone(), here, outcome })
    }
}

/// A part of a set that is being applied everywhere. Dropped before its end, as with the runtime of its task, it takes effect
/// here, and there later.
struct Underway {
    cache: Cache,
    /// `None` when it has ended.
    part: Option<Resolved>,
}

impl Underway {
    async fn end(mut self) -> Result<(), Error> {
        let cache = self.cache.clone();
        let (Some(shared), Some(part)) = (cache.0.shared.as_deref(), &self.part) else { return Ok(()) };
        let there = There::of(part);
        let underway: Vec<_> = there.keys().map(|key| shared.expect_echo(key)).collect();
        let moves = shared.expect_moves(&part.tags);
        let moved = shared.invalidate(there.request()).await;
        cache.0.apply_here(part, moved.as_deref().ok());
        drop(moves);
        self.part = None;
        if moved.is_ok() {
            underway.into_iter().for_each(|one| one.answered());
        }
        moved.map(drop)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Some(part) = &self.part else { return };
        if let Some(shared) = self.cache.0.shared.as_deref() {
            shared.postpone(&There::of(part).request());
        }
        self.cache.0.apply_here(part, None);
    }
}

/// A part as the shared tier is told of it.
struct There {
    removed: Vec<EntryKey>,
    expired: Vec<(EntryKey, Duration)>,
    tags: Vec<TagKey>,
}

impl There {
    fn of(part: &Resolved) -> Self {
        let text = |key: &Key| EntryKey::from(key.to_string());
        Self {
            removed: part.removed.iter().map(text).collect(),
            expired: part.expired.iter().map(|(key, keep)| (text(key), *keep)).collect(),
            tags: part.tags.iter().map(|(tag, _)| tag.clone()).collect(),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &EntryKey> {
        self.removed.iter().chain(self.expired.iter().map(|(key, _)| key))
    }

    fn request(&self) -> InvalidateRequest<'_> {
        let tags = Tags { keys: &self.tags, life: TAG_LIFE };
        InvalidateRequest { keys: &self.removed, expired: &self.expired, tags }
    }
}

/// What is being applied, each part of it to its end whoever waits.
pub(super) struct Applying {
    parts: Vec<Part>,
    failure: Option<Error>,
}

struct Part {
    cache: Cache,
    /// What is to be done by whoever waits for it.
    here: Option<BoxFuture<'static, ()>>,
    outcome: oneshot::Receiver<Result<(), Error>>,
}

impl Part {
    async fn ended(mut self) -> Result<(), Error> {
        if let Some(here) = self.here.take() {
            here.await;
        }
        (&mut self.outcome).await.unwrap_or_else(|ended| {
            let what =
                "invalidate in the shared tier: the runtime ended meanwhile; call it before shutting down";
            Err(Error::new(ErrorKind::Unreachable, what).with_source(ended))
        })
    }
}

impl Drop for Part {
    /// Whoever waited may have gone away without having looked.
    fn drop(&mut self) {
        if let Ok(Err(error)) = self.outcome.try_recv() {
            self.cache.note_failed_invalidation(&error);
        }
    }
}

impl Applying {
    /// Waits for all of it; answers the first error.
    pub(super) async fn ended(self) -> Result<(), Error> {
        let mut outcome = self.failure.map_or(Ok(()), Err);
        for part in self.parts {
            outcome = outcome.and(part.ended().await);
        }
        outcome
    }
}

/// A value is being stored everywhere. Dropped before its end, nobody knows how far it has come: elsewhere it may be there, so what this
/// process holds under the key, and may be older, goes.
pub(super) struct Storing<'c> {
    cache: &'c Cache,
    /// `None` when it has ended.
    key: Option<Key>,
}

impl<'c> Storing<'c> {
    pub(super) fn begin(cache: &'c Cache, key: &Key) -> Self {
        Self { cache, key: Some(key.clone()) }
    }

    pub(super) fn end(mut self) {
        self.key = None;
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.cache.0.remove_here(key);
        }
    }
}

impl Inner {
    /// Applies `part` to what this process holds; `epochs` are those that its tags got in the shared tier.
    fn apply_here(&self, part: &Resolved, epochs: Option<&[Epoch]>) {
        for (index, (tag, severity)) in part.tags.iter().enumerate() {
            let epoch = epochs.and_then(|epochs| epochs.get(index)).copied();
            self.move_here(tag, epoch, *severity);
        }
        part.expired.iter().for_each(|(key, _)| self.expire_here(key));
        // Values go when all is done: their `Drop` is the user's code, and may panic.
        let removed: Vec<Displaced> = part.removed.iter().map(|key| self.take_here(key)).collect();
        if self.subscribers.is_any() {
            self.tell_part(part);
        }
        drop(removed);
        if part.tags.contains(&(TagKey::Everything, Severity::Hard)) {
            // The epochs have done it; this gives the memory back.
            self.tier.clear();
        }
    }

    #[cold]
    fn tell_part(&self, part: &Resolved) {
        let keys = part.removed.iter().map(|key| (key, Severity::Hard));
        for (key, severity) in keys.chain(part.expired.iter().map(|(key, _)| (key, Severity::Soft))) {
            self.tell_invalidation(
                || Invalidated::Entry(key.to_string().into()),
                severity,
                Invalidator::Here,
            );
        }
        for (tag, severity) in &part.tags {
            self.tell_invalidation(|| tag.into(), *severity, Invalidator::Here);
        }
    }

    /// Removes what this process holds under `key`: the entry, and the flight for later callers.
    pub(super) fn remove_here(&self, key: &Key) {
        drop(self.take_here(key));
    }

    /// The same, with what was there.
    fn take_here(&self, key: &Key) -> Displaced {
        if let Some(shared) = self.shared.as_deref() {
            shared.note_removal(key);
        }
        self.flights.detach(key, || self.tier.remove(key))
    }

    /// Removes the entry that this process holds under `key`: a newer one was stored elsewhere.
    pub(super) fn overtake_here(&self, key: &Key) {
        drop(self.flights.overtake(key, || self.tier.remove(key)));
    }

    /// Makes stale what this process holds under `key`.
    pub(super) fn expire_here(&self, key: &Key) {
        let now = self.clock.now();
        self.flights.detach(key, || self.tier.find(&key.view(), |entry| entry.expire(now)));
        // Who expires it wants a new one, also where the last attempt has failed.
        self.setbacks.lift(key, now);
    }

    /// Moves the epoch of `tag` here, after it got `epoch` in the shared tier; without that, because it could not.
    pub(super) fn move_here(&self, tag: &TagKey, epoch: Option<Epoch>, severity: Severity) {
        let generation = self.shared.as_deref().map_or(0, super::Shared::generation);
        let change = |cell: &Cell| match epoch {
            Some(epoch) => cell.moved(epoch, generation, severity),
            None => cell.invalidate(severity),
        };
        match tag {
            TagKey::Everything => {
                if let Some(shared) = self.shared.as_deref() {
                    change(&shared.everything);
                }
                self.functions.invalidate(severity, |_| true);
            }
            TagKey::Function(path) => self.functions.change(path, change),
            TagKey::Tag(tag) => {
                self.epochs.change(tag, change);
            }
        }
    }
}
