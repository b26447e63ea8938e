//! What this task is computing: noticed when a computation asks for itself, and open to the body that runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Cache;
use crate::key::{Key, Tag};
use crate::local::StoredEntry;

/// The computation of a cached function, as its body sees it: [`current`] tells.
///
/// Outside of one every method does nothing, so that a body can be called without the cache.
#[derive(Clone, Default)]
pub struct Computation(Option<Arc<Running>>);

pub(super) struct Running {
    /// Which cache, by its address: it lives at least as long as the computation.
    cache: usize,
    /// One, or those of a batch.
    keys: Box<[Key]>,
    /// What is stored, if it may be seen.
    previous: Option<Arc<StoredEntry>>,
    directions: Mutex<Directions>,
    outer: Option<Arc<Running>>,
}

/// What a body has said about its own answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Directions {
    pub(super) ttl: Option<Duration>,
    pub(super) tags: Vec<Tag>,
    pub(super) is_not_stored: bool,
    pub(super) is_unchanged: bool,
}

tokio::task_local! {
    static INNERMOST: Arc<Running>;
}

/// The computation that this task runs, the innermost of several.
///
/// ```
/// use std::time::Duration;
///
/// # struct Page { body: String, max_age: u64 }
/// # async fn fetch(_: &str) -> Page { Page { body: String::new(), max_age: 60 } }
/// // The body of a cached function:
/// async fn page(url: &str) -> String {
///     let page = fetch(url).await;
///     cache_core::current().ttl(Duration::from_secs(page.max_age));
///     page.body
/// }
/// ```
///
/// Tasks that the body spawns have none: take it along. A call that goes past the cache has one of its own, which changes nothing; the
/// `f_uncached` of another function is that function as written, and speaks to this one.
pub fn current() -> Computation {
    Computation(INNERMOST.try_with(Arc::clone).ok())
}

impl Computation {
    /// Keeps the value for `ttl`, whatever the options say; zero stores nothing. For `None` and `Err` `none_ttl` and
    /// `err_ttl` count all the same.
    pub fn ttl(&self, ttl: Duration) -> &Self {
        self.direct(|directions| directions.ttl = Some(ttl))
    }

    /// Adds a tag.
    ///
    /// A tag that was never used before cannot be told from one that was just invalidated. So over a shared tier the first
    /// value that bears it may not be stored.
    pub fn tag(&self, tag: impl Into<Tag>) -> &Self {
        self.direct(|directions| directions.tags.push(tag.into()))
    }

    /// Returns the value, and does not store it. What is stored goes.
    pub fn do_not_store(&self) -> &Self {
        self.direct(|directions| directions.is_not_stored = true)
    }

    /// The value that is stored and would be replaced: a stale one, or one that is being refreshed. Never one that was
    /// invalidated.
    ///
    /// `V` is what is stored: the `T` of a `Result<T, E>`, and the whole result with `err_ttl`. Known to functions with `grace` or
    /// `refresh`, which keep stale values and recompute fresh ones.
    pub fn previous<V: Clone + 'static>(&self) -> Option<V> {
        self.0.as_ref()?.previous.as_ref()?.value::<V>().cloned()
    }

    /// Says that the answer is the [`previous`](Self::previous) value, which still holds: it is renewed. In the shared tier without
    /// sending it again.
    ///
    /// ```
    /// # #[derive(Clone)] struct Page { etag: String }
    /// # async fn get_if_changed(_: Option<&str>) -> Option<Page> { None }
    /// async fn page() -> Page {
    ///     let computation = cache_core::current();
    ///     let previous = computation.previous::<Page>();
    ///     match (get_if_changed(previous.as_ref().map(|page| &*page.etag)).await, previous) {
    ///         (None, Some(page)) => {
    ///             computation.not_modified();
    ///             page
    ///         }
    ///         (changed, _) => changed.unwrap_or(Page { etag: String::new() }),
    ///     }
    /// }
    /// ```
    pub fn not_modified(&self) -> &Self {
        self.direct(|directions| directions.is_unchanged = true)
    }

    fn direct(&self, change: impl FnOnce(&mut Directions)) -> &Self {
        if let Some(running) = &self.0 {
            change(&mut running.directions());
        }
        self
    }
}

impl fmt::Debug for Computation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computation")
            .field("keys", &self.0.as_ref().map(|running| &running.keys))
            .field("directions", &self.0.as_ref().map(|running| running.directions()))
            .finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn new(cache: &Cache, key: &Key, previous: Option<Arc<StoredEntry>>) -> Arc<Self> {
        Self::of_all(cache, Box::new([key.clone()]), previous)
    }

    /// One computation for several keys.
    pub(super) fn of_all(cache: &Cache, keys: Box<[Key]>, previous: Option<Arc<StoredEntry>>) -> Arc<Self> {
        Arc::new(Self {
            cache: address(cache),
            keys,
            previous,
            directions: Mutex::default(),
            outer: INNERMOST.try_with(Arc::clone).ok(),
        })
    }

    fn directions(&self) -> MutexGuard<'_, Directions> {
        self.directions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the body has said. To be asked once, when it has ended.
    pub(super) fn take_directions(&self) -> Directions {
        std::mem::take(&mut self.directions())
    }
}

/// Runs `body` as the computation `running`.
pub(super) async fn scope<F: Future>(running: &Arc<Running>, body: F) -> F::Output {
    INNERMOST.scope(running.clone(), body).await
}

/// Runs `body` for its caller alone. What it says of its answer is about no entry: also not about that of a computation around it,
/// whose value it does not see either.
pub(super) async fn apart<F: Future>(cache: &Cache, body: F) -> F::Output {
    scope(&Running::of_all(cache, Box::default(), None), body).await
}

/// Whether `key` is being computed by this very task, at any depth.
pub(super) fn is_within(cache: &Cache, key: &Key) -> bool {
    let search = |innermost: &Arc<Running>| {
        let mut next = Some(innermost);
        while let Some(running) = next {
            if running.cache == address(cache) && running.keys.contains(key) {
                return true;
            }
            next = running.outer.as_ref();
        }
        false
    };
    INNERMOST.try_with(search).unwrap_or(false)
}

fn address(cache: &Cache) -> usize {
    Arc::as_ptr(&cache.0) as usize
}
