//! Invalidations that wait for the end of a transaction.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::invalidation::Invalidate;
use super::{Cache, Entry};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, Tag};

tokio::task_local! {
    static RECORDING: Arc<Batch>;
}

/// A batch of invalidations that are applied when the write is known to last: after the commit of a transaction.
/// Dropped without [`apply`](Self::apply) it invalidates nothing: after a rollback nothing has changed.
///
/// ```
/// use cache_core::{Cache, Error};
///
/// # async fn in_transaction() -> bool { true }
/// # async fn example(cache: &Cache) -> Result<(), Error> {
/// let batch = cache.deferred();
/// let is_committed = batch
///     .scope(async {
///         // Writers with `#[invalidates(..)]` that run here record what they invalidate.
///         in_transaction().await
///     })
///     .await;
/// batch.tag("restaurant:42");
/// if is_committed {
///     batch.apply().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropped without `apply` it invalidates nothing: write `batch.apply().await?` after the commit"]
pub struct Deferred {
    batch: Arc<Batch>,
    again_after: Option<Duration>,
}

/// What was recorded so far.
pub(super) struct Batch {
    cache: Cache,
    set: Mutex<Invalidate>,
}

impl Cache {
    /// Begins a batch of invalidations that are applied later, or not at all.
    pub fn deferred(&self) -> Deferred {
        let batch = Batch { cache: self.clone(), set: Mutex::default() };
        Deferred { batch: Arc::new(batch), again_after: None }
    }

    /// Applies `set`, or records it, where a batch is recording.
    pub(super) async fn apply_or_record(&self, set: Invalidate) -> Result<(), Error> {
        match Batch::here() {
            Some(batch) => {
                batch.record(set.within(self));
                Ok(())
            }
            None => self.apply(set).await,
        }
    }

    /// Applies `set` once more after `delay`, in the background.
    fn apply_again(&self, set: Invalidate, delay: Duration) -> Result<(), Error> {
        let clock = self.0.clock.clone();
        let (this, set) = (Arc::downgrade(&self.0), set.weakly(self));
        let task = self.run_apart(|cache| {
            // Held weakly: whoever waits must not keep alive what has nobody else.
            drop(cache);
            async move {
                clock.sleep(delay).await;
                let Some(cache) = this.upgrade().map(Cache) else { return };
                if let Err(error) = cache.apply(set.again()).await {
                    cache.note_failed_invalidation(&error);
                }
            }
        });
        task.map(drop).ok_or_else(|| {
            let what = format!(
                "invalidate once more after {delay:?}: it was done once, but there is no tokio runtime here, or the cache \
                 was shut down; apply the batch in a runtime and before the shutdown, or leave `again_after` out"
            );
            Error::new(ErrorKind::Configuration, what)
        })
    }
}

impl Deferred {
    /// Adds a set.
    pub fn invalidate(&self, set: impl Into<Invalidate>) -> &Self {
        self.batch.record(set.into());
        self
    }

    /// Adds every entry that bears `tag`.
    pub fn tag(&self, tag: impl Into<Tag>) -> &Self {
        self.invalidate(Invalidate::tag(tag))
    }

    /// Adds every entry that bears one of `tags`.
    pub fn tags<T: Into<Tag>>(&self, tags: impl IntoIterator<Item = T>) -> &Self {
        self.invalidate(Invalidate::tags(tags))
    }

    /// Adds the entry of `key`.
    pub fn key(&self, key: &Key) -> &Self {
        self.invalidate(Invalidate::key(key))
    }

    /// Adds the entry that a handle names.
    pub fn entry<R>(&self, entry: &Entry<R>) -> &Self {
        self.invalidate(Invalidate::entry(entry))
    }

    /// Adds every entry of the functions called `name`, as for [`Cache::invalidate_function`].
    pub fn function(&self, name: impl Into<Arc<str>>) -> &Self {
        self.invalidate(Invalidate::function(name))
    }

    /// Whether nothing was added or recorded yet.
    pub fn is_empty(&self) -> bool {
        self.batch.lock().is_empty()
    }

    /// Applies the batch a second time, `delay` after the first, in the background: for bodies that read from a replica which
    /// lags, and may have put the old value back in the meantime. A `delay` above the lag closes that gap; until then the old
    /// value may be served.
    ///
    /// The second pass needs a tokio runtime. It ends, undone, with [`Cache::shutdown`] or with the last handle to the
    /// cache; an error of it is logged and counted in [`Stats`](crate::Stats). Default: none.
    pub fn again_after(self, delay: Duration) -> Self {
        Self { again_after: Some(delay), ..self }
    }

    /// Runs `future`; what `#[invalidates]` and `#[updates]` invalidate and what [`Cache::emit`] means inside is recorded
    /// into this batch instead of being applied at once.
    ///
    /// An entry that `#[updates]` would have stored a value in is recorded to be invalidated: its value is not known to last.
    /// The verbs ([`Cache::apply`], [`Cache::invalidate_tags`] ..) go on to take effect at once. Tasks that the future spawns do
    /// not record: wrap what is spawned, too. Scopes nest; the innermost records.
    ///
    /// # Cancel safety
    ///
    /// That of `future`; what was recorded stays in the batch.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        RECORDING.scope(Arc::clone(&self.batch), future).await
    }

    /// Applies all that was added and recorded, in one go, as [`Cache::apply`].
    ///
    /// # Errors
    ///
    /// As [`Cache::apply`]. `Configuration`, when a second pass is asked for and there is no tokio runtime, or the cache was
    /// shut down; the first pass was made then.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::apply`]: it takes effect when first polled, the second pass included.
    pub async fn apply(self) -> Result<(), Error> {
        let set = std::mem::take(&mut *self.batch.lock());
        let cache = &self.batch.cache;
        let again = match self.again_after {
            Some(delay) => cache.apply_again(set.clone(), delay),
            None => Ok(()),
        };
        cache.apply(set).await.and(again)
    }
}

impl Batch {
    /// The batch that records here.
    pub(super) fn here() -> Option<Arc<Self>> {
        RECORDING.try_with(Arc::clone).ok()
    }

    pub(super) fn record(&self, set: Invalidate) {
        self.lock().add(set);
    }

    fn lock(&self) -> MutexGuard<'_, Invalidate> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred")
            .field("set", &*self.batch.lock())
            .field("again_after", &self.again_after)
            .finish_non_exhaustive()
    }
}
