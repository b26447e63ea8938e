//! Invalidation: by key, tag, function, or everything; hard and soft.
//!
//! The shared tier is changed first and this process after it, so that nothing old is read back in between. The
//! change runs as a task of its own where there is a shared tier: a caller that goes away half way does not leave it
//! half done.

use std::time::Duration;

use super::function::tag_of;
use super::{Cache, Inner};
use crate::backend::{EntryKey, Epoch, TagKey};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, Tag};
use crate::local::epochs::Severity;

impl Inner {
    /// Removes what this process holds under `key`: the entry, and the flight for later callers.
    pub(super) fn remove_here(&self, key: &Key) {
        drop(self.flights.detach(key, || self.tier.remove(key)));
    }

    /// Removes the entry that this process holds under `key`: a newer one was stored elsewhere.
    pub(super) fn overtake_here(&self, key: &Key) {
        drop(self.flights.overtake(key, || self.tier.remove(key)));
    }

    /// Makes stale what this process holds under `key`.
    pub(super) fn expire_here(&self, key: &Key) {
        let now = self.clock.now();
        self.flights.detach(key, || self.tier.find(&key.view(), |entry| entry.expire(now)));
    }

    /// Moves the epoch of `tag` here, after it got `epoch` in the shared tier; without that, because it could not.
    fn move_here(&self, tag: &TagKey, epoch: Option<Epoch>, severity: Severity) {
        let generation = self.shared.as_deref().map_or(0, super::Shared::generation);
        let change = |cell: &crate::local::epochs::Cell| match epoch {
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

impl Cache {
    /// Removes the entry of `key`. Once this returned `Ok`, no call that starts afterwards in this process
    /// returns a value whose computation began before; in other processes none does after the milliseconds that a
    /// message takes, and in any case after `max_local_staleness`.
    ///
    /// A computation in flight goes on for the callers that wait for it; it is not joined by later ones, and
    /// not stored.
    ///
    /// # Errors
    ///
    /// None in process. With a shared tier `Unreachable`, when it could not be reached: then the entry is removed in
    /// this process, and will be removed there as soon as it answers.
    ///
    /// # Cancel safety
    ///
    /// Takes effect when first polled, also if the future is dropped then.
    pub async fn invalidate(&self, key: &Key) -> Result<(), Error> {
        let text = match self.0.shared {
            None => {
                self.0.remove_here(key);
                return Ok(());
            }
            Some(_) => EntryKey::from(key.to_string()),
        };
        let key = key.clone();
        self.detached(async move |cache| {
            let Some(shared) = cache.0.shared.as_deref() else { return Ok(()) };
            let underway = shared.expect_echo(&text);
            let done = shared.invalidate(&text).await;
            cache.0.remove_here(&key);
            if done.is_ok() {
                underway.answered();
            }
            done
        })
        .await
    }

    /// Makes the entry of `key` stale: the next call computes anew. Calls in flight are as for
    /// [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn expire(&self, key: &Key) -> Result<(), Error> {
        // Whoever reads it knows its grace; the server never keeps it longer than it would have.
        self.expire_keeping(key, Duration::MAX).await
    }

    /// Makes the entry of `key` stale, and lets the shared tier keep it for `keep` at most.
    pub(super) async fn expire_keeping(&self, key: &Key, keep: Duration) -> Result<(), Error> {
        let text = match self.0.shared {
            None => {
                self.0.expire_here(key);
                return Ok(());
            }
            Some(_) => EntryKey::from(key.to_string()),
        };
        let key = key.clone();
        self.detached(async move |cache| {
            let Some(shared) = cache.0.shared.as_deref() else { return Ok(()) };
            let underway = shared.expect_echo(&text);
            let done = shared.expire(&text, keep).await;
            cache.0.expire_here(&key);
            if done.is_ok() {
                underway.answered();
            }
            done
        })
        .await
    }

    /// Invalidates every entry that bears one of `tags`, in time that does not depend on their number.
    ///
    /// Once this returned `Ok`, no call that starts afterwards in this process returns a value that bears one
    /// of them and whose computation began before; for other processes see [`invalidate`](Self::invalidate).
    ///
    /// ```
    /// # async fn example(cache: &cache_core::Cache) -> Result<(), cache_core::Error> {
    /// cache.invalidate_tags(["restaurant:42"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate). Some of the tags may have been invalidated in the shared tier, all
    /// are in this process.
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tags<T: Into<Tag>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        self.move_tags(user_tags(tags), Severity::Hard).await
    }

    /// Makes every entry stale that bears one of `tags`. In the shared tier, and in other processes, they are
    /// removed: an epoch there tells no degrees.
    ///
    /// # Errors
    ///
    /// As [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn expire_tags<T: Into<Tag>>(&self, tags: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.move_tags(user_tags(tags), Severity::Soft).await
    }

