//! One call of a cached function, from the macro's side.
//!
//! What is generic here is compiled for each type of values; all else is in [`Parts`] and [`Left`].

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::background::{Background, Sendable};
use super::body::{Beside, Body, Engine};
use super::boxed::Pending;
use super::calling::{Calling, Reply, Terms};
use super::fetch::{self, Plan};
use super::handle::Entry;
use super::limit::within_or_stop;
use super::look_up::Closer;
use super::means::{Means, Recomputed};
use super::queue::Rank;
use super::run::{run, see_to, timed_out};
use super::trace::{self, Answered};
use super::{Cache, CacheRef, computing};
use crate::answer::Answer;
use crate::call_site::CallSite;
use crate::entry::{MissReason, Remember, Remembered};
use crate::event::stats::Happening;
use crate::key::{Identity, Key, KeyView, KeyWriter, SecretKey, ShortKey, Tag, TagList};
use crate::local::{Attention, StoredEntry};
use crate::storage::Storage;

/// One call of a cached function, as the generated code builds it: key parts, then [`look`](Self::look) and
/// [`find`](Self::find), or [`unlooked`](Self::unlooked).
#[derive(Debug)]
pub struct Call<A: Answer> {
    parts: Parts,
    answer: A,
}

/// The parts of a call that are the same for all types.
#[derive(Debug)]
struct Parts {
    site: &'static CallSite,
    cache: CacheRef,
    key: KeyWriter,
    ttl: Option<Duration>,
    is_bypassed: bool,
}

/// What a look in the local tier found.
#[derive(Debug)]
pub enum Found<A: Answer> {
    /// A value.
    Value(A::Output),
    /// A value that is to be recomputed, or kept warm: by [`Rest::refresh_later`].
    Due(A::Output, Rest<A>),
    /// Nothing to answer with.
    Nothing(Rest<A>),
}

/// What is left of a call after the look: it gets tags, and is [`run`](Self::run).
#[derive(Debug)]
pub struct Rest<A: Answer> {
    left: Left,
    answer: PhantomData<A>,
}

/// The same, whatever its types.
#[derive(Debug)]
struct Left {
    parts: Parts,
    reason: MissReason,
    attention: Attention,
    tags: TagList,
}

/// A call that did not hit, as part of a batch.
pub(super) struct Opened {
    pub(super) identity: Identity,
    /// `None` where the arguments could not be made one.
    pub(super) key: Option<Key>,
    /// Whether the call goes past the cache, although it has a key.
    pub(super) is_bypassed: bool,
    pub(super) remember: Remembered,
    pub(super) tags: TagList,
    pub(super) reason: MissReason,
}

impl Cache {
    /// What a function remembers here. Without a shared tier `tier = shared` means the one tier there is.
    fn remember(&self, site: &'static CallSite, ttl: Option<Duration>) -> Remembered {
        let always = site.remember();
        let reads_through = always.reads_through && self.0.shared.is_some();
        match ttl {
            None if reads_through == always.reads_through => Remembered::Always(always),
            _ => Remember { ttl: ttl.unwrap_or(always.ttl), reads_through, ..*always }.into(),
        }
    }
}

impl<A: Answer> Call<A> {
    /// Begins a call. `path` is the type name of a closure inside the emitted function; `types` are the type
    /// arguments that count.
    #[inline(always)]
    pub fn new(
        site: &'static CallSite,
        cache: CacheRef,
        path: &'static str,
        types: &[&'static str],
        answer: A,
    ) -> Self {
        let key = KeyWriter::new(site.identity(path, types));
        Self { parts: Parts { site, cache, key, ttl: None, is_bypassed: false }, answer }
    }

    /// Where key parts go.
    #[inline(always)]
    pub fn key(&mut self) -> &mut KeyWriter {
        &mut self.parts.key
    }

    /// Where secret key parts go, and the key of their digests.
    pub fn secret(&mut self) -> (&mut KeyWriter, &SecretKey) {
        let Parts { cache, key, .. } = &mut self.parts;
        if !cache.0.has_common_secret {
            key.refuse_secrets();
        }
        (key, &cache.0.secret_key)
    }

    /// `when = EXPR`: false bypasses the cache for this call.
    #[inline]
    pub fn when(&mut self, is_cached: bool) {
        self.parts.is_bypassed |= !is_cached;
    }

    /// `ttl = EXPR` over the arguments; zero bypasses the cache for this call.
    #[inline]
    pub fn ttl(&mut self, ttl: Duration) {
        self.parts.ttl = Some(ttl);
        self.parts.is_bypassed |= ttl.is_zero();
    }

    /// Looks in the local tier for what nearly all hits find: the value of a short key about which nothing is to be
    /// considered. The key must be complete. After `None` comes [`find`](Self::find).
    #[inline(always)]
    pub fn look(&self) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        let Parts { site, cache, key, is_bypassed, .. } = &self.parts;
        // A cache that is disabled has nothing in it.
        if *is_bypassed || site.policy.reads_through {
            return None;
        }
        let ShortKey { identity, first, rest, last } = key.short()?;
        cache.0.look_up_short(identity, first, rest, last, self.answer)
    }

