//! What a value bears of the epochs, in both tiers.

use std::sync::Arc;

use super::Hold;
use super::removals::Removed;
use crate::backend::Epoch;
use crate::clock::Tick;
use crate::engine::sources::Sources;
use crate::engine::{Cache, Function};
use crate::entry::Currency;
use crate::epochs::{Learned, Severity, Stamp, Stamps};
use crate::key::Tag;

/// The epochs of one call's tags as they were at one moment: that of everything, of the function, of its tags.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Borne {
    /// When they were taken: what is read or computed from here on is not older. What is read by epochs that the bus has told is
    /// no younger than what had been heard of them.
    pub(in crate::engine) begun: Tick,
    generation: u64,
    /// Those of the shared tier, combined, where the bus has told them and they need not be read.
    followed: Option<Epoch>,
    /// Behind a reference: each cell among them is one that all threads count references to.
    taken: Arc<Taken>,
    /// Whether more is known of them than when they were taken.
    has_learned: bool,
    /// Whether an answer has told of an invalidation that was not heard of: what is borne is of after that.
    has_moved: bool,
    /// Of the key, for who asks the shared tier.
    removed: Option<Removed>,
}

#[derive(Debug, Clone)]
struct Taken {
    everything: Option<Stamp>,
    /// Of the function, and of the tags that the call knows.
    own: Stamps,
    /// Of the tags that only the value knows: not among those that are combined.
    named: Box<[Stamp]>,
    /// Whether one of those was invalidated before it could be stamped.
    is_outdated: bool,
}

impl Taken {
    /// Those of the tags that the call knows.
    fn declared(&self) -> impl Iterator<Item = &Stamp> {
        self.everything.iter().chain(self.own.iter())
    }
}

impl Borne {
    /// Takes them.
    pub(in crate::engine) fn now(cache: &Cache, function: &Function, tags: &[Tag]) -> Self {
        let shared = cache.0.shared.as_deref();
        Self {
            // First of all: a gap or an invalidation after this line shows.
            generation: shared.map_or(0, super::Shared::generation),
            begun: cache.0.clock.now(),
            followed: None,
            taken: Arc::new(Taken {
                everything: shared.map(|shared| Stamp::now(shared.everything.clone())),
                own: cache.0.epochs.stamps(function.epoch.clone(), tags),
                named: Box::default(),
                is_outdated: false,
            }),
            has_learned: false,
            has_moved: false,
            removed: None,
        }
    }

    /// The same, with how often the key had been removed before.
    pub(super) fn with(self, removed: Removed) -> Self {
        Self { removed: Some(removed), ..self }
    }

    /// Says that what bears them was made of what began to be computed at `begun`.
    pub(in crate::engine) fn date_back(&mut self, begun: Tick) {
        self.begun = self.begun.min(begun);
    }

    /// How often the key had been removed.
    pub(in crate::engine) fn removed(&self) -> Option<Removed> {
        self.removed
    }

    /// Bears `named`, too: the epochs of tags that only the value knows.
    pub(in crate::engine) fn name(&mut self, named: Box<[Stamp]>) {
        if !named.is_empty() {
            Arc::make_mut(&mut self.taken).named = named;
            self.has_learned = true;
        }
    }

    /// Bears tags that only the value knows, and of which one was invalidated meanwhile.
    pub(in crate::engine) fn outdate(&mut self) {
        Arc::make_mut(&mut self.taken).is_outdated = true;
        self.has_learned = true;
    }

    /// Whether a flight that bears them from when they were taken has to be told of them again.
    pub(in crate::engine) fn has_learned(&self) -> bool {
        self.has_learned
    }

    /// Whether it bears tags that nobody knew when it was taken.
    pub(in crate::engine) fn is_late(&self) -> bool {
        self.taken.is_outdated || !self.taken.named.is_empty()
    }

    /// Learns the epochs of tags that only the value knows, likewise; bears them from now on. Tells whether one of them was
    /// invalidated, and that was not heard of.
    pub(in crate::engine) fn learn_named(&mut self, mut named: Box<[Stamp]>, epochs: &[Epoch]) -> Learned {
        let mut learned = Learned::NoInvalidation;
        for (stamp, epoch) in named.iter_mut().zip(epochs) {
            if stamp.learn(*epoch, self.generation) == Learned::Invalidation {
                learned = Learned::Invalidation;
            }
        }
        self.name(named);
        learned
    }

