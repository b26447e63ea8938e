//! Which cache a call uses when it names none: the scope's, the installed one, or the default.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use once_cell::sync::OnceCell;

use super::holders::Holder;
use super::{Cache, Inner};
use crate::error::{Error, ErrorKind};

static INSTALLED: OnceCell<Cache> = OnceCell::new();
static DEFAULT: OnceCell<Cache> = OnceCell::new();
/// Spares programs that never scope the look at the task's local.
static IS_SCOPED: AtomicBool = AtomicBool::new(false);

tokio::task_local! {
    static SCOPED: Scoped;
}

/// The cache of a scope.
#[derive(Debug)]
enum Scoped {
    By(Cache),
    /// By a computation in the background, which does not keep the cache alive.
    Held(Holder),
}

impl Scoped {
    fn cache(&self) -> Cache {
        match self {
            Self::By(cache) => cache.clone(),
            Self::Held(holder) => Cache::clone(holder),
        }
    }
}

/// The cache of a call: borrowed from the program's statics where it can be.
#[derive(Debug, Clone)]
pub enum CacheRef {
    /// The installed cache or the default.
    Static(&'static Cache),
    /// The scope's, or one that the call names.
    Owned(Cache),
}

impl Deref for CacheRef {
    type Target = Cache;

    #[inline]
    fn deref(&self) -> &Cache {
        match self {
            Self::Static(cache) => cache,
            Self::Owned(cache) => cache,
        }
    }
}

/// The cache that a call uses when it names none.
#[inline]
pub fn current() -> CacheRef {
    if IS_SCOPED.load(Ordering::Relaxed)
        && let Ok(cache) = SCOPED.try_with(Scoped::cache)
    {
        return CacheRef::Owned(cache);
    }
    CacheRef::Static(INSTALLED.get().unwrap_or_else(|| DEFAULT.get_or_init(Cache::default)))
}

/// Whose scope a call runs in, to be kept for what it leaves to the background. No cache is held by it, as caches keep this.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    None,
    /// That of the call's own cache.
    Own,
    Other(Weak<Inner>),
}

impl Scope {
    /// The scope here, as a call of `cache` sees it.
    pub(super) fn here(cache: &Cache) -> Self {
        match SCOPED.try_with(Scoped::cache) {
            Ok(scoped) if Arc::ptr_eq(&scoped.0, &cache.0) => Self::Own,
            Ok(scoped) => Self::Other(Arc::downgrade(&scoped.0)),
            Err(_) => Self::None,
        }
    }

    /// Runs `future` in it, for the call's own cache. `None` if the scope's is gone: in no other would it compute the same.
    pub(super) async fn run<F: Future>(&self, holder: &Holder, future: F) -> Option<F::Output> {
        let scoped = match self {
            Self::None => return Some(future.await),
            Self::Own => Scoped::Held(holder.clone()),
            Self::Other(scoped) => Scoped::By(Cache(scoped.upgrade()?)),
        };
        Some(SCOPED.scope(scoped, future).await)
    }
}

/// The cache that `cache = EXPR` names.
pub fn given(cache: &Cache) -> CacheRef {
    CacheRef::Owned(cache.clone())
}

impl Cache {
    /// Makes this the cache that calls use when they name none, for the rest of the process.
    ///
    /// Until then such calls use a default: a local tier of 64 MiB.
    ///
    /// # Errors
    ///
    /// `Configuration`, when a cache was installed before: it stays.
    pub fn install(&self) -> Result<(), Error> {
        INSTALLED.set(self.clone()).map_err(|_| {
            Error::new(
                ErrorKind::Configuration,
                "install a cache: one is installed already; install once, at the start of the program, \
                 or use `cache.scope(future)` where calls shall use another",
            )
        })
    }

    /// The cache that calls here and now use when they name none.
    pub fn current() -> Cache {
        Cache::clone(&current())
    }

    /// Makes this the cache that calls inside `future` use when they name none: for one test of many in a
    /// process, or for one tenant.
    ///
    /// Tasks that the future spawns do not inherit it: wrap what is spawned, too. Scopes nest; the innermost
    /// counts.
    ///
    /// ```
    /// # async fn example() {
    /// use cache_core::Cache;
    ///
    /// let cache = Cache::default();
    /// cache.scope(async { /* calls in here use `cache` */ }).await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// That of `future`.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        IS_SCOPED.store(true, Ordering::Relaxed);
        SCOPED.scope(Scoped::By(self.clone()), future).await
    }
}
