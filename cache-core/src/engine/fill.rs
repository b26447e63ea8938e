//! Storing what was computed: in the shared tier first, then in the local one.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::calling::Reply;
use super::flight::Lead;
use super::shared::{self, Borne, Filled, Hold, Kept, Question, Refilled, Stored, Unframed, Unstored};
use super::sources::Sources;
use super::stale::Held;
use super::value::AnyValue;
use super::{Cache, Function, Landing};
use crate::answer::Outcome;
use crate::backend::{Epoch, ServerTime, TagKey, Tags};
use crate::clock::Tick;
use crate::entry::{Lifetime, Remember};
use crate::epochs::{Learned, Stamp};
use crate::event::stats::Happening;
use crate::key::{Key, Tag};
use crate::local::{Care, Displaced, Header, Installed, StoredEntry, Upkeep, Weight};

/// What is known about a value about to be stored.
pub(super) struct Fill<'c> {
    pub(super) key: &'c Key,
    pub(super) remember: &'c Remember,
    pub(super) outcome: Outcome,
    pub(super) function: &'c Arc<Function>,
    /// What computing it took.
    pub(super) cost: Duration,
    /// How long it is kept from now on; `None` if it is not to be stored.
    pub(super) lifetime: Option<Lifetime>,
    /// How long ago it was computed.
    pub(super) age: Duration,
    /// Which value of the shared tier it is, if it is there.
    pub(super) version: Option<u64>,
    /// Whether somebody asked for it, and uses it.
    pub(super) is_asked_for: bool,
    /// Whether somebody has set it, by `put` or by force: nobody who begins afterwards gets an older one.
    pub(super) is_set: bool,
    /// The number that was drawn when it began to be computed; of what the shared tier had, nobody knows.
    pub(super) began: Option<u64>,
    /// What it is made of.
    pub(super) sources: Sources,
    /// The entry that it replaces, where that is known.
    pub(super) replaces: Option<Arc<StoredEntry>>,
}

/// What became of a value in the shared tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// It is stored there, as this version.
    Stored(u64),
    /// It was refused: an invalidation came meanwhile, or the lease ended.
    Refused,
    /// It is not there, for a reason that says nothing about whether it is current.
    NotShared,
    /// Nobody knows whether it is there.
    Unknown,
}

impl Share {
    pub(super) fn version(self) -> Option<u64> {
        match self {
            Self::Stored(version) => Some(version),
            Self::Refused | Self::NotShared | Self::Unknown => None,
        }
    }
}

/// The tags that only the value knows, and their epochs in this process after the computation.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) tags: Vec<Tag>,
    pub(super) stamps: Box<[Stamp]>,
    /// Their epochs in the shared tier before it was put, where they are known.
    pub(super) first: Vec<Epoch>,
}

