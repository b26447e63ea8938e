//! A cache's side of the shared tier.

mod borne;
mod breaker;
mod change;
mod echoes;
mod glance;
mod hear;
mod hold;
mod keeper;
mod look;
mod look_many;
mod moving;
mod obtain;
mod removals;
mod requests;
mod server_clock;
mod stored;
mod undone;
mod unreleased;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use borne::Borne;
pub(super) use glance::{Glanced, glance_many};
pub(super) use hold::{Filled, Hold, Kept, Refilled};
pub(super) use look::{First, Looked, Question, without_runtime};
pub(super) use look_many::look_many;
pub(super) use obtain::{Obtained, Seen, Underway, obtain};
pub(super) use stored::{Stored, Unframed, Unstored, frame_of, head_of};

use tokio::task::JoinHandle;

use self::breaker::{Breaker, Failed};
use self::echoes::{Echoes, Underway as Expecting};
use self::keeper::Keeper;
use self::look::away;
use self::moving::{Moves, Moving};
use self::removals::Removals;
pub(super) use self::removals::Removed;
use self::requests::Requests;
use self::server_clock::ServerClock;
use self::undone::Undone;
use self::unreleased::Unreleased;
use self::waiters::Waiters;
use super::Cache;
use crate::backend::dynamic::DynBackend;
use crate::backend::{EntryKey, TagKey};
use crate::clock::Tick;
use crate::codec::AnyCodec;
use crate::epochs::{Cell, Severity};
use crate::error::{Error, ErrorKind};
use crate::event::shared::SharedCounters;
use crate::event::subscribers::Subscribers;
use crate::key::Key;

/// Values of more bytes than this are returned and not stored in the shared tier, unless the builder says otherwise.
pub(super) const MAX_VALUE_BYTES: usize = 8 << 20;

/// By how much a value in the local tier may be outdated when the bus is silent, unless the builder says otherwise.
pub(super) const MAX_LOCAL_STALENESS: Duration = Duration::from_secs(2);

/// How long the epoch of a tag is kept at least when it was invalidated: whoever needs it for longer says so.
pub(super) const TAG_LIFE: Duration = Duration::from_secs(60);

/// A cache's side of the shared tier: the way there, and what is known of it here.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) backend: Arc<dyn DynBackend>,
    pub(super) codec: AnyCodec,
    pub(super) max_value_bytes: usize,
    /// The epoch of the tag that every entry bears.
    pub(super) everything: Arc<Cell>,
    pub(super) counters: SharedCounters,
    /// Moves when messages may have been missed: what was learned before does not count any more.
    generation: AtomicU64,
    breaker: Breaker,
    echoes: Echoes,
    keeper: Keeper,
    moving: Moving,
    removals: Removals,
    requests: Requests,
    server_clock: ServerClock,
    undone: Undone,
    /// Beside the tasks that give leases up.
    unreleased: Arc<Unreleased>,
    waiters: Waiters,
}

impl Shared {
    pub(super) fn new(
        backend: Arc<dyn DynBackend>,
        codec: AnyCodec,
        max_value_bytes: usize,
        subscribers: Arc<Subscribers>,
    ) -> Self {
        Self {
            backend,
            codec,
            max_value_bytes,
            everything: Arc::default(),
            counters: SharedCounters::new(subscribers),
            generation: AtomicU64::new(1),
            breaker: Breaker::default(),
            echoes: Echoes::default(),
            keeper: Keeper::default(),
            moving: Moving::default(),
            removals: Removals::default(),
            requests: Requests::default(),
            server_clock: ServerClock::default(),
            undone: Undone::default(),
            unreleased: Arc::default(),
            waiters: Waiters::default(),
        }
    }

    /// Whether the shared tier is not to be asked now: it does not answer, or has not yet been told of what was
    /// invalidated here meanwhile.
    #[inline]
    pub(super) fn is_away(&self) -> bool {
        self.breaker.is_open() || self.undone.is_waiting()
    }

    /// Whether the bus vouches at `at` for what is known in `generation`.
    fn follows(&self, cache: &Cache, at: Tick, generation: u64) -> bool {
        // The generation after the trust: after a gap that came in between, the trust may be of the next one.
        cache.0.trust.is_given(at) && self.generation() == generation
    }

    /// Whether an answer is to be expected soon.
    #[inline]
    fn is_at_hand(&self) -> bool {
        self.breaker.is_untroubled() && !self.is_away()
    }

    pub(super) fn queued_invalidations(&self) -> usize {
        self.undone.len()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Sees to it that somebody listens to the bus for `cache`.
    pub(super) fn attend(&self, cache: &Cache) {
        self.keeper.ensure(cache);
    }

    /// A change of `key` is about to be sent, and its message will come back.
    pub(super) fn expect_echo(&self, key: &EntryKey) -> Expecting<'_> {
        self.echoes.begin(key)
    }

    /// `key` is about to be removed here.
    pub(super) fn note_removal(&self, key: &Key) {
        self.removals.note(key);
    }

    /// Whether a key is as often `removed` as it was.
    pub(super) fn is_still(&self, removed: Removed) -> bool {
        self.removals.is_still(removed)
    }

    /// Changes of `tags` are about to be sent; to be kept until they have taken effect here.
    pub(super) fn expect_moves<'m>(&'m self, tags: &'m [(TagKey, Severity)]) -> Moves<'m> {
        self.moving.begin(tags)
    }

    /// Runs `task` so that it goes on when its caller does not; gives it back where there is no runtime.
    pub(super) fn run<F>(&self, task: F) -> Result<JoinHandle<F::Output>, F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.keeper.spawn(task)
    }

    /// Waits for an answer of the backend and lets the breaker know how it went.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let answer = call.await;
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            // About this one value, or about others behind the server: not about the way there.
            Err(error) if matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::NotReplicated) => {
                self.breaker.succeeded();
            }
            // It answers, so asking costs next to nothing.
            Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::Postponed) => {
                self.counters.refused(error);
                self.breaker.succeeded();
            }
            Err(error) => {
                self.counters.failed(error);
                if self.breaker.failed() == Failed::Opened {
                    self.counters.opened();
                    crate::event::log::warn!(error, "the shared tier does not answer; going on without it");
                    self.keeper.wake();
                }
            }
        }
        answer
    }
}
