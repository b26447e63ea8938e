//! Invalidating a whole function, which `f_clear()` returns.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use super::{Cache, CacheRef, Invalidate};
use crate::call_site::CallSite;
use crate::error::Error;

/// Every entry of a cached function, to be invalidated: all versions and type instances. Await it, or make it part of a set.
///
/// ```ignore
/// menu_of_clear().await?;
/// cache.apply(Invalidate::from(menu_of_clear()).and(Invalidate::tag("menu"))).await?;
/// ```
///
/// # Errors
///
/// As [`Cache::apply`], when it is awaited.
///
/// # Cancel safety
///
/// As [`Cache::apply`].
#[derive(Clone)]
#[must_use = "it invalidates nothing by itself: write `f_clear().await?`"]
pub struct Clear {
    cache: Cache,
    function: &'static str,
    set: Invalidate,
}

impl Clear {
    #[doc(hidden)]
    /// The function of `site`; `path` is the type name of a closure inside the emitted function.
    pub fn of(site: &'static CallSite, cache: CacheRef, path: &'static str) -> Self {
        let function = site.identity(path, &[]).function();
        let cache = Cache::clone(&cache);
        Self { set: Invalidate::path_in(&cache, function), cache, function }
    }

    /// Makes the entries stale instead of removing them, as [`Invalidate::softly`].
    pub fn softly(self) -> Self {
        Self { set: self.set.softly(), ..self }
    }
}

impl IntoFuture for Clear {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.cache.apply(self.set).await })
    }
}

impl From<Clear> for Invalidate {
    fn from(clear: Clear) -> Self {
        clear.set
    }
}

impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clear").field("function", &self.function).finish_non_exhaustive()
    }
}
