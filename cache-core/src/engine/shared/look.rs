//! One look into the shared tier: one round trip, no script.

use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;

use super::removals::Place;
use super::stored::{self, Stored};
use super::{Borne, Hold, Shared};
use crate::backend::{EntryKey, Epoch, Found, FrameBytes, Read, ServerTime, TagKey, Tags};
use crate::engine::value::Kind;
use crate::engine::{Cache, Function};
use crate::entry::{MissReason, Remember};
use crate::epochs::Stamp;
use crate::error::Error;
use crate::key::{Key, Tag};

/// What is asked of the shared tier, and how its answer is read.
#[derive(Debug)]
pub(in crate::engine) struct Question<'c> {
    pub(in crate::engine) cache: &'c Cache,
    pub(in crate::engine) shared: &'c Shared,
    pub(in crate::engine) function: &'c Function,
    pub(in crate::engine) tags: &'c [Tag],
    pub(in crate::engine) key: EntryKey,
    pub(in crate::engine) kind: Kind,
    pub(in crate::engine) fingerprint: u64,
    pub(in crate::engine) remember: &'c Remember,
    /// Whether the epochs are asked for each time, whatever the bus has told.
    pub(in crate::engine) reads_through: bool,
    /// How long a lease lives.
    pub(in crate::engine) lease: Duration,
    /// Where the removals of the key are counted.
    place: Place,
}

/// What a look came to.
#[derive(Debug)]
pub(in crate::engine) enum Looked {
    /// A value that may be used.
    Usable(Stored),
    /// One that may stand in.
    Stale(Stored),
    /// None; with what is there in its place.
    Unusable(MissReason, Option<FrameBytes>),
    /// Nobody knows.
    Away(Error),
}

impl<'c> Question<'c> {
    /// A question about `key`, if there is a shared tier for values of that kind.
    pub(in crate::engine) fn new(
        cache: &'c Cache,
        function: &'c Function,
        key: &Key,
        tags: &'c [Tag],
        remember: &'c Remember,
        kind: Kind,
    ) -> Option<Self> {
        let shared = cache.0.shared.as_deref()?;
        // Also for what stays here: it bears tags that others invalidate.
        shared.keeper.ensure(cache);
        let fingerprint = function.fingerprint(kind.id(), |version| kind.fingerprint(version))?;
        if !is_in_runtime() {
            return None;
        }
        Some(Self {
            cache,
            shared,
            function,
            tags,
            key: key.with_text(|text| EntryKey::from(text)),
            kind,
            fingerprint,
            remember,
            reads_through: remember.reads_through,
            lease: remember.lease,
            place: shared.removals.place(key),
        })
    }

    /// The epochs now.
    pub(in crate::engine) fn borne(&self) -> Borne {
        // First: what is removed from here on shows.
        let removed = self.shared.removals.now(self.place);
        Borne::now(self.cache, self.function, self.tags).with(removed)
    }

    /// The epochs to look under: those of the shared tier, too, where the bus has told them.
    pub(in crate::engine) fn borne_to_look(&self) -> Borne {
        // First: what is heard from here on may be in the epochs, but need not.
        let heard = self.cache.0.trust.heard_up_to();
        let mut borne = self.borne();
        if !self.reads_through && self.shared.follows(self.cache, borne.begun, borne.generation()) {
            borne.follow(heard);
        }
        borne
    }

    /// Takes the key for a value that does not mind what is there or who computes; with the epochs that it bears, which were taken
    /// before.
    pub(in crate::engine) async fn take(&self, mut borne: Borne) -> (Result<Hold<'c>, Error>, Borne) {
        if self.shared.is_away() {
            return (Err(away()), borne);
        }
        let hold = Hold::take(self).await;
        if let Ok(hold) = &hold {
            borne.learn(self.cache, hold.epochs().iter().copied().map(Some));
        }
        (hold, borne)
    }