    /// Whether one of the epochs that a lease came with, or of those of the tags that only the value knows, may have come after one of
    /// `sources` began that bears it, too.
    pub(in crate::engine) fn is_mixed(&self, sources: &Sources, hold: &Hold<'_>, named: &[Epoch]) -> bool {
        let epochs = || hold.epochs().iter().chain(named);
        let stamps = || {
            let own = self.taken.own.iter().chain(&self.taken.named).map(Some);
            // All bear the epoch of everything.
            std::iter::once(None).chain(own)
        };
        sources.iter().any(|source| {
            let is_borne = |stamp: Option<&Stamp>| stamp.is_none_or(|stamp| source.bears(stamp));
            stamps()
                .zip(epochs())
                .any(|(stamp, epoch)| is_borne(stamp) && hold.may_have_moved_since(*epoch, source.begun))
        })
    }

    /// Notes that an entry here bears them from now on, also those whose epochs in the shared tier are not known; for `unchecked` see
    /// [`Stamp::note_kept`].
    pub(in crate::engine) fn note_kept(&self, cache: &Cache, unchecked: Option<u64>) {
        if cache.0.shared.is_none() {
            return;
        }
        let all = self.taken.declared().chain(&self.taken.named);
        all.for_each(|stamp| stamp.note_kept(self.generation, unchecked));
    }

    /// The epochs in the shared tier are what the bus has told, as far as that was heard by then: if all are known.
    pub(super) fn follow(&mut self, heard: Tick) {
        self.followed = self.known();
        if self.followed.is_some() {
            self.begun = self.begun.min(heard);
        }
    }

    /// What an entry in the shared tier bears, where the bus has told it.
    pub(super) fn followed(&self) -> Option<Epoch> {
        self.followed
    }

    /// The epochs in the shared tier of all tags that the call knows, if they are known.
    pub(super) fn known_each(&self) -> Option<Vec<Epoch>> {
        self.taken.declared().map(|stamp| stamp.known(self.generation)).collect()
    }

    /// The generation that they were taken in.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// What an entry in the local tier bears.
    pub(in crate::engine) fn stamps(&self) -> Stamps {
        self.taken.own.with(&self.taken.named)
    }

    /// Whether nothing it bears was invalidated since, as far as is known here.
    pub(in crate::engine) fn is_current(&self) -> bool {
        !self.taken.is_outdated && self.taken.declared().chain(&self.taken.named).all(Stamp::is_current)
    }

    /// Whether none of its tags was, likewise.
    pub(in crate::engine) fn are_tags_current(&self) -> bool {
        // The first one is that of the function, which a gap moves.
        let mut tags = self.taken.own.iter().skip(1).chain(&self.taken.named);
        !self.taken.is_outdated && tags.all(Stamp::is_current)
    }

    /// Whether a tag that the call knows, or its function, was invalidated since, as far as is known here.
    pub(super) fn is_invalidated(&self) -> bool {
        self.taken.own.currency() == Currency::Invalidated
    }

    /// Whether a tag that the call knows, or its function, was invalidated since or made stale; also by what an answer has told. What
    /// was perhaps missed does not count.
    pub(in crate::engine) fn is_outdated(&self, cache: &Cache) -> bool {
        let own = &self.taken.own;
        let has_moved = |stamp: &Stamp| !stamp.is_current();
        // A gap moves all functions, softly.
        let is_gapless =
            cache.0.shared.as_deref().is_none_or(|shared| shared.generation() == self.generation);
        self.has_moved
            || own.iter().skip(1).any(has_moved)
            || is_gapless && own.iter().take(1).any(has_moved)
            || self.is_invalidated()
    }

    /// What an entry in the shared tier bears now, as far as the bus has told: `None` if an epoch is not known.
    fn known(&self) -> Option<Epoch> {
        let mut is_known = true;
        let known = self.taken.declared().map_while(|stamp| {
            let known = stamp.known(self.generation);
            is_known &= known.is_some();
            known
        });
        let combined = Epoch::combined(known);
        is_known.then_some(combined)
    }

    /// Learns the epochs, in the order of [`Question::tag_keys`](super::Question::tag_keys), from an answer to a question that
    /// was asked after these were taken.
    pub(super) fn learn(&mut self, cache: &Cache, epochs: impl IntoIterator<Item = Option<Epoch>>) {
        let mut epochs = epochs.into_iter();
        self.has_learned = true;
        let Taken { everything, own, .. } = Arc::make_mut(&mut self.taken);
        if let (Some(everything), Some(Some(epoch))) = (everything, epochs.next())
            && everything.learn(epoch, self.generation) == Learned::Invalidation
        {
            self.has_moved = true;
            // No entry here bears that epoch itself.
            cache.0.functions.invalidate(Severity::Hard, |_| true);
        }
        for (stamp, epoch) in own.iter_mut().zip(epochs) {
            // An absent one teaches nothing: it may have been evicted.
            if let Some(epoch) = epoch {
                self.has_moved |= stamp.learn(epoch, self.generation) == Learned::Invalidation;
            }
        }
    }
}
