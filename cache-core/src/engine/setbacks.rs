//! Which keys have failed lately, so that a failing source is not asked at every read.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Tick;
use crate::entry::refresh::rest;
use crate::key::{Key, KeyView};
use crate::local::StoredEntry;

/// Parts of the table, so that threads seldom meet.
const SHARDS: usize = 16;
/// Keys that a part remembers at most. Beyond, those whose rest is over are forgotten; then new ones have no rest.
const MOST: usize = 1024;
/// How long after its rest a key is remembered, in rests: a failure within that time counts as one in a row.
const MEMORY: u32 = 4;

/// The keys whose last computation failed while there was a value to stand in, or to go on with.
///
/// By their hashes, seeded at random: the worst that two keys of one hash do to each other is a rest.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    shards: [Mutex<Shard>; SHARDS],
    hash: foldhash::fast::RandomState,
}

type Shard = HashMap<u64, Setback>;

#[derive(Debug, Clone, Copy)]
struct Setback {
    failures: u32,
    /// Until when the next attempt waits.
    until: Tick,
    /// Until when another failure is one more in a row.
    remembered: Tick,
    /// The latest invalidation of what the entry bears, at the failure.
    latest_move: Option<u64>,
}

impl Setback {
    /// Whether the next attempt waits at `now`. Who invalidates softly wants one at once.
    fn is_resting(&self, now: Tick, latest_move: Option<u64>) -> bool {
        let is_lifted = self.latest_move.zip(latest_move).is_some_and(|(noted, latest)| latest > noted);
        now < self.until && !is_lifted
    }
}

impl Setbacks {
    fn shard(&self, key: &KeyView<'_>) -> (MutexGuard<'_, Shard>, u64) {
        let hash = self.hash.hash_one(key);
        let shard = self.shards[hash as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        (shard, hash)
    }

    /// Notes a failure; tells until when the next attempt waits. `entry` is the value at hand.
    pub(super) fn failed(&self, key: &Key, now: Tick, entry: Option<&StoredEntry>, chance: f64) -> Tick {
        let (mut shard, hash) = self.shard(&key.view());
        let known = shard.get(&hash).copied().filter(|setback| now < setback.remembered);
        let latest_move = entry.map(StoredEntry::latest_move);
        // Of many who waited for one attempt each notes its failure.
        if let Some(known) = known.filter(|known| known.is_resting(now, latest_move)) {
            return known.until;
        }
        let failures = known.map_or(0, |known| known.failures).saturating_add(1);
        let left = entry.map_or(Duration::ZERO, |entry| entry.fresh_for(now));
        let rest = rest(failures, left, chance);
        let (until, remembered) = (now.later(rest), now.later(rest.saturating_mul(MEMORY)));
        let setback = Setback { failures, until, remembered, latest_move };
        if shard.len() >= MOST && !shard.contains_key(&hash) {
            shard.retain(|_, setback| now < setback.remembered);
        }
        if shard.len() < MOST || shard.contains_key(&hash) {
            shard.insert(hash, setback);
        }
        setback.until
    }

    /// Notes a success.
    pub(super) fn succeeded(&self, key: &Key) {
        let (mut shard, hash) = self.shard(&key.view());
        shard.remove(&hash);
    }

    /// Lets the next attempt wait no longer. Its failure would be one more in a row.
    pub(super) fn lift(&self, key: &Key, now: Tick) {
        let (mut shard, hash) = self.shard(&key.view());
        if let Some(setback) = shard.get_mut(&hash) {
            setback.until = setback.until.min(now);
        }
    }

    /// Whether the next attempt has to wait. `entry` is the value at hand.
    pub(super) fn is_resting(&self, key: &KeyView<'_>, now: Tick, entry: Option<&StoredEntry>) -> bool {
        let (shard, hash) = self.shard(key);
        shard.get(&hash).is_some_and(|setback| setback.is_resting(now, entry.map(StoredEntry::latest_move)))
    }

    /// Forgets what is long over.
    pub(super) fn sweep(&self, now: Tick) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, setback| now < setback.remembered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::of("f", number).unwrap()
    }

    #[test]
    fn each_failure_in_a_row_rests_longer_and_a_success_forgets_them() {
        let (setbacks, start) = (Setbacks::default(), Tick::from_raw(1 << 40));

        let first = setbacks.failed(&key(1), start, None, 0.0);
        assert!(setbacks.is_resting(&key(1).view(), first.earlier(Duration::from_millis(1)), None));
        assert!(!setbacks.is_resting(&key(1).view(), first, None));
        assert!(!setbacks.is_resting(&key(2).view(), start, None));

        let second = setbacks.failed(&key(1), first, None, 0.0);
        assert_eq!(second.since(first), 2 * first.since(start));

        setbacks.succeeded(&key(1));
        assert!(!setbacks.is_resting(&key(1).view(), first, None));
        assert_eq!(setbacks.failed(&key(1), second, None, 0.0).since(second), first.since(start));
    }

    #[test]
    fn the_table_is_bounded() {
        let (setbacks, now) = (Setbacks::default(), Tick::from_raw(1 << 40));

        for number in 0..4 * SHARDS * MOST {
            setbacks.failed(&key(number), now, None, 0.0);
        }

        let len: usize = setbacks.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(len <= SHARDS * MOST, "{len}");
        setbacks.sweep(now.later(Duration::from_secs(3600)));
        assert!(setbacks.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