/// Stores a value in the shared tier, under the lease that it was computed with. `borne` learns of the tags that only the
/// value knows. A value that is `unchanged` is not sent again.
///
/// # Cancel safety
///
/// The lease is given up. The value is stored, or not.
pub(super) async fn share(
    question: &Question<'_>,
    fill: &Fill<'_>,
    borne: &mut Borne,
    value: &AnyValue,
    named: Named,
    unchanged: Option<&Held>,
    hold: Hold<'_>,
) -> Share {
    let (cache, shared) = (question.cache, question.shared);
    let Some(lifetime) = fill.lifetime else {
        // Who joined may have begun after an invalidation of these, also where nothing is stored.
        borne.name(named.stamps);
        // What is stored is older than this answer. An error says nothing about what is stored.
        return match fill.outcome {
            Outcome::Error => Share::NotShared,
            _ => unshare(hold).await,
        };
    };
    let named = match named_epochs(question, &named.tags, lifetime, &hold).await {
        NamedEpochs::Current(epochs) => {
            // What the body has found in this process was not outdated by what the answer is the first to tell of.
            let is_told = borne.learn_named(named.stamps, &epochs) == Learned::Invalidation;
            // Nor by what was heard of since: that may have come before the lease, and after what is put.
            let has_moved = named.first.iter().zip(&epochs).any(|(first, now)| first != now);
            let is_outdated = is_told || has_moved || !borne.are_tags_current();
            // Who joined may have begun after it.
            if is_outdated || borne.is_mixed(&fill.sources, &hold, &epochs) {
                borne.outdate();
                return Share::Refused;
            }
            named.tags.into_iter().zip(epochs).collect::<Vec<_>>()
        }
        // What this process has heard of tells here, too.
        NamedEpochs::Outdated => {
            borne.name(named.stamps);
            return Share::Refused;
        }
        NamedEpochs::Unknown => {
            borne.name(named.stamps);
            return Share::Unknown;
        }
    };
    let unstored = Unstored { value, lifetime, cost: fill.cost, named: &named };
    let now = hold.server_time(cache.0.clock.now());
    let kept = Kept { life: lifetime.whole(), tags: question.outliving(lifetime.whole()) };
    // What the body saw may be another one than is stored there, and it may return what it likes.
    if let Some(held) = unchanged.filter(|held| held.is_of(question, value)) {
        let head = shared::head_of(shared, question.fingerprint, &unstored, hold.epochs(), now, held.size);
        match hold.refill(&held.frame, held.size, head, &kept).await {
            Refilled::Stored => return Share::Stored(version_of(now)),
            Refilled::Refused => return Share::Refused,
            Refilled::Unknown => return Share::Unknown,
            // Something else is there by now: the value has to be sent after all.
            Refilled::Other(again) => return fill_whole(question, fill, &unstored, now, &kept, *again).await,
        }
    }
    fill_whole(question, fill, &unstored, now, &kept, hold).await
}

async fn fill_whole(
    question: &Question<'_>,
    fill: &Fill<'_>,
    unstored: &Unstored<'_>,
    now: ServerTime,
    kept: &Kept,
    hold: Hold<'_>,
) -> Share {
    let shared = question.shared;
    match shared::frame_of(shared, question.fingerprint, unstored, hold.epochs(), now) {
        Ok(frame) => {
            question.function.has_size(frame.len());
            match hold.fill(frame, kept).await {
                Filled::Stored => Share::Stored(version_of(now)),
                Filled::Refused => Share::Refused,
                Filled::Unknown => Share::Unknown,
            }
        }
        Err(unframed) => {
            if unframed == Unframed::NotEncodable {
                shared.counters.not_encodable(fill.function.identity);
            }
            unshare(hold).await
        }
    }
}

/// What a frame that is created at `now` says of that.
fn version_of(now: ServerTime) -> u64 {
    now.micros() / 1000
}

/// The epochs of the tags that only the value knows.
enum NamedEpochs {
    Current(Vec<Epoch>),
    /// One of them was invalidated since the lease was granted, or may have been.
    Outdated,
    Unknown,
}

async fn named_epochs(
    question: &Question<'_>,
    tags: &[Tag],
    lifetime: Lifetime,
    hold: &Hold<'_>,
) -> NamedEpochs {
    if tags.is_empty() {
        return NamedEpochs::Current(Vec::new());
    }
    let keys: Vec<TagKey> = tags.iter().cloned().map(TagKey::from).collect();
    let life = question.tag_life_for(lifetime.whole());
    match question.epochs(Tags { keys: &keys, life }).await {
        Ok(epochs) if epochs.iter().any(|epoch| hold.is_older_than(*epoch)) => NamedEpochs::Outdated,
        Ok(epochs) => NamedEpochs::Current(epochs),
        Err(_) => NamedEpochs::Unknown,
    }
}

/// Sees to it that no older value stays in the shared tier in place of one that is not stored there.
pub(super) async fn unshare(hold: Hold<'_>) -> Share {
    if !hold.replaces() {
        return Share::NotShared;
    }
    match hold.remove().await {
        Ok(()) => Share::NotShared,
        Err(_) => Share::Unknown,
    }
}

