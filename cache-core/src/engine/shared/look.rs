//! One look into the shared tier: one round trip, no script.

use std::time::Duration;

use super::stored::{self, Stored};
use super::{Borne, Hold, Shared};
use crate::backend::{EntryKey, Epoch, Found, FrameBytes, ServerTime, TagKey};
use crate::engine::{Cache, Function};
use crate::entry::{MissReason, Remember};
use crate::error::Error;
use crate::key::{Key, Tag};
use crate::storage::Storage;

/// What is asked of the shared tier, and how its answer is read.
#[derive(Debug)]
pub(in crate::engine) struct Question<'c, S> {
    pub(in crate::engine) cache: &'c Cache,
    pub(in crate::engine) shared: &'c Shared,
    pub(in crate::engine) function: &'c Function,
    pub(in crate::engine) tags: &'c [Tag],
    pub(in crate::engine) key: EntryKey,
    pub(in crate::engine) storage: S,
    pub(in crate::engine) fingerprint: u64,
    pub(in crate::engine) remember: Remember,
    /// Whether the epochs are asked for each time, whatever the bus has told.
    pub(in crate::engine) reads_through: bool,
    /// How long a lease lives.
    pub(in crate::engine) lease: Duration,
}

/// What a look came to.
#[derive(Debug)]
pub(in crate::engine) enum Looked<V> {
    /// A value that may be used.
    Usable(Stored<V>),
    /// None; with what is there in its place.
    Unusable(MissReason, Option<FrameBytes>),
    /// Nobody knows.
    Away(Error),
}

impl<'c, S: Copy> Question<'c, S> {
    /// A question about `key`, if there is a shared tier for values of that kind.
    pub(in crate::engine) fn new<V>(
        cache: &'c Cache,
        function: &'c Function,
        key: &Key,
        tags: &'c [Tag],
        remember: &Remember,
        storage: S,
    ) -> Option<Self>
    where
        V: 'static,
        S: Storage<V>,
    {
        let shared = cache.0.shared.as_deref()?;
        // Also for what stays here: it bears tags that others invalidate.
        shared.keeper.ensure(cache);
        let fingerprint = function.fingerprint::<V, S>(storage)?;
        Some(Self {
            cache,
            shared,
            function,
            tags,
            key: EntryKey::from(key.text()),
            storage,
            fingerprint,
            remember: *remember,
            reads_through: remember.reads_through,
            lease: remember.lease,
        })
    }

    /// The epochs now.
    pub(in crate::engine) fn borne(&self) -> Borne {
        Borne::now(self.cache, self.function, self.tags)
    }

    /// Takes the key for a value that does not mind what is there or who computes; with the epochs that it bears.
    pub(in crate::engine) async fn take(&self) -> (Result<Hold<'c>, Error>, Borne) {
        let mut borne = self.borne();
        if self.shared.is_away() {
            return (Err(away()), borne);
        }
        let hold = Hold::take(self).await;
        if let Ok(hold) = &hold {
            borne.learn(self.cache, hold.epochs().iter().copied().map(Some));
        }
        (hold, borne)
    }

    /// All tags that the entry bears, in the order that its epochs are combined in.
    pub(super) fn tag_keys(&self) -> Vec<TagKey> {
        let own = [TagKey::Everything, self.function.tag.clone()];
        own.into_iter().chain(self.tags.iter().cloned().map(TagKey::from)).collect()
    }

    /// How long the epochs must be kept at least: longer than any entry lives that relies on them.
    pub(super) fn tag_life(&self) -> Duration {
        let of = &self.remember;
        let ttl = of.ttl.max(of.none_ttl.unwrap_or_default()).max(of.err_ttl.unwrap_or_default());
        ttl.saturating_mul(2).saturating_add(self.lease)
    }

    /// The server's time now; asks for it, if it was never told.
    pub(super) async fn server_time(&self) -> Result<ServerTime, Error> {
        let clock = &self.cache.0.clock;
        if let Some(time) = self.shared.server_clock.latest(clock.now()) {
            return Ok(time);
        }
        let asked = clock.now();
        let time = self.shared.ask(self.shared.backend.health()).await?;
        self.shared.server_clock.told(time, asked, clock.now());
        Ok(self.shared.server_clock.latest(clock.now()).unwrap_or(time))
    }

    /// Looks. `borne` was taken before, and learns from the answer.
    pub(in crate::engine) async fn look<V>(&self, borne: &mut Borne) -> Looked<V>
    where
        S: Storage<V>,
    {
        if self.shared.is_away() {
            return Looked::Away(away());
        }
        // Followed on the bus: the epochs are known here, and need not be read.
        let is_followed = !self.reads_through && self.cache.0.trust.is_given(borne.begun);
        if is_followed && let Some(known) = borne.known() {
            let looked = match self.shared.ask(self.shared.backend.read(&self.key, &[])).await {
                Ok(read) => self.judge(read.found, Some(known)).await,
                Err(error) => return Looked::Away(error),
            };
            // What is known here may be wrong after a loss of the tag's epoch: the server has the last word.
            if !matches!(looked, Looked::Unusable(MissReason::Invalidated, _)) {
                return looked;
            }
        }
        match self.shared.ask(self.shared.backend.read(&self.key, &self.tag_keys())).await {
            Ok(read) => {
                borne.learn(self.cache, read.epochs.iter().copied());
                let epochs: Option<Vec<Epoch>> = read.epochs.into_iter().collect();
                self.judge(read.found, epochs.map(Epoch::combined)).await
            }
            Err(error) => Looked::Away(error),
        }
    }

    /// What a value found under `current` epochs is worth.
    pub(super) async fn judge<V>(&self, found: Option<Found>, current: Option<Epoch>) -> Looked<V>
    where
        S: Storage<V>,
    {
        let Some(found) = found else { return Looked::Unusable(MissReason::Absent, None) };
        let now = match self.server_time().await {
            Ok(now) => now,
            Err(error) => return Looked::Away(error),
        };
        match stored::read(self, &found, current, now) {
            Ok(stored) => Looked::Usable(stored),
            Err(reason) => {
                if matches!(reason, MissReason::Undecodable) {
                    self.shared.counters.undecodable(self.function.identity);
                }
                Looked::Unusable(reason, Some(found.frame))
            }
        }
    }
}

/// The shared tier is not asked at present.
#[cold]
fn away() -> Error {
    Error::new(
        crate::ErrorKind::Unreachable,
        "ask the shared tier: it has not answered lately, and is left alone",
    )
}