    /// Looks in the local tier after [`look`](Self::look) found nothing: for a key of any length, and considers all there is to
    /// consider.
    #[inline(never)]
    pub fn find(self) -> Found<A>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        let Self { parts, answer } = self;
        if parts.goes_past_the_local_tier() {
            return Found::Nothing(parts.unlooked().into());
        }
        let long;
        let key = match parts.key.view() {
            Some(key) => key,
            None => match parts.key.clone().finish() {
                Ok(key) => {
                    long = key;
                    long.view()
                }
                // It fails again when the call goes on.
                Err(_) => return Found::Nothing(parts.unlooked().into()),
            },
        };
        if !parts.was_looked_for()
            && let Some(found) = parts.cache.0.look_up(&key, answer)
        {
            parts.note_hit();
            return Found::Value(found);
        }
        let (entry, attention) = match parts.look_closer(&key, TypeId::of::<A::Value>()) {
            Ok(found) => found,
            Err(reason) => return Found::Nothing(Left { reason, ..parts.unlooked() }.into()),
        };
        match (entry.value().cloned().map(|value| answer.restore(value)), attention) {
            (Some(found), Attention::Nothing) => Found::Value(found),
            (Some(found), attention) => Found::Due(found, Left { attention, ..parts.unlooked() }.into()),
            (None, _) => Found::Nothing(parts.unlooked().into()),
        }
    }

    /// The call as it goes on without a look.
    pub fn unlooked(self) -> Rest<A> {
        self.parts.unlooked().into()
    }
}

impl Parts {
    fn goes_past_the_local_tier(&self) -> bool {
        self.goes_past_the_cache() || self.site.policy.reads_through && self.cache.0.shared.is_some()
    }

    /// Whether [`Call::look`] has looked for it.
    fn was_looked_for(&self) -> bool {
        !self.site.policy.reads_through && self.key.short().is_some()
    }

    /// Looks for a value of the type `of` about which something is to be considered; counts what it finds. The value of the entry is of
    /// that type.
    #[cold]
    fn look_closer(
        &self,
        key: &KeyView<'_>,
        of: TypeId,
    ) -> Result<(Arc<StoredEntry>, Attention), MissReason> {
        match self.cache.look_closer(key, of, self.site.policy.is_refreshing()) {
            Closer::Fresh(entry, attention) => {
                self.note_hit();
                Ok((entry, attention))
            }
            Closer::Resting(entry) => {
                if let Ok(key) = self.key.clone().finish() {
                    self.cache.count(&entry.function, &key, Happening::Stale);
                }
                if trace::is_watched() {
                    self.note(Answered::Stale);
                }
                Ok((entry, Attention::Nothing))
            }
            Closer::Miss(reason) => Err(reason),
        }
    }

    fn unlooked(self) -> Left {
        Left { parts: self, reason: MissReason::Absent, attention: Attention::Nothing, tags: TagList::None }
    }

    fn note_hit(&self) {
        if trace::is_watched() {
            self.note(Answered::LocalHit);
        }
    }

    /// Notes what answered this call, for whoever traces it.
    #[cold]
    #[inline(never)]
    fn note(&self, answered: Answered) {
        if !trace::is_wanted(&self.cache) {
            return;
        }
        let function = self.cache.0.functions.of(self.key.identity());
        trace::note(&self.cache, self.key.clone().finish().ok().as_ref(), &function.title(), answered);
    }

    /// What the function remembers here.
    fn remember(&self) -> Remembered {
        self.cache.remember(self.site, self.ttl)
    }

    fn goes_past_the_cache(&self) -> bool {
        self.is_bypassed || self.cache.0.is_disabled
    }

    /// The key, unless the call goes past the cache. A key that cannot be made is such a case: a broken key never
    /// breaks the function.
    fn key_unless_bypassed(&self) -> Option<Key> {
        if self.goes_past_the_cache() {
            return None;
        }
        self.key.clone().finish().ok()
    }

    async fn bypass(self, body: Body) -> Reply {
        self.cache.0.functions.of(self.key.identity()).counters.count(Happening::Bypassed);
        body.begin(&computing::apart(&self.cache)).await;
        if trace::is_watched() {
            self.note(Answered::Bypassed);
        }
        Reply::Computed
    }
}

impl<A: Answer> From<Left> for Rest<A> {
    fn from(left: Left) -> Self {
        Self { left, answer: PhantomData }
    }
}

impl<A: Answer> Rest<A> {
    /// `tags = [..]`; after the look, so that a hit formats no text.
    pub fn tags<const N: usize>(&mut self, tags: [Tag; N]) {
        self.left.tags = tags.into();
    }

