//! What the bus tells, applied to this process.

use super::Shared;
use crate::backend::{Change, EntryKey, Epoch, Heard, Message, TagKey};
use crate::engine::Cache;
use crate::epochs::{Cell, Severity};
use crate::event::{Invalidated, Invalidator};
use crate::key::Key;

impl Shared {
    /// Applies what was heard.
    pub(super) fn hear(&self, cache: &Cache, heard: Heard) {
        match heard {
            Heard::Gap => self.begin_generation(cache),
            Heard::Message(message) => self.hear_message(cache, message),
        }
    }

    /// Messages may have been missed: nothing that was learned before counts any more, and nothing in the local tier
    /// is known to be current.
    pub(super) fn begin_generation(&self, cache: &Cache) {
        self.counters.gap();
        cache.0.trust.gap(cache.0.clock.now());
        self.generation.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        // Every entry and every flight bears the epoch of its function. Softly: what is not known to be invalidated may
        // stand in for as long as the trust allows.
        cache.0.functions.invalidate(Severity::Soft, |_| true);
        self.echoes.forget();
        self.keeper.forget_beats();
        self.server_clock.forget();
        self.waiters.wake_all();
        self.keeper.wake();
        self.go_on_with_requests(cache);
    }

    fn hear_message(&self, cache: &Cache, message: Message) {
        self.counters.heard();
        let is_own = message.origin == self.backend.origin();
        let by = Invalidator::of(message.origin, self.backend.origin());
        let tell = |key: &EntryKey, severity| {
            // Its own were told when they were applied.
            if !is_own {
                cache.0.tell_invalidation(|| Invalidated::Entry(key.as_str().into()), severity, by);
            }
        };
        match message.change {
            Change::Heartbeat { nonce } => {
                if is_own && let Some(beat) = self.keeper.beat_heard(nonce) {
                    if beat.is_one_missing {
                        self.begin_generation(cache);
                    }
                    cache.0.trust.confirm(beat.sent);
                }
            }
            Change::Invalidated { key } => {
                if !(is_own && self.echoes.is_echo(&key)) {
                    with_key(&key, |key| cache.0.remove_here(key));
                }
                self.waiters.wake(&key);
                tell(&key, Severity::Hard);
            }
            Change::Expired { key } => {
                if !(is_own && self.echoes.is_echo(&key)) {
                    with_key(&key, |key| cache.0.expire_here(key));
                }
                self.waiters.wake(&key);
                tell(&key, Severity::Soft);
            }
            Change::Filled { key } => {
                // What is here is older, and so may be what a flight has read.
                if !is_own {
                    with_key(&key, |key| cache.0.overtake_here(key));
                }
                self.waiters.wake(&key);
            }
            Change::Released { key } => self.waiters.wake(&key),
            Change::Requested { keys, tags } => self.make_requested(cache, keys, tags),
            Change::Unread { why } => self.counters.unread(why),
            Change::TagsInvalidated { epochs } => {
                for (tag, epoch) in epochs {
                    let severity = if is_own { self.moving.severity(&tag) } else { Some(Severity::Hard) };
                    self.hear_epoch(cache, &tag, epoch, severity);
                    if !is_own {
                        cache.0.tell_invalidation(|| (&tag).into(), Severity::Hard, by);
                    }
                }
            }
        }
    }

    /// Without a `severity` the change is one of this process that it has applied.
    fn hear_epoch(&self, cache: &Cache, tag: &TagKey, epoch: Epoch, severity: Option<Severity>) {
        let generation = self.generation();
        let hear = |cell: &Cell| match severity {
            Some(severity) => cell.heard(epoch, generation, severity),
            None => {
                cell.echoed(epoch, generation);
                false
            }
        };
        match tag {
            TagKey::Everything => {
                if hear(&self.everything)
                    && let Some(severity) = severity
                {
                    cache.0.functions.invalidate(severity, |_| true);
                }
            }
            TagKey::Function(path) => cache.0.functions.change(path, |cell| {
                hear(cell);
            }),
            TagKey::Tag(tag) => {
                cache.0.epochs.change(tag, hear);
            }
        }
    }
}

/// Reads the key out of its text. A function that is not known here, or a text that is no key, has no entry here.
pub(super) fn with_key(text: &EntryKey, then: impl FnOnce(&Key)) {
    if let Ok(Some(key)) = Key::parse(text.as_str()) {
        then(&key);
    }
}
