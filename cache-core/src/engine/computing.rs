//! What this task is computing: noticed when a computation asks for itself, and open to the body that runs.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use super::Cache;
use super::sources::{Source, Sources};
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
    keys: Keys,
    /// What is stored, if it may be seen.
    previous: Option<Arc<StoredEntry>>,
    directions: Mutex<Directions>,
    outer: Option<Arc<Running>>,
}

/// What is computed.
#[derive(Debug)]
pub(super) enum Keys {
    /// Nothing that is kept.
    None,
    One(Key),
    /// Those of a batch.
    Many(HashSet<Key, foldhash::fast::RandomState>),
}

impl Keys {
    fn are_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Many(many) => many.is_empty(),
        }
    }

    fn contain(&self, key: &Key) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == key,
            Self::Many(many) => many.contains(key),
        }
    }
}

/// What a body has said about its own answer, and what is known of it besides.
#[derive(Debug, Clone, Default)]
pub(super) struct Directions {
    /// What it was handed as a follower of others.
    pub(super) sources: Sources,
    pub(super) ttl: Option<Duration>,
    pub(super) tags: Vec<Tag>,
    pub(super) is_not_stored: bool,
    pub(super) is_unchanged: bool,
}

thread_local! {
    /// While a body is polled, here.
    static INNERMOST: RefCell<Option<Arc<Running>>> = const { RefCell::new(None) };
}

fn innermost() -> Option<Arc<Running>> {
    INNERMOST.try_with(|innermost| innermost.borrow().clone()).ok().flatten()
}

/// Does a part of the computation `running`. Not generic, since each body is of a type of its own.
fn enter(running: &Arc<Running>, part: &mut dyn FnMut()) {
    struct Left(Option<Arc<Running>>);
    impl Drop for Left {
        fn drop(&mut self) {
            let left = INNERMOST.try_with(|innermost| innermost.replace(self.0.take()));
            drop(left);
        }
    }
    // Where the thread is about to end, there is no such place any more.
    let left = INNERMOST.try_with(|innermost| Left(innermost.replace(Some(running.clone()))));
    part();
    drop(left);
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
    Computation(innermost())
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
    ///
    /// In the body of a batch it is a tag of each item that this run of the body brings: for tags of single items there are `tags`
    /// and `tags_from`.
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
        Self::of(cache, Keys::One(key.clone()), previous)
    }

    /// One computation of all these keys.
    pub(super) fn of(cache: &Cache, keys: Keys, previous: Option<Arc<StoredEntry>>) -> Arc<Self> {
        Arc::new(Self {
            cache: address(cache),
            keys,
            previous,
            directions: Mutex::default(),
            outer: innermost(),
        })
    }

    /// Whether what it comes to is kept, for others or for later.
    pub(super) fn is_kept(&self) -> bool {
        !self.keys.are_none()
    }

    /// Whether the body has said how long.
    pub(super) fn has_ttl(&self) -> bool {
        self.directions().ttl.is_some()
    }

    fn directions(&self) -> MutexGuard<'_, Directions> {
        self.directions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the body has said. To be asked once, when it has ended.
    pub(super) fn take_directions(&self) -> Directions {
        std::mem::take(&mut self.directions())
    }
}

/// A body that runs as a computation.
pub(super) struct Run<F> {
    running: Arc<Running>,
    body: Option<Pin<Box<F>>>,
}

impl<F: Future> Run<F> {
    /// Of the body that `make` makes, as the computation `running`.
    #[inline(never)]
    pub(super) fn new(running: Arc<Running>, make: impl FnOnce() -> Option<F>) -> Self {
        let (mut make, mut body) = (Some(make), None);
        enter(&running, &mut || body = make.take().and_then(|make| make()).map(Box::pin));
        Self { running, body }
    }

    /// The computation.
    pub(super) fn running(&self) -> &Arc<Running> {
        &self.running
    }
}

impl<F: Future> Future for Run<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { running, body } = &mut *self;
        let mut polled = Poll::Pending;
        enter(running, &mut || {
            if let Some(running) = body {
                polled = running.as_mut().poll(context);
            }
            if polled.is_ready() {
                *body = None;
            }
        });
        polled
    }
}

impl<F> Drop for Run<F> {
    /// What the body holds goes as a part of it.
    fn drop(&mut self) {
        let Self { running, body } = self;
        if body.is_some() {
            enter(running, &mut || *body = None);
        }
    }
}

/// A computation for its caller alone. What its body says of its answer is about no entry: also not about that of a computation
/// around it, whose value it does not see either.
pub(super) fn apart(cache: &Cache) -> Arc<Running> {
    Running::of(cache, Keys::None, None)
}

/// Whether `key` is being computed by this very task, at any depth.
pub(super) fn is_within(cache: &Cache, key: &Key) -> bool {
    let is_its = |running: &Running| running.cache == address(cache) && running.keys.contain(key);
    INNERMOST.try_with(|innermost| from_inside(&innermost.borrow()).any(is_its)).unwrap_or(false)
}

/// What this task computes is made of `source`, at any depth.
pub(super) fn note_source(source: &Source) {
    let note = |running: &Running| running.directions().sources.push(source.clone());
    // Where the thread is about to end, nothing is computed any more.
    let _ = INNERMOST.try_with(|innermost| from_inside(&innermost.borrow()).for_each(note));
}

fn from_inside(innermost: &Option<Arc<Running>>) -> impl Iterator<Item = &Running> {
    std::iter::successors(innermost.as_deref(), |running| running.outer.as_deref())
}

fn address(cache: &Cache) -> usize {
    Arc::as_ptr(&cache.0) as usize
}
