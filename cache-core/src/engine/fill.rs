//! Storing what was computed: in the shared tier first, then in the local one.

use std::sync::Arc;
use std::time::Duration;

use super::flight::Lead;
use super::shared::{self, Borne, Filled, Hold, Unframed, Unstored};
use super::{Cache, Function, Landing};
use crate::answer::Outcome;
use crate::entry::{Header, Lifetime, Remember, StoredEntry};
use crate::event::stats::{Counters, Happening};
use crate::key::Key;
use crate::local::{Displaced, Installed};
use crate::storage::Storage;

/// What is known about a value about to be stored.
pub(super) struct Fill<'c> {
    pub(super) key: &'c Key,
    pub(super) remember: &'c Remember,
    pub(super) outcome: Outcome,
    pub(super) borne: &'c Borne,
    pub(super) function: &'c Arc<Function>,
    /// What computing it took.
    pub(super) cost: Duration,
    /// How long it is kept; `None` if it is not to be stored.
    pub(super) lifetime: Option<Lifetime>,
}

/// What became of a value in the shared tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// It is stored there.
    Stored,
    /// It was refused: an invalidation came meanwhile, or the lease ended.
    Refused,
    /// It is not there, for a reason that says nothing about whether it is current.
    NotShared,
    /// Nobody knows whether it is there.
    Unknown,
}

/// Stores a value in the shared tier, under the lease that it was computed with.
///
/// # Cancel safety
///
/// The lease is given up. The value is stored, or not.
pub(super) async fn share<V, S>(
    cache: &Cache,
    fill: &Fill<'_>,
    storage: S,
    value: &V,
    hold: Hold<'_>,
) -> Share
where
    V: 'static,
    S: Storage<V>,
{
    let Some(lifetime) = fill.lifetime else {
        // What is stored is older than this answer. An error says nothing about what is stored.
        return match fill.outcome {
            Outcome::Error => Share::NotShared,
            _ => unshare(hold).await,
        };
    };
    let (Some(shared), Some(fingerprint)) =
        (cache.0.shared.as_deref(), fill.function.fingerprint::<V, S>(storage))
    else {
        return Share::NotShared;
    };
    let unstored = Unstored { value, fresh: lifetime.fresh, cost: fill.cost };
    let now = hold.server_time(cache.0.clock.now());
    match shared::frame_of(shared, storage, fingerprint, &unstored, hold.epochs(), now) {
        Ok(frame) => match hold.fill(frame, lifetime.fresh).await {
            Filled::Stored => Share::Stored,
            Filled::Refused => Share::Refused,
            Filled::Unknown => Share::Unknown,
        },
        Err(unframed) => {
            if unframed == Unframed::NotEncodable {
                shared.counters.not_encodable(fill.function.identity);
            }
            unshare(hold).await
        }
    }
}

/// Sees to it that no older value stays in the shared tier in place of one that is not stored there.
async fn unshare(hold: Hold<'_>) -> Share {
    if !hold.replaces() {
        return Share::NotShared;
    }
    match hold.remove().await {
        Ok(()) => Share::NotShared,
        Err(_) => Share::Unknown,
    }
}

/// Ends a flight with a value: stores it where the policy says so and no invalidation came meanwhile, and
/// hands it to the followers in any case.
pub(super) fn land<V, S>(
    cache: &Cache,
    lead: Lead<'_, Key, Borne, Landing>,
    fill: &Fill<'_>,
    storage: S,
    value: &V,
    share: Share,
) where
    V: Clone + Send + Sync + 'static,
    S: Storage<V>,
{
    let (key, counters) = (fill.key, &fill.function.counters);
    let here = fill.lifetime.and_then(|lifetime| lifetime.here(fill.remember));
    let entry = fill.entry(cache, storage, value.clone(), here, None);
    let landing = Landing::Value(entry.clone());
    let displaced = lead.land(landing, |may_store| match (fill.lifetime, here) {
        // What is here is older than what the shared tier has by now.
        (Some(_), _) if share == Share::Refused => {
            counters.count(Happening::Refused);
            cache.0.tier.remove(key)
        }
        (Some(_), _) if !may_store && share == Share::Stored => {
            counters.count(Happening::Fill);
            cache.0.tier.remove(key)
        }
        (Some(_), _) if !may_store => {
            counters.count(Happening::Refused);
            Displaced::default()
        }
        (Some(_), Some(_)) => store(cache, counters, key, entry, share),
        (Some(_), None) => {
            if share == Share::Stored {
                counters.count(Happening::Fill);
            }
            Displaced::default()
        }
        // What is stored is older than this answer, and this answer is not to be stored. An error says
        // nothing about what is stored.
        (None, _) if may_store && fill.outcome != Outcome::Error => cache.0.tier.remove(key),
        (None, _) => Displaced::default(),
    });
    drop(displaced);
}

