//! Changes of the shared tier that keep old values from being served.

use super::look::is_in_runtime;
use super::undone::Change;
use super::{Shared, TAG_LIFE};
use crate::backend::{EntryKey, Epoch, InvalidateRequest, Tags};
use crate::error::{Error, ErrorKind};

impl Shared {
    /// Removes entries there, makes entries stale, and gives tags new epochs, which it answers. What fails is repeated when
    /// the shared tier is back.
    pub(in crate::engine) async fn invalidate(
        &self,
        request: InvalidateRequest<'_>,
    ) -> Result<Vec<Epoch>, Error> {
        let done = self.attempt(self.backend.invalidate_many(request)).await;
        done.map_err(|error| self.later(error, &request))
    }

    async fn attempt<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if self.breaker.is_open() {
            let what = "change the shared tier: it has not answered lately, and is left alone";
            return Err(Error::new(ErrorKind::Unreachable, what));
        }
        if !is_in_runtime() {
            let what = "change the shared tier: there is no tokio runtime here; call it inside one";
            return Err(Error::new(ErrorKind::Unreachable, what));
        }
        self.ask(call).await
    }

    /// Keeps all of it for later: what does not come to its end may have been done in part, and doing it again costs a miss at most.
    pub(in crate::engine) fn postpone(&self, request: &InvalidateRequest<'_>) {
        let keys = request.keys.iter().map(|key| Change::Invalidate(key.clone()));
        let expired = request.expired.iter().map(|(key, keep)| Change::Expire(key.clone(), *keep));
        let tags = request.tags.keys.iter().map(|tag| Change::Move(tag.clone(), TAG_LIFE));
        for change in expired.chain(keys).chain(tags) {
            self.undone.push(change, TAG_LIFE);
        }
        self.keeper.wake();
    }

    /// What is stored under `key` is older than what was put or computed by force: it goes as soon as the shared tier can be told, and is
    /// not read before.
    pub(in crate::engine) fn postpone_removal(&self, key: &EntryKey) {
        let keys = std::slice::from_ref(key);
        self.postpone(&InvalidateRequest { keys, ..InvalidateRequest::NOTHING });
    }

    /// Keeps what failed for later, and says so.
    fn later(&self, error: Error, request: &InvalidateRequest<'_>) -> Error {
        let kind = error.kind();
        if kind == ErrorKind::NotReplicated {
            // It is done; doing it again would not make more replicas.
            return error;
        }
        // What is postponed the backend makes by itself; the rest of the shared tier can be asked meanwhile.
        if kind != ErrorKind::Postponed {
            self.postpone(request);
        }
        let what = "invalidate in the shared tier: it failed; it is done in this process, and will be \
                    repeated there until it succeeds, as long as this process has a handle to the cache";
        Error::new(kind, what).with_source(error)
    }

    /// Makes changes that failed before, in one go.
    pub(super) async fn repeat(&self, changes: &[Change]) -> Result<(), Error> {
        let (mut keys, mut expired, mut tags, mut life) = (Vec::new(), Vec::new(), Vec::new(), TAG_LIFE);
        for change in changes {
            match change {
                Change::Invalidate(key) => keys.push(key.clone()),
                Change::Expire(key, keep) => expired.push((key.clone(), *keep)),
                Change::Move(tag, least) => {
                    tags.push(tag.clone());
                    life = life.max(*least);
                }
            }
        }
        let tags = Tags { keys: &tags, life };
        let request = InvalidateRequest { keys: &keys, expired: &expired, tags };
        self.backend.repeat_many(request).await
    }
}
