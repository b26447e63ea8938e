//! Backends whose type was forgotten: the one place that boxes futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Backend, EntryKey, Epoch, Fill, FillRequest, Grant, InvalidateRequest, Lease, LeaseRequest, LeaseToken,
    Origin, Prefix, Read, ReadMany, Refill, RefillRequest, Renewal, ServerTime, Subscription, TagKey, Tags,
};
use crate::Error;

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`Backend`] whose type was forgotten: what the engine holds.
///
/// Every backend is one. The methods are those that a backend writes of [`Backend`], and so is their contract. Import one of the two
/// traits, not both: their methods have the same names.
///
/// ```
/// use std::sync::Arc;
/// use cache_core::backend::{Memory, dynamic::DynBackend};
/// let backend: Arc<dyn DynBackend> = Arc::new(Memory::with_clock(|| 0));
/// ```
pub trait DynBackend: fmt::Debug + Send + Sync + 'static {
    /// See [`Backend::view`].
    fn view(&self, prefix: &Prefix) -> Arc<dyn DynBackend>;

    /// See [`Backend::origin`].
    fn origin(&self) -> Origin;

    /// See [`Backend::read`].
    fn read<'a>(&'a self, key: &'a EntryKey, tags: &'a [TagKey]) -> BoxFuture<'a, Result<Read, Error>>;

    /// See [`Backend::read_many`].
    fn read_many<'a>(
        &'a self,
        keys: &'a [EntryKey],
        tags: &'a [TagKey],
    ) -> BoxFuture<'a, Result<ReadMany, Error>>;

    /// See [`Backend::lease`].
    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> BoxFuture<'a, Result<Lease, Error>>;

    /// See [`Backend::renew`].
    fn renew<'a>(
        &'a self,
        key: &'a EntryKey,
        grant: &'a Grant,
        life: Duration,
    ) -> BoxFuture<'a, Result<Renewal, Error>>;

    /// See [`Backend::release`].
    fn release<'a>(&'a self, key: &'a EntryKey, token: LeaseToken) -> BoxFuture<'a, Result<(), Error>>;

    /// See [`Backend::fill`].
    fn fill<'a>(&'a self, request: FillRequest<'a>) -> BoxFuture<'a, Result<Fill, Error>>;

    /// See [`Backend::refill`].
    fn refill<'a>(&'a self, request: RefillRequest<'a>) -> BoxFuture<'a, Result<Refill, Error>>;

    /// See [`Backend::epochs`].
    fn epochs<'a>(&'a self, tags: Tags<'a>) -> BoxFuture<'a, Result<Vec<Epoch>, Error>>;

    /// See [`Backend::invalidate_many`].
    fn invalidate_many<'a>(
        &'a self,
        request: InvalidateRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<Epoch>, Error>>;

    /// See [`Backend::repeat_many`].
    fn repeat_many<'a>(&'a self, request: InvalidateRequest<'a>) -> BoxFuture<'a, Result<(), Error>>;

    /// See [`Backend::heartbeat`].
    fn heartbeat(&self, nonce: u64) -> BoxFuture<'_, Result<(), Error>>;

    /// See [`Backend::subscribe`].
    fn subscribe(&self) -> BoxFuture<'_, Result<Subscription, Error>>;

    /// See [`Backend::health`].
    fn health(&self) -> BoxFuture<'_, Result<ServerTime, Error>>;
}

impl<B: Backend> DynBackend for B {
    fn view(&self, prefix: &Prefix) -> Arc<dyn DynBackend> {
        Arc::new(Backend::view(self, prefix))
    }

    fn origin(&self) -> Origin {
        Backend::origin(self)
    }

    fn read<'a>(&'a self, key: &'a EntryKey, tags: &'a [TagKey]) -> BoxFuture<'a, Result<Read, Error>> {
        Box::pin(Backend::read(self, key, tags))
    }

    fn read_many<'a>(
        &'a self,
        keys: &'a [EntryKey],
        tags: &'a [TagKey],
    ) -> BoxFuture<'a, Result<ReadMany, Error>> {
        Box::pin(Backend::read_many(self, keys, tags))
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> BoxFuture<'a, Result<Lease, Error>> {
        Box::pin(Backend::lease(self, request))
    }

    fn renew<'a>(
        &'a self,
        key: &'a EntryKey,
        grant: &'a Grant,
        life: Duration,
    ) -> BoxFuture<'a, Result<Renewal, Error>> {
        Box::pin(Backend::renew(self, key, grant, life))
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: LeaseToken) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Backend::release(self, key, token))
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> BoxFuture<'a, Result<Fill, Error>> {
        Box::pin(Backend::fill(self, request))
    }

    fn refill<'a>(&'a self, request: RefillRequest<'a>) -> BoxFuture<'a, Result<Refill, Error>> {
        Box::pin(Backend::refill(self, request))
    }

    fn epochs<'a>(&'a self, tags: Tags<'a>) -> BoxFuture<'a, Result<Vec<Epoch>, Error>> {
        Box::pin(Backend::epochs(self, tags))
    }

    fn invalidate_many<'a>(
        &'a self,
        request: InvalidateRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<Epoch>, Error>> {
        Box::pin(Backend::invalidate_many(self, request))
    }

    fn repeat_many<'a>(&'a self, request: InvalidateRequest<'a>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Backend::repeat_many(self, request))
    }

    fn heartbeat(&self, nonce: u64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(Backend::heartbeat(self, nonce))
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Subscription, Error>> {
        Box::pin(Backend::subscribe(self))
    }

    fn health(&self) -> BoxFuture<'_, Result<ServerTime, Error>> {
        Box::pin(Backend::health(self))
    }
}