/// Ends a flight with a value that the shared tier had: it enters the local tier, unless an invalidation came since
/// the read began.
pub(super) fn land_found<V, S>(
    cache: &Cache,
    lead: Lead<'_, Key, Borne, Landing>,
    fill: &Fill<'_>,
    storage: S,
    value: &V,
    size: usize,
) where
    V: Clone + Send + Sync + 'static,
    S: Storage<V>,
{
    let here = fill.lifetime.and_then(|lifetime| lifetime.here(fill.remember));
    let here = here.filter(|_| cache.0.tier.admits_any());
    // What is stored nowhere and nobody waits for need not be made.
    let lead = if here.is_none() { lead.leave() } else { Some(lead) };
    let Some(lead) = lead else { return };
    let entry = fill.entry(cache, storage, value.clone(), here, Some(size));
    let landing = Landing::Value(entry.clone());
    let displaced = lead.land(landing, |may_store| match here {
        Some(_) if may_store => cache.0.tier.install(fill.key, entry).displaced(),
        _ => Displaced::default(),
    });
    drop(displaced);
}

/// Puts an entry into the local tier and counts that; the caller holds the key's place in the table of flights.
pub(super) fn store(
    cache: &Cache,
    counters: &Counters,
    key: &Key,
    entry: Arc<StoredEntry>,
    share: Share,
) -> Displaced {
    let (happening, displaced) = match cache.0.tier.install(key, entry) {
        Installed::Stored(displaced) => (Happening::Fill, displaced),
        Installed::TooHeavy(displaced) if share == Share::Stored => (Happening::Fill, displaced),
        Installed::TooHeavy(displaced) => (Happening::Rejected, displaced),
    };
    counters.count(happening);
    displaced
}

impl<'c> Fill<'c> {
    /// A value that the shared tier had, fresh for so long yet.
    pub(super) fn found(
        key: &'c Key,
        remember: &'c Remember,
        borne: &'c Borne,
        function: &'c Arc<Function>,
        fresh: Duration,
    ) -> Self {
        let lifetime = Some(Lifetime { fresh });
        Self { key, remember, outcome: Outcome::Value, borne, function, cost: Duration::ZERO, lifetime }
    }

    /// Makes the entry. Without a lifetime it is for the followers only. `size` is what its value takes when encoded,
    /// where that is known.
    pub(super) fn entry<V, S>(
        &self,
        cache: &Cache,
        storage: S,
        value: V,
        lifetime: Option<Lifetime>,
        size: Option<usize>,
    ) -> Arc<StoredEntry>
    where
        V: Clone + Send + Sync + 'static,
        S: Storage<V>,
    {
        let stamps = self.borne.stamps();
        let own = StoredEntry::<V>::overhead() + self.key.heap_size() + stamps.heap_bytes();
        let elsewhere = match lifetime {
            Some(_) => heap_of(cache, storage, &value, size),
            None => 0,
        };
        let header = Header {
            created: cache.0.clock.now(),
            begun: self.borne.begun,
            lifetime: lifetime.unwrap_or(Lifetime { fresh: Duration::ZERO }),
            stamps,
            function: self.function.clone(),
            // A user's weigher may say anything.
            weight: own.saturating_add(elsewhere) as u64,
        };
        Arc::new(StoredEntry::new(header, value))
    }
}

/// What a value keeps outside its own struct, in bytes: as the user's weigher says, or about its encoded size.
fn heap_of<V, S>(cache: &Cache, storage: S, value: &V, size: Option<usize>) -> usize
where
    V: Send + Sync + 'static,
    S: Storage<V>,
{
    let limit = &cache.0.limit;
    if let Some(weighed) = limit.weighed(value) {
        return weighed;
    }
    // A plain struct is all inline.
    if limit.is_by_entries() || !std::mem::needs_drop::<V>() {
        return 0;
    }
    size.or_else(|| storage.encoded_size(value)).unwrap_or(0)
}
