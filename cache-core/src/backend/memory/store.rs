//! The state behind a [`Memory`](super::Memory): each method is one atomic step.

use std::time::Duration;

use super::expiring::Expiring;
use crate::backend::{
    Change, Claim, EntryKey, Epoch, Fill, FillRequest, Found, FrameBytes, Grant, Lease, LeaseRequest,
    LeaseToken, Prefix, Read, ReadMany, Refill, RefillRequest, Renewal, ServerTime, TagKey, Tags, random,
};

/// What one entry, lease or epoch takes beside its key and frame, roughly: map, order and counters.
const OVERHEAD: usize = 160;
/// How many ended items of each kind a step removes. Each step adds few, so more than that suffices.
const SWEEP: usize = 8;

type Named<K> = (Prefix, K);

/// Entries, leases and epochs of all prefixes.
#[derive(Debug)]
pub(super) struct Store {
    entries: Expiring<Named<EntryKey>, Entry>,
    leases: Expiring<Named<EntryKey>, Held>,
    epochs: Expiring<Named<TagKey>, Epoch>,
    bytes: usize,
    max_bytes: usize,
    last_stamp: u64,
}

#[derive(Debug)]
struct Entry {
    frame: FrameBytes,
    is_expired: bool,
}

#[derive(Debug)]
struct Held {
    grant: Grant,
    /// Whether its end interests others: one was told `Held`, or a taken key has older copies elsewhere.
    is_awaited: bool,
}

/// A moment within one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// What lives are counted by, in µs.
    now: u64,
    /// What epochs and grants bear: never the same twice, never less than before.
    stamp: u64,
}

/// How much a store holds; ended items that were not removed yet included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holdings {
    pub(super) entries: usize,
    pub(super) leases: usize,
    pub(super) epochs: usize,
    pub(super) bytes: usize,
}

