//! Storing what was computed.

use std::sync::Arc;
use std::time::Duration;

use super::flight::Lead;
use super::{Cache, Function, Landing};
use crate::answer::Outcome;
use crate::entry::{Header, Lifetime, Remember, StoredEntry, lifetime};
use crate::event::stats::{Counters, Happening};
use crate::key::Key;
use crate::local::epochs::Stamps;
use crate::local::{Displaced, Installed};
use crate::storage::Storage;

/// What is known about a value about to be stored.
pub(super) struct Fill<'c> {
    pub(super) key: &'c Key,
    pub(super) remember: &'c Remember,
    pub(super) outcome: Outcome,
    pub(super) stamps: Stamps,
    pub(super) function: &'c Arc<Function>,
}

/// Ends a flight with a value: stores it where the policy says so and no invalidation came meanwhile, and
/// hands it to the followers in any case.
pub(super) fn land<V, S, P>(
    cache: &Cache,
    lead: Lead<'_, Key, Stamps, Landing>,
    fill: Fill<'_>,
    storage: S,
    store_if: P,
    value: &V,
) where
    V: Clone + Send + Sync + 'static,
    S: Storage<V>,
    P: FnOnce(&V) -> bool,
{
    let lifetime = lifetime(fill.remember, fill.outcome, cache.0.chance.unit()).filter(|_| store_if(value));
    let (key, outcome, counters) = (fill.key, fill.outcome, &fill.function.counters);
    let entry = fill.entry(cache, storage, value.clone(), lifetime);
    let landing = Landing::Value(entry.clone());
    let displaced = lead.land(landing, |may_store| match lifetime {
        Some(_) if !may_store => {
            counters.count(Happening::Refused);
            Displaced::default()
        }
        Some(_) => store(cache, counters, key, entry),
        // What is stored is older than this answer, and this answer is not to be stored. An error says
        // nothing about what is stored.
        None if may_store && outcome != Outcome::Error => cache.0.tier.remove(key),
        None => Displaced::default(),
    });
    drop(displaced);
}

/// Puts an entry into the local tier and counts that; the caller holds the key's place in the table of flights.
pub(super) fn store(cache: &Cache, counters: &Counters, key: &Key, entry: Arc<StoredEntry>) -> Displaced {
    let (happening, displaced) = match cache.0.tier.install(key, entry) {
        Installed::Stored(displaced) => (Happening::Fill, displaced),
        Installed::TooHeavy(displaced) => (Happening::Rejected, displaced),
    };
    counters.count(happening);
    displaced
}

impl Fill<'_> {
    /// Makes the entry. Without a lifetime it is for the followers only.
    pub(super) fn entry<V, S>(
        self,
        cache: &Cache,
        storage: S,
        value: V,
        lifetime: Option<Lifetime>,
    ) -> Arc<StoredEntry>
    where
        V: Clone + Send + Sync + 'static,
        S: Storage<V>,
    {
        let own = StoredEntry::<V>::overhead() + self.key.heap_size() + self.stamps.heap_bytes();
        let elsewhere = match lifetime {
            Some(_) => heap_of(cache, storage, &value),
            None => 0,
        };
        let header = Header {
            created: cache.0.clock.now(),
            lifetime: lifetime.unwrap_or(Lifetime { fresh: Duration::ZERO }),
            stamps: self.stamps,
            function: self.function.clone(),
            // A user's weigher may say anything.
            weight: own.saturating_add(elsewhere) as u64,
        };
        Arc::new(StoredEntry::new(header, value))
    }
}

/// What a value keeps outside its own struct, in bytes: as the user's weigher says, or about its encoded size.
fn heap_of<V, S>(cache: &Cache, storage: S, value: &V) -> usize
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
    storage.encoded_size(value).unwrap_or(0)
}
