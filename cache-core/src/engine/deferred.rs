//! Invalidations that wait for the end of a transaction.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::invalidation::Invalidate;
use super::{Cache, Entry};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, Tag};

tokio::task_local! {
    static RECORDING: Arc<Recorded>;
}

/// Invalidations that are applied when the write is known to last: after the commit of a transaction. Dropped without [`apply`](Self::apply) it invalidates nothing: after a rollback nothing has changed.
///
/// ```
/// use cache_core::{Cache, Error};
///
/// # async fn in_transaction() -> bool { true }
/// # async fn example(cache: &Cache) -> Result<(), Error> {
/// let changes = cache.deferred();
/// let is_committed = changes
///     .scope(async {
///         // Writers with `#[invalidates(..)]` that run here record what they invalidate.
///         in_transaction().await
///     })
///     .await;
/// changes.tag("restaurant:42");
/// if is_committed {
///     changes.apply().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropped without `apply` it invalidates nothing: write `.apply().await?` after the commit"]
pub struct Deferred {
    recorded: Arc<Recorded>,
    again_after: Option<Duration>,
}

/// What was recorded so far.
pub(super) struct Recorded {
    cache: Cache,
    set: Mutex<Invalidate>,
}

impl Cache {
    /// Begins a set of invalidations that is applied later, or not at all.
    pub fn deferred(&self) -> Deferred {
        let recorded = Recorded { cache: self.clone(), set: Mutex::default() };
        Deferred { recorded: Arc::new(recorded), again_after: None }
    }

    /// Applies `set`, or records it, inside of [`Deferred::scope`].
    pub(super) async fn apply_or_record(&self, set: Invalidate) -> Result<(), Error> {
        match Recorded::here() {
            Some(recorded) => {
                recorded.record(set.within(self));
                Ok(())
            }
            None => self.apply(set).await,
        }
    }

    /// The same for a caller that goes away.
    pub(super) fn begin_or_record(&self, set: Invalidate) {
        match Recorded::here() {
            Some(recorded) => recorded.record(set.within(self)),
            None => drop(self.begin_to_apply(set)),
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
                 was shut down; apply it in a runtime and before the shutdown, or leave `again_after` out"
            );
            Error::new(ErrorKind::Configuration, what)
        })
    }
}

impl Deferred {
    /// Adds a set.
    pub fn invalidate(&self, set: impl Into<Invalidate>) -> &Self {
        self.recorded.record(set.into());
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
        self.recorded.lock().is_empty()
    }

    /// Applies all of it a second time, `delay` after the first, in the background: for bodies that read from a replica which
    /// lags, and may have put the old value back in the meantime. A `delay` above the lag closes that gap; until then the old
    /// value may be served.
    ///
    /// The second pass needs a tokio runtime. It ends, undone, with [`Cache::shutdown`] or with the last handle to the
    /// cache; an error of it is logged and counted in [`Stats`](crate::Stats). Default: none.
    pub fn again_after(self, delay: Duration) -> Self {
        Self { again_after: Some(delay), ..self }
    }

    /// Runs `future`; what `#[invalidates]` and `#[updates]` invalidate and what [`Cache::emit`] means inside is recorded
    /// here instead of being applied at once.
    ///
    /// An entry that `#[updates]` would have stored a value in is recorded to be invalidated: its value is not known to last.
    /// The verbs ([`Cache::apply`], [`Cache::invalidate_tags`] ..) go on to take effect at once. Tasks that the future spawns do
    /// not record: wrap what is spawned, too. Scopes nest; the innermost records.
    ///
    /// # Cancel safety
    ///
    /// That of `future`; what was recorded stays.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        RECORDING.scope(Arc::clone(&self.recorded), future).await
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
        let set = std::mem::take(&mut *self.recorded.lock());
        let cache = &self.recorded.cache;
        let again = match self.again_after {
            Some(delay) => cache.apply_again(set.clone(), delay),
            None => Ok(()),
        };
        cache.apply(set).await.and(again)
    }
}

impl Recorded {
    /// What records here.
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
            .field("set", &*self.recorded.lock())
            .field("again_after", &self.again_after)
            .finish_non_exhaustive()
    }
}