impl Store {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            entries: Expiring::default(),
            leases: Expiring::default(),
            epochs: Expiring::default(),
            bytes: 0,
            max_bytes,
            last_stamp: 0,
        }
    }

    /// Begins a step: tells the time and removes some of what has ended.
    pub(super) fn begin(&mut self, now: u64) -> Moment {
        self.last_stamp = now.max(self.last_stamp.saturating_add(1));
        for _ in 0..SWEEP {
            let Some((key, entry)) = self.entries.pop_ended(now) else {
                break;
            };
            self.bytes -= entry_cost(&key, &entry);
        }
        for _ in 0..SWEEP {
            let Some((key, _)) = self.epochs.pop_ended(now) else {
                break;
            };
            self.bytes -= epoch_cost(&key);
        }
        for _ in 0..SWEEP {
            if self.leases.pop_ended(now).is_none() {
                break;
            }
        }
        Moment { now, stamp: self.last_stamp }
    }

    pub(super) fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        self.evict();
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(super) fn holdings(&self) -> Holdings {
        Holdings {
            entries: self.entries.len(),
            leases: self.leases.len(),
            epochs: self.epochs.len(),
            bytes: self.bytes,
        }
    }

    pub(super) fn read(&self, prefix: &Prefix, key: &EntryKey, tags: &[TagKey], at: Moment) -> Read {
        Read { found: self.found_at(prefix, key, at), epochs: self.epochs_of(prefix, tags, at) }
    }

    pub(super) fn read_many(
        &self,
        prefix: &Prefix,
        keys: &[EntryKey],
        tags: &[TagKey],
        at: Moment,
    ) -> ReadMany {
        let found = keys.iter().map(|key| Ok(self.found_at(prefix, key, at))).collect();
        ReadMany { found, epochs: self.epochs_of(prefix, tags, at) }
    }

    fn epochs_of(&self, prefix: &Prefix, tags: &[TagKey], at: Moment) -> Vec<Option<Epoch>> {
        let live = |tag: &TagKey| self.epochs.live(&(prefix.clone(), tag.clone()), at.now).copied();
        tags.iter().map(live).collect()
    }

    fn found_at(&self, prefix: &Prefix, key: &EntryKey, at: Moment) -> Option<Found> {
        self.found(&(prefix.clone(), key.clone()), at)
    }

    fn found(&self, name: &Named<EntryKey>, at: Moment) -> Option<Found> {
        let entry = self.entries.live(name, at.now)?;
        Some(Found { frame: entry.frame.clone(), is_expired: entry.is_expired })
    }

    pub(super) fn lease(&mut self, prefix: &Prefix, request: LeaseRequest<'_>, at: Moment) -> Lease {
        let epochs = self.need_epochs(prefix, request.tags, at);
        let name = (prefix.clone(), request.key.clone());
        let takes = matches!(request.claim, Claim::Take);
        let deadline = at.after(request.life);

        // The holder first: what its repeated request finds beside the lease does not matter.
        let mine = self.leases.live(&name, at.now).filter(|held| held.grant.token == request.token);
        if let Some(grant) = mine.map(|held| held.grant) {
            self.leases.set_deadline(&name, deadline);
            return Lease::Granted { grant, epochs };
        }
        if let Some(found) = self.found(&name, at).filter(|found| found.answers(request.claim)) {
            return Lease::Filled { found, epochs };
        }
        if !takes && let Some((held, ends)) = self.leases.live_mut(&name, at.now) {
            held.is_awaited = true;
            return Lease::Held { remaining: Duration::from_micros(ends - at.now) };
        }
        let grant = Grant { token: request.token, granted_at: ServerTime::from_micros(at.stamp) };
        self.leases.insert(name, Held { grant, is_awaited: takes }, deadline);
        Lease::Granted { grant, epochs }
    }

    pub(super) fn renew(
        &mut self,
        prefix: &Prefix,
        key: &EntryKey,
        grant: &Grant,
        life: Duration,
        at: Moment,
    ) -> Renewal {
        let name = (prefix.clone(), key.clone());
        if self.leases.live(&name, at.now).is_none_or(|held| held.grant != *grant) {
            return Renewal::Refused;
        }
        self.leases.set_deadline(&name, at.after(life));
        Renewal::Renewed
    }

    pub(super) fn release(
        &mut self,
        prefix: &Prefix,
        key: &EntryKey,
        token: LeaseToken,
        at: Moment,
    ) -> Option<Change> {
        let name = (prefix.clone(), key.clone());
        self.leases.live(&name, at.now).filter(|held| held.grant.token == token)?;
        let held = self.leases.remove(&name)?;
        held.is_awaited.then(|| Change::Released { key: key.clone() })
    }

    pub(super) fn fill(
        &mut self,
        prefix: &Prefix,
        request: FillRequest<'_>,
        at: Moment,
    ) -> (Fill, Option<Change>) {
        let name = (prefix.clone(), request.key.clone());
        if self.leases.live(&name, at.now).is_none_or(|held| held.grant != *request.grant) {
            return (Fill::Refused, None);
        }
        let is_awaited = self.leases.remove(&name).is_some_and(|held| held.is_awaited);
        self.need_epochs(prefix, request.tags, at);
        self.remove_entry(&name);
        if !request.life.is_zero() {
            let entry = Entry { frame: request.frame.clone().shared(), is_expired: false };
            self.bytes += entry_cost(&name, &entry);
            self.entries.insert(name, entry, at.after(request.life));
            self.evict();
        }
        (Fill::Stored, is_awaited.then(|| Change::Filled { key: request.key.clone() }))
    }

    pub(super) fn refill(
        &mut self,
        prefix: &Prefix,
        request: RefillRequest<'_>,
        at: Moment,
    ) -> (Refill, Option<Change>) {
        let RefillRequest { key, grant, seen, head, size, life, tags } = request;
        let name = (prefix.clone(), key.clone());
        if self.leases.live(&name, at.now).is_none_or(|held| held.grant != *grant) {
            return (Refill::Refused, None);
        }
        let stored = self.entries.live(&name, at.now).map(|entry| &entry.frame);
        let Some(value) = stored.filter(|stored| *stored == seen && stored.len() >= size) else {
            return (Refill::Other, None);
        };
        let frame = FrameBytes::from([head, &value[value.len() - size..]].concat()).shared();
        match self.fill(prefix, FillRequest { key, grant, frame: &frame, life, tags }, at) {
            (Fill::Stored, change) => (Refill::Stored, change),
            (Fill::Refused, change) => (Refill::Refused, change),
        }
    }

    pub(super) fn invalidate(&mut self, prefix: &Prefix, key: &EntryKey) -> Change {
        let name = (prefix.clone(), key.clone());
        self.remove_entry(&name);
        self.leases.remove(&name);
        Change::Invalidated { key: key.clone() }
    }

    pub(super) fn expire(&mut self, prefix: &Prefix, key: &EntryKey, keep: Duration, at: Moment) -> Change {
        let name = (prefix.clone(), key.clone());
        self.leases.remove(&name);
        if let Some((entry, ends)) = self.entries.live_mut(&name, at.now) {
            entry.is_expired = true;
            self.entries.set_deadline(&name, ends.min(at.after(keep)));
        }
        Change::Expired { key: key.clone() }
    }

    pub(super) fn need_epochs(&mut self, prefix: &Prefix, tags: Tags<'_>, at: Moment) -> Vec<Epoch> {
        tags.keys.iter().map(|tag| self.need_epoch((prefix.clone(), tag.clone()), tags.life, at)).collect()
    }

    fn need_epoch(&mut self, name: Named<TagKey>, life: Duration, at: Moment) -> Epoch {
        let deadline = at.after(life);
        let Some((epoch, ends)) = self.epochs.live_mut(&name, at.now) else {
            return self.write_epoch(name, at.stamp, deadline);
        };
        let epoch = *epoch;
        if ends < deadline {
            self.epochs.set_deadline(&name, deadline);
        }
        epoch
    }

    pub(super) fn invalidate_tags(&mut self, prefix: &Prefix, tags: Tags<'_>, at: Moment) -> Vec<Epoch> {
        let mut write = |tag: &TagKey| {
            let name = (prefix.clone(), tag.clone());
            let (micros, ends) = match self.epochs.live_mut(&name, at.now) {
                Some((old, ends)) => (at.stamp.max(old.micros.saturating_add(1)), ends),
                None => (at.stamp, 0),
            };
            self.write_epoch(name, micros, ends.max(at.after(tags.life)))
        };
        tags.keys.iter().map(&mut write).collect()
    }

    fn write_epoch(&mut self, name: Named<TagKey>, micros: u64, deadline: u64) -> Epoch {
        let epoch = Epoch { micros, random: random::bits() };
        let cost = epoch_cost(&name);
        if self.epochs.insert(name, epoch, deadline).is_none() {
            self.bytes += cost;
            self.evict();
        }
        epoch
    }

    pub(super) fn lose_epoch(&mut self, prefix: &Prefix, tag: &TagKey) {
        let name = (prefix.clone(), tag.clone());
        if self.epochs.remove(&name).is_some() {
            self.bytes -= epoch_cost(&name);
        }
    }

    fn remove_entry(&mut self, name: &Named<EntryKey>) {
        if let Some(entry) = self.entries.remove(name) {
            self.bytes -= entry_cost(name, &entry);
        }
    }

    /// Drops what ends first, entries before epochs, until the rest fits. Any loss is a miss, no more.
    fn evict(&mut self) {
        while self.bytes > self.max_bytes {
            if let Some((key, entry)) = self.entries.pop_first() {
                self.bytes -= entry_cost(&key, &entry);
            } else if let Some((key, _)) = self.epochs.pop_first() {
                self.bytes -= epoch_cost(&key);
            } else {
                break;
            }
        }
    }
}

impl Found {
    /// Whether this entry answers a request for a lease, so that none is needed.
    fn answers(&self, claim: Claim<'_>) -> bool {
        match claim {
            _ if self.is_expired => false,
            Claim::Absent => true,
            Claim::Replace(seen) => self.frame != *seen,
            Claim::Take => false,
        }
    }
}

impl Moment {
    /// The end of a life that begins now, in whole ms as the contract counts.
    fn after(self, life: Duration) -> u64 {
        let millis = u64::try_from(life.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.now.saturating_add(millis.saturating_mul(1_000))
    }

    pub(super) fn server_time(self) -> ServerTime {
        ServerTime::from_micros(self.stamp)
    }
}

fn entry_cost(name: &Named<EntryKey>, entry: &Entry) -> usize {
    OVERHEAD + name.1.as_str().len() + entry.frame.len()
}

fn epoch_cost(name: &Named<TagKey>) -> usize {
    OVERHEAD
        + match &name.1 {
            TagKey::Everything => 0,
            TagKey::Function(text) => text.len(),
            TagKey::Tag(tag) => tag.as_str().len(),
        }
}
