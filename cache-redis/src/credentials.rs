//! Who logs in, when that changes while the program runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cache_core::{Error, ErrorKind};

/// A user and a password. Never shown.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: String,
}

impl Credentials {
    /// A user, and the user's password.
    pub fn user(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: Some(name.into()), password: password.into() }
    }

    /// The password of the user `default`.
    pub fn password(password: impl Into<String>) -> Self {
        Self { username: None, password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why there are none, in the words of who supplies them.
type Reason = Box<dyn std::error::Error + Send + Sync>;
type Supplying = Pin<Box<dyn Future<Output = Result<Credentials, Reason>> + Send>>;

/// Supplies credentials for each new connection.
#[derive(Clone)]
pub(crate) struct Supply(Arc<dyn Fn() -> Supplying + Send + Sync>);

impl Supply {
    pub(crate) fn new<F, Fut, E>(supply: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Reason>,
    {
        Self(Arc::new(move || {
            let supplying = supply();
            Box::pin(async move { supplying.await.map_err(Into::into) })
        }))
    }

    /// The credentials of now.
    pub(crate) async fn now(&self, attempted: &str) -> Result<Credentials, Error> {
        (self.0)().await.map_err(|reason| {
            let what =
                format!("{attempted}: no credentials are supplied; see to what `credentials` was given");
            Error::new(ErrorKind::Unreachable, what).with_source(reason)
        })
    }
}