/// Ends a flight with a value: stores it where the policy says so and no invalidation came meanwhile, and
/// hands it to the followers, unless some of them may have begun after one. Tells what the value is counted as, and the entry that
/// was made of it.
pub(super) fn land(
    cache: &Cache,
    lead: Lead<'_, Key, Borne, Landing>,
    fill: &Fill<'_>,
    borne: &Borne,
    value: AnyValue,
    share: Share,
) -> (Option<Happening>, Arc<StoredEntry>) {
    let key = fill.key;
    let happened = Cell::new(None);
    let count = |what| {
        fill.function.counters.count(what);
        happened.set(Some(what));
    };
    let here = fill.lifetime.and_then(|lifetime| lifetime.here(fill.remember));
    let entry = fill.entry(cache, borne, value, here.filter(|_| share != Share::Refused), None);
    let landing = Landing::Value(entry.clone());
    let is_stored = share.version().is_some();
    // Otherwise what is here may be newer.
    let is_attached = lead.is_attached();
    let setting = fill.is_set.then(|| Setting::begin(cache, key));
    let is_latest = Cell::new(false);
    let displaced = lead.land(landing, |may_store| {
        is_latest.set(may_store);
        match (fill.lifetime, here) {
            // What is here is older than what the shared tier has by now.
            (Some(_), _) if share == Share::Refused && is_attached => {
                count(Happening::Refused);
                cache.0.tier.remove(key)
            }
            (Some(_), _) if !may_store && is_stored => {
                count(Happening::Fill);
                cache.0.tier.remove(key)
            }
            (Some(_), _) if !may_store => {
                count(Happening::Refused);
                Displaced::default()
            }
            (Some(_), Some(_)) => {
                // Otherwise it has compared their epochs with when this began.
                let unchecked = fill.began.filter(|_| !is_stored);
                borne.note_kept(cache, unchecked);
                let (what, displaced) = store(cache, entry.clone(), share);
                count(what);
                displaced
            }
            (Some(_), None) => {
                if is_stored {
                    count(Happening::Fill);
                }
                Displaced::default()
            }
            // What is stored is older than this answer, and this answer is not to be stored. An error says
            // nothing about what is stored.
            (None, _) if may_store && fill.outcome != Outcome::Error => cache.0.tier.remove(key),
            (None, _) => Displaced::default(),
        }
    });
    drop(displaced);
    setting.into_iter().for_each(|setting| setting.end(is_latest.get()));
    // However it was got: computed, or put.
    if fill.remember.keeps_old() {
        cache.0.setbacks.succeeded(key);
    }
    // Not under the lock of the flights: it wakes others.
    let happened = happened.get();
    if let Some(what) = happened {
        cache.tell(fill.function, key, what);
    }
    (happened, entry)
}

/// What somebody has set is about to be all that there is, where there is a shared tier: what was read from that before goes.
pub(super) struct Setting<'c>(&'c Cache, &'c Key);

impl<'c> Setting<'c> {
    pub(super) fn begin(cache: &'c Cache, key: &'c Key) -> Self {
        // Held by those who have read it.
        if let Some(shared) = cache.0.shared.as_deref() {
            shared.note_removal(key);
        }
        Self(cache, key)
    }

    /// Its flight has landed, as the one that others join, or not.
    pub(super) fn end(self, is_latest: bool) {
        let Self(cache, key) = self;
        // Whoever leads instead may have read what was there before.
        if !is_latest && cache.0.shared.is_some() {
            cache.0.remove_here(key);
        }
    }
}

/// Ends a flight with a value that the shared tier had: it enters the local tier, unless an invalidation came since
/// the read began. The answer is that value.
pub(super) fn land_found(
    cache: &Cache,
    lead: Lead<'_, Key, Borne, Landing>,
    fill: &Fill<'_>,
    borne: &Borne,
    value: AnyValue,
    size: usize,
) -> Reply {
    let here = fill.lifetime.and_then(|lifetime| lifetime.here(fill.remember));
    let here = here.filter(|_| cache.0.tier.admits_any());
    // What is stored nowhere and nobody waits for need not be made.
    let lead = if here.is_none() { lead.leave() } else { Some(lead) };
    let Some(lead) = lead else { return Reply::Value(value) };
    // What it bore before the look is known to the flight.
    if borne.has_learned() {
        lead.learn(borne.clone());
    }
    let entry = fill.entry(cache, borne, value, here, Some(size));
    let landing = Landing::Value(entry.clone());
    let displaced = lead.land(landing, |may_store| match here {
        Some(_) if may_store => {
            borne.note_kept(cache, None);
            cache.0.tier.install(entry.clone()).displaced()
        }
        _ => Displaced::default(),
    });
    drop(displaced);
    Reply::Entry(entry)
}

