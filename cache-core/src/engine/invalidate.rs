//! The verbs of invalidation: by key, tag, function, or everything; hard and soft. Each is a set of its own, applied.

use super::{Cache, Invalidate};
use crate::error::Error;
use crate::key::{Key, Tag};

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
    /// this process, and will be removed there as soon as it answers, if there is a handle to the cache then.
    ///
    /// # Cancel safety
    ///
    /// Takes effect when first polled, also if the future is dropped then.
    pub async fn invalidate(&self, key: &Key) -> Result<(), Error> {
        self.apply(Invalidate::key(key)).await
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
        self.apply(Invalidate::key(key).softly()).await
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
        self.apply(Invalidate::tags(tags)).await
    }

    /// Makes every entry stale that bears one of `tags`: it may stand in to the end of its ttl and grace. In the shared
    /// tier, and in other processes, they are removed: an epoch there tells no degrees.
    ///
    /// # Errors
    ///
    /// As [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn expire_tags<T: Into<Tag>>(&self, tags: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.apply(Invalidate::tags(tags).softly()).await
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
        let count = self.0.functions.count(name);
        self.apply(Invalidate::function(name)).await?;
        Ok(count)
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
        let count = self.0.functions.count(name);
        self.apply(Invalidate::function(name).softly()).await?;
        Ok(count)
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
        self.apply(Invalidate::everything()).await
    }
}