    /// Learns the epochs that are not known, before a value is put: what differs when the key is taken was invalidated meanwhile.
    /// `named` are the tags that only the value knows.
    pub(in crate::engine) async fn learn_first(
        &self,
        borne: &mut Borne,
        named: &[Tag],
    ) -> Result<First, Error> {
        let mut stamps = self.cache.0.epochs.stamp(named);
        let of_named = stamps.iter().map(|stamp| stamp.known(borne.generation())).collect();
        if let (Some(own), Some(named)) = (borne.known_each(), of_named) {
            return Ok(First { own, named, _stamps: stamps });
        }
        if self.shared.is_away() {
            return Err(away());
        }
        let mut keys = self.tag_keys();
        let of_own = keys.len();
        keys.extend(named.iter().cloned().map(TagKey::from));
        let mut own = self.epochs(Tags { keys: &keys, life: self.tag_life() }).await?;
        let named = own.split_off(of_own.min(own.len()));
        borne.learn(self.cache, own.iter().copied().map(Some));
        for (stamp, epoch) in stamps.iter_mut().zip(&named) {
            stamp.learn(*epoch, borne.generation());
        }
        Ok(First { own, named, _stamps: stamps })
    }

    /// Whether this process is about to invalidate the entry, or one of `named`, which only the value knows: in the shared tier it may
    /// have done so.
    pub(in crate::engine) fn is_being_invalidated(&self, named: &[Tag]) -> bool {
        let named: Vec<TagKey> = named.iter().cloned().map(TagKey::from).collect();
        self.shared.echoes.is_underway(&self.key)
            || self.shared.moving.is_any(self.tag_keys().iter().chain(&named))
    }

    /// All tags that the entry bears, in the order that its epochs are combined in.
    pub(super) fn tag_keys(&self) -> Vec<TagKey> {
        let own = [TagKey::Everything, self.function.tag.clone()];
        own.into_iter().chain(self.tags.iter().cloned().map(TagKey::from)).collect()
    }

    /// How long the epochs must be kept at least: longer than any entry lives that relies on them.
    pub(super) fn tag_life(&self) -> Duration {
        let of = self.remember;
        let ttl = of.ttl.max(of.none_ttl.unwrap_or_default()).max(of.err_ttl.unwrap_or_default());
        self.tag_life_for(ttl.saturating_add(of.grace))
    }

    /// How long the epochs must be kept for an entry that lives for `life`.
    pub(in crate::engine) fn tag_life_for(&self, life: Duration) -> Duration {
        life.saturating_mul(2).saturating_add(self.lease)
    }

