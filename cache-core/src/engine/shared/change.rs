//! Changes of the shared tier that keep old values from being served.

use std::time::Duration;

use super::look::is_in_runtime;
use super::undone::Change;
use super::{Shared, TAG_LIFE};
use crate::backend::{EntryKey, Epoch, TagKey, Tags};
use crate::error::{Error, ErrorKind};

impl Shared {
    /// Removes an entry there. What fails is repeated when the shared tier is back.
    pub(in crate::engine) async fn invalidate(&self, key: &EntryKey) -> Result<(), Error> {
        let done = self.attempt(self.backend.invalidate(key)).await;
        done.map_err(|error| self.later(error, [Change::Invalidate(key.clone())]))
    }

    /// Makes an entry stale there, to be kept for `keep`.
    pub(in crate::engine) async fn expire(&self, key: &EntryKey, keep: Duration) -> Result<(), Error> {
        let done = self.attempt(self.backend.expire(key, keep)).await;
        done.map_err(|error| self.later(error, [Change::Expire(key.clone(), keep)]))
    }

    /// Gives tags new epochs.
    pub(in crate::engine) async fn move_tags(&self, tags: &[TagKey]) -> Result<Vec<Epoch>, Error> {
        let done = self.attempt(self.backend.invalidate_tags(Tags { keys: tags, life: TAG_LIFE })).await;
        done.map_err(|error| self.later(error, tags.iter().map(|tag| Change::Move(tag.clone(), TAG_LIFE))))
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

    /// Keeps what failed for later, and says so.
    fn later(&self, error: Error, changes: impl IntoIterator<Item = Change>) -> Error {
        let kind = error.kind();
        if kind == ErrorKind::NotReplicated {
            // It is done; doing it again would not make more replicas.
            return error;
        }
        // What is postponed the backend makes by itself; the rest of the shared tier can be asked meanwhile.
        if kind != ErrorKind::Postponed {
            for change in changes {
                self.undone.push(change, TAG_LIFE);
            }
            self.keeper.wake();
        }
        let what = "invalidate in the shared tier: it failed; it is done in this process, and will be \
                    repeated there until it succeeds, unless this process ends before";
        Error::new(kind, what).with_source(error)
    }

    /// Makes a change that failed before.
    pub(super) async fn repeat(&self, change: &Change) -> Result<(), Error> {
        match change {
            Change::Invalidate(key) => self.backend.invalidate(key).await,
            Change::Expire(key, keep) => self.backend.expire(key, *keep).await,
            Change::Move(tag, life) => {
                let tags = Tags { keys: std::slice::from_ref(tag), life: *life };
                self.backend.invalidate_tags(tags).await.map(drop)
            }
        }
    }
}