/// Puts an entry into the local tier, and says what that is counted as; the caller holds the key's place in the table of
/// flights.
fn store(cache: &Cache, entry: Arc<StoredEntry>, share: Share) -> (Happening, Displaced) {
    match cache.0.tier.install(entry) {
        Installed::Stored(displaced) => (Happening::Fill, displaced),
        Installed::TooHeavy(displaced) if share.version().is_some() => (Happening::Fill, displaced),
        Installed::TooHeavy(displaced) => (Happening::Rejected, displaced),
    }
}

impl<'c> Fill<'c> {
    /// A value that the shared tier had.
    pub(super) fn found(
        key: &'c Key,
        remember: &'c Remember,
        function: &'c Arc<Function>,
        stored: &Stored,
    ) -> Self {
        Self {
            key,
            remember,
            outcome: Outcome::Value,
            function,
            cost: stored.cost,
            lifetime: Some(Lifetime { fresh: stored.fresh, grace: stored.grace }),
            age: stored.age,
            version: Some(stored.version),
            is_asked_for: true,
            is_set: false,
            began: None,
            sources: Sources::default(),
            replaces: None,
        }
    }

    /// Makes the entry. Without a lifetime it is for the followers only. `size` is what its value takes when encoded,
    /// where that is known.
    pub(super) fn entry(
        &self,
        cache: &Cache,
        borne: &Borne,
        value: AnyValue,
        lifetime: Option<Lifetime>,
        size: Option<usize>,
    ) -> Arc<StoredEntry> {
        let now = cache.0.clock.now();
        let stamps = borne.stamps();
        let care = lifetime.and_then(|lifetime| self.care(cache, lifetime, now));
        let own = value.overhead(care.is_some()) + self.key.heap_size() + stamps.heap_bytes();
        let elsewhere = match lifetime {
            Some(_) => heap_of(cache, &value, size),
            None => Some(0),
        };
        let header = Header {
            key: self.key.clone(),
            created: now.earlier(self.age),
            begun: borne.begun,
            fresh_until: now.later(lifetime.map_or(Duration::ZERO, |lifetime| lifetime.fresh)),
            care,
            stamps,
            function: self.function.clone(),
            weight: Weight::new(own, elsewhere),
        };
        value.into_entry(header)
    }

    /// What the entry needs beyond a lifetime, if anything.
    fn care(&self, cache: &Cache, here: Lifetime, now: Tick) -> Option<Care> {
        let upkeep = self.remember.refresh.map(|refresh| {
            // In the shared tier it is there for the whole ttl, and not for what the local tier keeps of it.
            let there = self.lifetime.filter(|_| self.version.is_some());
            let fresh = self.age + there.unwrap_or(here).fresh;
            let created = now.earlier(self.age);
            let upkeep = Upkeep::new(refresh, created, fresh, self.cost, self.version, now);
            let before = self.replaces.clone().or_else(|| cache.0.tier.find(&self.key.view(), Arc::clone));
            if let Some(before) = before
                && let Some(before) = before.upkeep()
            {
                upkeep.succeed(before, self.is_asked_for);
            }
            upkeep
        });
        let fresh_until = now.later(here.fresh);
        (upkeep.is_some() || !here.grace.is_zero())
            .then(|| Care::new(fresh_until, here.grace, self.remember.grace, upkeep))
    }
}

/// What a value keeps outside its own struct, in bytes: as the user's weigher says, or about its encoded size. `None` where
/// nobody knows.
fn heap_of(cache: &Cache, value: &AnyValue, size: Option<usize>) -> Option<usize> {
    let limit = &cache.0.limit;
    if let Some(weighed) = limit.weighed(value.as_any()) {
        return Some(weighed);
    }
    if value.is_inline() {
        return Some(0);
    }
    // Finding out takes time, and where entries are counted it is of no other use.
    size.or_else(|| if limit.is_by_entries() { None } else { value.encoded_size() })
}