    /// The epochs of tags that only a value knows.
    pub(in crate::engine) async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        self.shared.ask(self.shared.backend.epochs(tags)).await
    }

    /// The tags whose epochs must live for longer than was said when the lease was asked for, if the entry lives for `life`.
    pub(in crate::engine) fn outliving(&self, life: Duration) -> (Vec<TagKey>, Duration) {
        let needed = self.tag_life_for(life);
        let keys = if needed > self.tag_life() { self.tag_keys() } else { Vec::new() };
        (keys, needed)
    }

    /// The server's time now, if it was ever told.
    pub(super) fn known_time(&self) -> Option<ServerTime> {
        self.shared.server_clock.latest(self.cache.0.clock.now())
    }

    /// The server's time now; asks for it, if it was never told.
    pub(super) async fn server_time(&self) -> Result<ServerTime, Error> {
        if let Some(time) = self.known_time() {
            return Ok(time);
        }
        let clock = &self.cache.0.clock;
        let asked = clock.now();
        let time = self.shared.ask(self.shared.backend.health()).await?;
        self.shared.server_clock.told(time, asked, clock.now());
        Ok(self.shared.server_clock.latest(clock.now()).unwrap_or(time))
    }

    /// Looks. `borne` was taken before, and learns from the answer.
    pub(in crate::engine) async fn look(&self, borne: &mut Borne) -> Looked {
        if self.shared.is_away() {
            return Looked::Away(away());
        }
        let known = borne.followed();
        let tags = if known.is_some() { Vec::new() } else { self.tag_keys() };
        match self.shared.ask(self.shared.backend.read(&self.key, &tags)).await {
            Ok(read) => match self.judge_at_once(read, known, borne) {
                Ok(looked) => looked,
                Err(closer) => closer.await,
            },
            Err(error) => Looked::Away(error),
        }
    }

    /// What that is worth which was read, if it can be told without waiting; else what waits for it, in a box, so that the
    /// future of what mostly happens is small.
    fn judge_at_once<'l>(
        &'l self,
        read: Read,
        known: Option<Epoch>,
        borne: &'l mut Borne,
    ) -> Result<Looked, Pin<Box<impl Future<Output = Looked>>>> {
        let current = known.or_else(|| self.learn(borne, read.epochs));
        let (found, stored) = match (read.found, self.known_time()) {
            (None, _) => return Ok(Looked::Unusable(MissReason::Absent, None)),
            (Some(found), Some(now)) => match self.judge_at(now, found, current) {
                Judged::As(Looked::Unusable(MissReason::Invalidated, _)) if known.is_some() => (None, None),
                Judged::As(looked) => return Ok(looked),
                Judged::Naming(stored) => (None, Some(stored)),
            },
            (found, None) => (found, None),
        };
        Err(Box::pin(async move {
            let looked = match (found, stored) {
                (Some(found), _) => self.judge(Some(found), current, borne).await,
                (None, Some(stored)) => self.judge_named(stored, borne).await,
                (None, None) => Looked::Unusable(MissReason::Invalidated, None),
            };
            match looked {
                // What is known here may be wrong after a loss of the tag's epoch: the server has the last word.
                Looked::Unusable(MissReason::Invalidated, _) if known.is_some() => {
                    self.look_whole(borne).await
                }
                looked => looked,
            }
        }))
    }

    /// The epochs that were read, combined.
    fn learn(&self, borne: &mut Borne, epochs: Vec<Option<Epoch>>) -> Option<Epoch> {
        borne.learn(self.cache, epochs.iter().copied());
        epochs.into_iter().collect::<Option<Vec<Epoch>>>().map(Epoch::combined)
    }

    /// Looks, and reads the epochs.
    pub(super) async fn look_whole(&self, borne: &mut Borne) -> Looked {
        match self.shared.ask(self.shared.backend.read(&self.key, &self.tag_keys())).await {
            Ok(read) => {
                let current = self.learn(borne, read.epochs);
                self.judge(read.found, current, borne).await
            }
            Err(error) => Looked::Away(error),
        }
    }

    /// What a value found under `current` epochs is worth. `borne` learns of the tags that it names itself.
    pub(super) async fn judge(
        &self,
        found: Option<Found>,
        current: Option<Epoch>,
        borne: &mut Borne,
    ) -> Looked {
        let Some(found) = found else { return Looked::Unusable(MissReason::Absent, None) };
        let now = match self.known_time() {
            Some(now) => Ok(now),
            None => Box::pin(self.server_time()).await,
        };
        let now = match now {
            Ok(now) => now,
            Err(error) => return Looked::Away(error),
        };
        match self.judge_at(now, found, current) {
            Judged::As(looked) => looked,
            // In a box, since few values name tags.
            Judged::Naming(stored) => Box::pin(self.judge_named(stored, borne)).await,
        }
    }

    /// The same at a time that is known, without waiting.
    pub(super) fn judge_at(&self, now: ServerTime, found: Found, current: Option<Epoch>) -> Judged {
        match stored::read(self, found, current, now) {
            Ok(stored) if stored.named.is_empty() => Judged::As(Looked::found(stored)),
            Ok(stored) => Judged::Naming(stored),
            Err((reason, frame)) => {
                if matches!(reason, MissReason::Undecodable) {
                    self.shared.counters.undecodable(self.function.identity);
                }
                Judged::As(Looked::Unusable(reason, Some(frame)))
            }
        }
    }

    /// What a value is worth that names tags itself.
    pub(super) async fn judge_named(&self, stored: Stored, borne: &mut Borne) -> Looked {
        match self.compare_named(&stored, borne).await {
            Ok(Named::Current) => Looked::found(stored),
            Ok(Named::Outdated) => Looked::Unusable(MissReason::Invalidated, Some(stored.frame.shared())),
            Err(error) => Looked::Away(error),
        }
    }
}

