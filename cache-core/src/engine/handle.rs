//! The typed handle to one entry, which `f_entry(..)` returns.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::fill::{self, Fill};
use super::{Cache, Function};
use crate::answer::Answer;
use crate::entry::{Freshness, Remember, StoredEntry, lifetime};
use crate::error::Error;
use crate::key::{Key, Tag};
use crate::local::epochs::{Severity, Stamp, Stamps};
use crate::storage::Storage;

/// One entry of a cached function, named by the function's own arguments. `R` is what the function returns.
///
/// ```ignore
/// menu_of_entry(42).invalidate().await?;
/// menu_of_entry(42).put(Ok(menu)).await?;
/// let known = menu_of_entry(42).peek().await?;
/// ```
pub struct Entry<R> {
    cache: Cache,
    key: Result<Key, Error>,
    remember: Remember,
    tags: Box<[Tag]>,
    /// The verbs that need the types behind `R`.
    peek: Show<R>,
    put: Put<R>,
}

type Show<R> = fn(&StoredEntry) -> Option<R>;
type Put<R> = fn(&Cache, &Key, &Terms<'_>, &R);

/// On what terms a value is put.
struct Terms<'e> {
    remember: &'e Remember,
    stamps: Stamps,
    function: &'e Arc<Function>,
}

/// What an entry holds, without counting as a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Peek<R> {
    /// The answer that the function would give from the cache.
    pub value: R,
    /// Whether a call would be answered with it.
    pub is_fresh: bool,
    /// The time since it was stored.
    pub age: Duration,
}

impl<R> Entry<R> {
    pub(super) fn new<A, S>(
        cache: Cache,
        key: Result<Key, Error>,
        remember: Remember,
        tags: Box<[Tag]>,
        _: A,
        _: S,
    ) -> Self
    where
        A: Answer<Output = R>,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        Self { cache, key, remember, tags, peek: show::<A>, put: put::<A, S> }
    }

    /// The key of this entry.
    ///
    /// # Errors
    ///
    /// `Key`, when an argument's `Serialize` failed; so do the other verbs.
    pub fn key(&self) -> Result<&Key, Error> {
        self.key.as_ref().map_err(Error::clone)
    }

    /// Removes the entry, as [`Cache::invalidate`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn invalidate(&self) -> Result<(), Error> {
        self.cache.invalidate(self.key()?).await
    }

    /// Makes the entry stale, as [`Cache::expire`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn expire(&self) -> Result<(), Error> {
        self.cache.expire(self.key()?).await
    }

    /// Invalidates every entry of this entry's function, of this version and these type arguments.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn invalidate_function(&self) -> Result<(), Error> {
        self.move_function(Severity::Hard)
    }

    /// Makes every entry of this entry's function stale, of this version and these type arguments.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn expire_function(&self) -> Result<(), Error> {
        self.move_function(Severity::Soft)
    }

    fn move_function(&self, severity: Severity) -> Result<(), Error> {
        let identity = self.key()?.identity();
        self.cache.0.functions.invalidate(severity, |function| function.identity == identity);
        Ok(())
    }

    /// Looks at the entry, without computing, waiting or counting. `None` when nothing is stored that could
    /// be served: an invalidated value never shows.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn peek(&self) -> Result<Option<Peek<R>>, Error> {
        let now = self.cache.0.clock.now();
        let found = self.cache.0.tier.find(&self.key()?.view(), |entry| {
            let freshness = entry.freshness(now);
            (freshness != Freshness::Invalidated).then(|| (entry.clone(), freshness == Freshness::Fresh))
        });
        let Some((entry, is_fresh)) = found.flatten() else {
            return Ok(None);
        };
        Ok((self.peek)(&entry).map(|value| Peek { value, is_fresh, age: entry.age(now) }))
    }

    /// Stores `value` as if the function had just returned it: under its ttl, stagger and tags. What the
    /// function's options do not store (`None` without `none_ttl`, `Err` without `err_ttl`) removes the
    /// entry instead, so that no older value stays behind.
    ///
    /// A computation in flight began before and is not stored over it.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn put(&self, value: R) -> Result<(), Error> {
        let key = self.key()?;
        let cache = &self.cache.0;
        if cache.is_disabled {
            return Ok(());
        }
        let function = cache.functions.of(key.identity());
        let stamps = Stamps::new(Stamp::now(function.epoch.clone()), cache.epochs.stamp(&self.tags));
        (self.put)(
            &self.cache,
            key,
            &Terms { remember: &self.remember, stamps, function: &function },
            &value,
        );
        Ok(())
    }
}

fn show<A: Answer>(entry: &StoredEntry) -> Option<A::Output>
where
    A::Value: Clone + 'static,
{
    entry.value::<A::Value>().map(|value| A::SELF.restore(value.clone()))
}

fn put<A, S>(cache: &Cache, key: &Key, terms: &Terms<'_>, output: &A::Output)
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    let outcome = A::SELF.outcome(output);
    let lifetime = lifetime(terms.remember, outcome, cache.0.chance.unit());
    let (Some(value), Some(lifetime)) = (A::SELF.stored(output), lifetime) else {
        drop(cache.0.flights.detach(key, || cache.0.tier.remove(key)));
        return;
    };
    let fill = Fill {
        key,
        remember: terms.remember,
        outcome,
        stamps: terms.stamps.clone(),
        function: terms.function,
    };
    let entry = fill.entry(cache, S::default(), value.clone(), Some(lifetime));
    drop(cache.0.flights.detach(key, || fill::store(cache, &terms.function.counters, key, entry)));
}

impl<R> fmt::Debug for Entry<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}
