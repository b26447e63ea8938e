//! URLs of shared tiers, for [`Cache::from_env`](crate::Cache::from_env).

use std::fmt;
use std::sync::Arc;

use super::Backend;
use super::dynamic::DynBackend;
use crate::Error;

/// The scheme of a URL, and the backend behind it.
///
/// A crate that brings a backend says so once, with [`register_scheme!`](crate::register_scheme). Then
/// [`Cache::from_env`](crate::Cache::from_env) opens such URLs in every program that is linked with that crate.
pub struct Scheme {
    name: &'static str,
    open: Open,
}

type Open = fn(&str) -> Result<Opened, Error>;

/// A backend whose type was forgotten, on its way to a cache.
#[derive(Debug)]
pub struct Opened(pub(crate) Arc<dyn DynBackend>);

impl Opened {
    /// Wraps a backend.
    pub fn new(backend: impl Backend) -> Self {
        Self(Arc::new(backend))
    }
}

impl Scheme {
    /// The scheme `name`, as in `name://host`, and how such a URL is opened: without I/O, since a program must start
    /// although its shared tier is down. Errors must not repeat the URL, which may hold a password.
    pub const fn new(name: &'static str, open: Open) -> Self {
        Self { name, open }
    }

    /// Opens `url`, if it is of a scheme that a linked crate has registered.
    pub(crate) fn open(url: &str) -> Option<Result<Opened, Error>> {
        let (name, _) = url.split_once(':')?;
        inventory::iter::<Self>
            .into_iter()
            .find(|scheme| scheme.name == name)
            .map(|scheme| (scheme.open)(url))
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scheme({})", self.name)
    }
}

inventory::collect!(Scheme);

/// Lets [`Cache::from_env`](crate::Cache::from_env) open the URLs of a [`Scheme`](crate::backend::Scheme).
///
/// The registration is made by the linker (crate `inventory`), so that it holds before `main` begins.
///
/// ```
/// use cache_core::backend::{Memory, Opened, Scheme};
///
/// cache_core::register_scheme!(Scheme::new("here", |_url| Ok(Opened::new(Memory::new()))));
/// ```
#[macro_export]
macro_rules! register_scheme {
    ($scheme:expr) => {
        $crate::backend::__inventory::submit! { $scheme }
    };
}