impl Looked {
    fn found(stored: Stored) -> Self {
        if stored.fresh.is_zero() { Self::Stale(stored.kept()) } else { Self::Usable(stored) }
    }
}

/// What a value that was found comes to by what is known already.
pub(super) enum Judged {
    As(Looked),
    /// Its own tags have yet to be compared.
    Naming(Stored),
}

/// Whether the tags that only a value knows have the epochs that it bears.
enum Named {
    Current,
    Outdated,
}

/// The epochs that a put begins with; none without a shared tier.
#[derive(Debug, Default)]
pub(in crate::engine) struct First {
    /// Of the tags that the call knows, in the order of [`Question::tag_keys`].
    own: Vec<Epoch>,
    /// Of those that only the value knows.
    pub(in crate::engine) named: Vec<Epoch>,
    /// What is known of those stays meanwhile.
    _stamps: Box<[Stamp]>,
}

impl First {
    /// Whether they are others `now` that the key is taken, whatever has been heard or missed.
    pub(in crate::engine) fn differs(&self, now: &[Epoch]) -> bool {
        self.own.iter().zip(now).any(|(first, now)| first != now)
    }
}

impl Question<'_> {
    /// Compares the epochs of the tags that only the value knows: with those that are known here, or by one more round trip.
    async fn compare_named(&self, stored: &Stored, borne: &mut Borne) -> Result<Named, Error> {
        let named = &stored.named;
        let tags: Vec<Tag> = named.iter().map(|(tag, _)| tag.clone()).collect();
        let stamps = self.cache.0.epochs.stamp(&tags);
        let generation = borne.generation();
        let is_known = |(stamp, (_, epoch)): (&Stamp, &(Tag, Epoch))| stamp.known(generation) == Some(*epoch);
        if borne.followed().is_some() && stamps.iter().zip(named).all(is_known) {
            borne.name(stamps);
            return Ok(Named::Current);
        }
        let keys: Vec<TagKey> = tags.into_iter().map(TagKey::from).collect();
        let read = self.shared.ask(self.shared.backend.read(&self.key, &keys)).await?;
        let epochs: Option<Vec<Epoch>> = read.epochs.into_iter().collect();
        let is_same = read.found.is_some_and(|again| again.frame == stored.frame);
        match epochs {
            Some(epochs) if is_same && epochs.iter().eq(named.iter().map(|(_, epoch)| epoch)) => {
                borne.learn_named(stamps, &epochs);
                Ok(Named::Current)
            }
            _ => Ok(Named::Outdated),
        }
    }
}

/// Whether there is a tokio runtime here: without one a client of a server cannot wait for its answer.
pub(super) fn is_in_runtime() -> bool {
    Handle::try_current().is_ok()
}

/// The shared tier, if values of that kind would go there and it cannot be asked, since there is no runtime.
pub(in crate::engine) fn without_runtime<'c>(
    cache: &'c Cache,
    function: &Function,
    kind: Kind,
) -> Option<&'c Shared> {
    let shared = cache.0.shared.as_deref()?;
    function.fingerprint(kind.id(), |version| kind.fingerprint(version))?;
    (!is_in_runtime()).then_some(shared)
}

/// The shared tier is not asked at present.
#[cold]
pub(super) fn away() -> Error {
    Error::new(
        crate::ErrorKind::Unreachable,
        "ask the shared tier: it has not answered lately, and is left alone",
    )
}