    /// Everything after the local tier: join or lead the flight, compute, fill.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation, if this call leads; a follower takes over.
    pub fn run<S, P, B, F>(self, means: Means<A, S, P>, body: B) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let (means, store_if) = means.parted();
        self.run_in(means, store_if, None, body)
    }

    /// The same for a function that can be computed in the background.
    pub fn run_with<S, P, M, G, B, F>(
        self,
        means: Means<A, S, P>,
        background: M,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A: 'static,
        A::Output: Sendable,
        A::Value: Clone + Send + Sync + 'static,
        A::Error: 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        M: FnMut() -> G + Send + 'static,
        G: Future<Output = Recomputed<A::Output>> + Send + 'static,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let (means, store_if) = means.parted();
        self.run_in(means, store_if, Some(Background::new(means, background)), body)
    }

    #[cold]
    #[inline(never)]
    fn run_in<S, P, B, F>(
        self,
        means: Means<A, S, ()>,
        store_if: P,
        background: Option<Background>,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let terms = means.terms();
        let engine = |body| self.left.answered(terms, background, body);
        Pending::new(Beside::new(Calling::new(means, store_if, body), engine))
    }

    /// Has the value that was found recomputed, or kept warm, in the background.
    #[cold]
    #[inline(never)]
    pub fn refresh_later<S, P, M, G>(self, means: Means<A, S, P>, background: M)
    where
        A: 'static,
        A::Output: Sendable,
        A::Value: Clone + Send + Sync + 'static,
        A::Error: 'static,
        S: Storage<A::Value>,
        M: FnMut() -> G + Send + 'static,
        G: Future<Output = Recomputed<A::Output>> + Send + 'static,
    {
        let (means, _) = means.parted();
        self.left.refresh_later(means.terms(), Background::new(means, background));
    }

    /// `f_refresh`: computes now, whatever is stored, and stores.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation; what was stored stays.
    pub fn refresh<S, P, B, F>(
        self,
        means: Means<A, S, P>,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let (means, store_if) = means.parted();
        let terms = means.terms();
        let engine = |body| self.left.refreshed(terms, body);
        Pending::new(Beside::new(Calling::new(means, store_if, body), engine))
    }

    /// What a batch takes over of a call that did not hit.
    pub(super) fn opened(self) -> Opened {
        let Left { parts, tags, reason, .. } = self.left;
        let remember = parts.remember();
        Opened {
            identity: parts.key.identity(),
            is_bypassed: parts.goes_past_the_cache(),
            key: parts.key.finish().ok(),
            remember,
            tags,
            reason,
        }
    }

    /// `f_entry`: the typed handle.
    pub fn entry<S, P>(self, means: Means<A, S, P>) -> Entry<A::Output>
    where
        A: 'static,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        let Left { parts, tags, .. } = self.left;
        let remember = parts.remember();
        Entry::new(Cache::clone(&parts.cache), parts.key.finish(), remember, tags, means)
    }
}

impl Left {
    /// Answers the call.
    // Planned before the future: what that takes over and moves on it keeps twice.
    fn answered(
        self,
        terms: Terms,
        mut background: Option<Background>,
        body: Body,
    ) -> Engine<'static, Reply> {
        let reason = self.reason;
        let Some(key) = self.parts.key_unless_bypassed() else { return Box::pin(self.parts.bypass(body)) };
        let (cache, plan) = self.planned(key, terms);
        Box::pin(async move {
            let (reply, due) = run(&cache, reason, &plan, &mut background, body).await;
            if let Some(background) = background
                && plan.remember.refresh.is_some()
            {
                see_to(&cache, due, plan, background);
            }
            reply
        })
    }

    /// Computes whatever is stored.
    fn refreshed(self, terms: Terms, body: Body) -> Engine<'static, Reply> {
        let Some(key) = self.parts.key_unless_bypassed() else { return Box::pin(self.parts.bypass(body)) };
        let (cache, plan) = self.planned(key, terms);
        Box::pin(async move {
            let stop = body.stop();
            let refreshing = fetch::refresh(&cache, &plan, body);
            let Some(limit) = plan.remember.hard_timeout.filter(|_| plan.terms.gives_up) else {
                return refreshing.await;
            };
            match within_or_stop(&cache.0.clock, limit, refreshing, stop).await {
                Some(reply) => reply,
                None => Reply::GaveUp(timed_out(&cache.0.functions.of(plan.key.identity()), limit)),
            }
        })
    }

    fn refresh_later(self, terms: Terms, background: Background) {
        let attention = self.attention;
        let Some(key) = self.parts.key_unless_bypassed() else { return };
        let (cache, plan) = self.planned(key, terms);
        let Some(entry) = cache.0.entry_of(&plan.key, plan.of()) else { return };
        let Some(upkeep) = entry.upkeep() else { return };
        let refresher = background.refresher(&cache, plan);
        match attention {
            Attention::Nothing => {}
            Attention::Schedule => cache.schedule(&entry, refresher),
            Attention::Refresh => {
                let rank = Rank { priority: upkeep.refresh().priority, gain: upkeep.gain() };
                cache.refresh_soon(rank, upkeep.version(), refresher);
            }
        }
    }

    /// What the call is about.
    fn planned(self, key: Key, terms: Terms) -> (CacheRef, Plan) {
        let Self { parts: Parts { site, cache, ttl, .. }, tags, .. } = self;
        let remember = cache.remember(site, ttl);
        (cache, Plan { key, remember, tags, terms })
    }
}
