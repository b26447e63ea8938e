//! Invalidation: by key, tag, function, or everything; hard and soft.
//!
//! The verbs are async and fallible because a shared tier makes them so. In process they complete at once and
//! do not fail.

use super::Cache;
use crate::error::Error;
use crate::key::{Key, Tag};
use crate::local::epochs::Severity;

impl Cache {
    /// Removes the entry of `key`. Once this returned `Ok`, no call that starts afterwards in this process
    /// returns a value whose computation began before.
    ///
    /// A computation in flight goes on for the callers that wait for it; it is not joined by later ones, and
    /// not stored.
    ///
    /// # Errors
    ///
    /// None in process.
    ///
    /// # Cancel safety
    ///
    /// Takes effect when first polled.
    pub async fn invalidate(&self, key: &Key) -> Result<(), Error> {
        drop(self.0.flights.detach(key, || self.0.tier.remove(key)));
        Ok(())
    }

    /// Makes the entry of `key` stale: the next call computes anew. Calls in flight are as for
    /// [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    ///
    /// None in process.
    pub async fn expire(&self, key: &Key) -> Result<(), Error> {
        self.0.flights.detach(key, || self.0.tier.find(&key.view(), |entry| entry.expire()));
        Ok(())
    }

    /// Invalidates every entry that bears one of `tags`, in time that does not depend on their number.
    ///
    /// Once this returned `Ok`, no call that starts afterwards in this process returns a value that bears one
    /// of them and whose computation began before.
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
    /// None in process.
    ///
    /// # Cancel safety
    ///
    /// Takes effect when first polled.
    pub async fn invalidate_tags<T: Into<Tag>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        self.move_tags(tags, Severity::Hard);
        Ok(())
    }

    /// Makes every entry stale that bears one of `tags`.
    ///
    /// # Errors
    ///
    /// None in process.
    pub async fn expire_tags<T: Into<Tag>>(&self, tags: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.move_tags(tags, Severity::Soft);
        Ok(())
    }

    fn move_tags<T: Into<Tag>>(&self, tags: impl IntoIterator<Item = T>, severity: Severity) {
        for tag in tags {
            self.0.epochs.invalidate(&tag.into(), severity);
        }
    }

    /// Invalidates every entry of the functions called `name`: all versions and type instances. A name is
    /// what `name = ".."` says, or the path (`app::menus::menu_of`), or its end (`menu_of`, `menus::menu_of`).
    ///
    /// Answers how many functions that were. One that was never called on this cache has no entries, and is
    /// not counted.
    ///
    /// # Errors
    ///
    /// None in process.
    pub async fn invalidate_function(&self, name: &str) -> Result<usize, Error> {
        Ok(self.0.functions.invalidate(Severity::Hard, |function| function.is_called(name)))
    }

    /// Makes every entry of the functions called `name` stale; names as for
    /// [`invalidate_function`](Self::invalidate_function).
    ///
    /// # Errors
    ///
    /// None in process.
    pub async fn expire_function(&self, name: &str) -> Result<usize, Error> {
        Ok(self.0.functions.invalidate(Severity::Soft, |function| function.is_called(name)))
    }

    /// Invalidates everything.
    ///
    /// # Errors
    ///
    /// None in process.
    pub async fn clear(&self) -> Result<(), Error> {
        self.0.functions.invalidate(Severity::Hard, |_| true);
        // The epochs have done it; this gives the memory back.
        self.0.tier.clear();
        Ok(())
    }
}