    /// Invalidates every entry of the functions called `name`: all versions and type instances. A name is
    /// what `name = ".."` says, or the path (`app::menus::menu_of`), or its end (`menu_of`, `menus::menu_of`).
    ///
    /// Answers how many functions that were. One that was never called on this cache has no entries in this process,
    /// and is not counted; to invalidate what other processes stored of it, write its whole path.
    ///
    /// # Errors
    ///
    /// As [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_function(&self, name: &str) -> Result<usize, Error> {
        self.move_functions(name, Severity::Hard).await
    }

    /// Makes every entry of the functions called `name` stale; names as for
    /// [`invalidate_function`](Self::invalidate_function), other tiers as for [`expire_tags`](Self::expire_tags).
    ///
    /// # Errors
    ///
    /// As [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn expire_function(&self, name: &str) -> Result<usize, Error> {
        self.move_functions(name, Severity::Soft).await
    }

    /// Invalidates everything under this cache's prefix, in this process and all others.
    ///
    /// # Errors
    ///
    /// As [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn clear(&self) -> Result<(), Error> {
        let cleared = self.move_tags(vec![TagKey::Everything], Severity::Hard).await;
        // The epochs have done it; this gives the memory back.
        self.0.tier.clear();
        cleared
    }

    async fn move_functions(&self, name: &str, severity: Severity) -> Result<usize, Error> {
        let count = self.0.functions.count(name);
        self.move_tags(self.0.functions.tags_of(name), severity).await?;
        Ok(count)
    }

    /// Moves the epochs of the function at `path`.
    pub(super) async fn move_function(&self, path: &str, severity: Severity) -> Result<(), Error> {
        self.move_tags(vec![tag_of(path)], severity).await
    }

    async fn move_tags(&self, tags: Vec<TagKey>, severity: Severity) -> Result<(), Error> {
        if self.0.shared.is_none() {
            tags.iter().for_each(|tag| self.0.move_here(tag, None, severity));
            return Ok(());
        }
        self.detached(async move |cache| {
            let Some(shared) = cache.0.shared.as_deref() else { return Ok(()) };
            let moved = shared.move_tags(&tags).await;
            for (index, tag) in tags.iter().enumerate() {
                let epoch = moved.as_ref().ok().and_then(|epochs| epochs.get(index)).copied();
                cache.0.move_here(tag, epoch, severity);
            }
            moved.map(drop)
        })
        .await
    }

    /// Runs `change` as a task, so that it comes to its end also if its caller goes away.
    async fn detached<F, Fut>(&self, change: F) -> Result<(), Error>
    where
        F: FnOnce(Cache) -> Fut,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let change = change(self.clone());
        let shared = self.0.shared.as_deref();
        shared.into_iter().for_each(|shared| shared.attend(self));
        match shared.map(|shared| shared.run(change)) {
            Some(Ok(task)) => task.await.unwrap_or_else(|ended| {
                let what = "invalidate in the shared tier: the runtime ended meanwhile; call it before shutting down";
                Err(Error::new(ErrorKind::Unreachable, what).with_source(ended))
            }),
            // No runtime: nothing that could go away, either.
            Some(Err(change)) => change.await,
            None => Ok(()),
        }
    }
}

fn user_tags<T: Into<Tag>>(tags: impl IntoIterator<Item = T>) -> Vec<TagKey> {
    tags.into_iter().map(|tag| TagKey::from(tag.into())).collect()
}
