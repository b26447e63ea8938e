//! One call of a cached function, from the macro's side.

use std::time::Duration;

use super::background::{AnyBackground, Background};
use super::body::{Beside, BodyOf};
use super::boxed::Pending;
use super::fetch::{self, Plan};
use super::handle::Entry;
use super::limit::within_or_stop;
use super::look_up::Closer;
use super::means::{GiveUp, Means, Recomputed};
use super::queue::Rank;
use super::run::{run, see_to, timed_out};
use super::trace::{self, Answered};
use super::{Cache, CacheRef, computing};
use crate::answer::Answer;
use crate::call_site::CallSite;
use crate::entry::{MissReason, Remember, Remembered};
use crate::event::stats::Happening;
use crate::key::{Identity, Key, KeyWriter, SecretKey, ShortKey, Tag, TagList};
use crate::local::Attention;
use crate::storage::Storage;

/// One call of a cached function, as the generated code builds it: key parts, then [`look`](Self::look) and
/// [`find`](Self::find), or [`unlooked`](Self::unlooked).
#[derive(Debug)]
pub struct Call<A: Answer> {
    site: &'static CallSite,
    cache: CacheRef,
    key: KeyWriter,
    ttl: Option<Duration>,
    is_bypassed: bool,
    answer: A,
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
    call: Call<A>,
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
        Self { site, cache, key, ttl: None, is_bypassed: false, answer }
    }

    /// Where key parts go.
    #[inline(always)]
    pub fn key(&mut self) -> &mut KeyWriter {
        &mut self.key
    }

    /// Where secret key parts go, and the key of their digests.
    pub fn secret(&mut self) -> (&mut KeyWriter, &SecretKey) {
        if !self.cache.0.has_common_secret {
            self.key.refuse_secrets();
        }
        (&mut self.key, &self.cache.0.secret_key)
    }

    /// `when = EXPR`: false bypasses the cache for this call.
    #[inline]
    pub fn when(&mut self, is_cached: bool) {
        self.is_bypassed |= !is_cached;
    }

    /// `ttl = EXPR` over the arguments; zero bypasses the cache for this call.
    #[inline]
    pub fn ttl(&mut self, ttl: Duration) {
        self.ttl = Some(ttl);
        self.is_bypassed |= ttl.is_zero();
    }

    /// Looks in the local tier for what nearly all hits find: the value of a short key about which nothing is to be
    /// considered. The key must be complete. After `None` comes [`find`](Self::find).
    #[inline(always)]
    pub fn look(&self) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        // A cache that is disabled has nothing in it.
        if self.is_bypassed || self.site.policy.reads_through {
            return None;
        }
        let ShortKey { identity, first, rest, last } = self.key.short()?;
        self.cache.0.look_up_short(identity, first, rest, last, self.answer)
    }

    /// Looks in the local tier after [`look`](Self::look) found nothing: for a key of any length, and considers all there is to
    /// consider.
    #[inline(never)]
    pub fn find(self) -> Found<A>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        if self.goes_past_the_cache() || self.site.policy.reads_through && self.cache.0.shared.is_some() {
            return Found::Nothing(self.unlooked());
        }
        let long;
        let key = match self.key.view() {
            Some(key) => key,
            None => match self.key.clone().finish() {
                Ok(key) => {
                    long = key;
                    long.view()
                }
                // `run` finds the failure again.
                Err(_) => return Found::Nothing(self.unlooked()),
            },
        };
        let was_looked_for = !self.site.policy.reads_through && self.key.short().is_some();
        if !was_looked_for && let Some(found) = self.cache.0.look_up(&key, self.answer) {
            if trace::is_watched() {
                self.note(Answered::LocalHit);
            }
            return Found::Value(found);
        }
        match self.cache.look_closer(&key, self.site.policy.is_refreshing()) {
            Closer::Fresh(value, attention) => {
                if trace::is_watched() {
                    self.note(Answered::LocalHit);
                }
                let found = self.answer.restore(value);
                match attention {
                    Attention::Nothing => Found::Value(found),
                    attention => Found::Due(found, Rest { attention, ..self.unlooked() }),
                }
            }
            Closer::Resting(value, function) => {
                if let Ok(key) = self.key.clone().finish() {
                    self.cache.count(&function, &key, Happening::Stale);
                }
                if trace::is_watched() {
                    self.note(Answered::Stale);
                }
                Found::Value(self.answer.restore(value))
            }
            Closer::Miss(reason) => Found::Nothing(Rest { reason, ..self.unlooked() }),
        }
    }

    /// The call as it goes on without a look.
    pub fn unlooked(self) -> Rest<A> {
        Rest { call: self, reason: MissReason::Absent, attention: Attention::Nothing, tags: TagList::None }
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

    async fn bypass(&self, body: BodyOf<A>) -> A::Output {
        self.cache.0.functions.of(self.key.identity()).counters.count(Happening::Bypassed);
        let output = body.begin(&computing::apart(&self.cache)).await.output;
        if trace::is_watched() {
            self.note(Answered::Bypassed);
        }
        output
    }
}

impl<A: Answer> Rest<A> {
    /// `tags = [..]`; after the look, so that a hit formats no text.
    pub fn tags<const N: usize>(&mut self, tags: [Tag; N]) {
        self.tags = tags.into();
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
        self.run_in(means, None, body)
    }

    /// The same for a function that can be computed in the background.
    pub fn run_with<S, P, G, B, F>(
        self,
        means: Means<A, S, P>,
        background: G,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        G: Background<A, S> + Send + 'static,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.run_in(means, Some(Box::new(background)), body)
    }

    #[cold]
    #[inline(never)]
    fn run_in<S, P, B, F>(
        self,
        means: Means<A, S, P>,
        background: Option<AnyBackground<A, S>>,
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
        let (answer, reason) = (means.answer, self.reason);
        // Before the future: what it takes over and moves on it keeps twice.
        let planned = self.planned(means);
        beside(answer, store_if, body, move |body| answered(planned, reason, background, body))
    }

    /// What the call is about; the call itself, if it goes past the cache.
    fn planned<S>(self, means: Means<A, S, ()>) -> Planned<A, S> {
        match self.call.key_unless_bypassed() {
            Some(key) => Ok(self.plan(key, means)),
            None => Err(self.call),
        }
    }

    /// Has the value that was found recomputed, or kept warm, in the background.
    #[cold]
    #[inline(never)]
    pub fn refresh_later<S, P, G>(self, means: Means<A, S, P>, background: G)
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        G: Background<A, S>,
    {
        let Some(key) = self.call.key_unless_bypassed() else { return };
        let attention = self.attention;
        let (cache, plan, ..) = self.plan(key, means);
        let Some(entry) = cache.0.entry_of::<A::Value>(&plan.key) else { return };
        let Some(upkeep) = entry.upkeep() else { return };
        let refresher = Box::new(background).refresher(&cache, plan);
        match attention {
            Attention::Nothing => {}
            Attention::Schedule => cache.schedule(&entry, refresher),
            Attention::Refresh => {
                let rank = Rank { priority: upkeep.refresh().priority, gain: upkeep.gain() };
                cache.refresh_soon(rank, upkeep.version(), refresher);
            }
        }
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
        let answer = means.answer;
        let planned = self.planned(means);
        beside(answer, store_if, body, move |body| refreshed(planned, body))
    }

    /// What the call is about, and what `timeout(hard = ..)` says.
    fn plan<S, P>(self, key: Key, means: Means<A, S, P>) -> Made<A, S> {
        let Self { call: Call { site, cache, ttl, .. }, tags, .. } = self;
        let Means { answer, storage, sharing, decides, give_up, .. } = means;
        let remember = cache.remember(site, ttl);
        let plan = Plan { key, remember, tags, answer, storage, sharing, decides };
        (cache, plan, give_up)
    }

    /// What a batch takes over of a call that did not hit.
    pub(super) fn opened(self) -> Opened {
        let remember = self.call.remember();
        Opened {
            identity: self.call.key.identity(),
            is_bypassed: self.call.goes_past_the_cache(),
            key: self.call.key.finish().ok(),
            remember,
            tags: self.tags,
            reason: self.reason,
        }
    }

    /// `f_entry`: the typed handle.
    pub fn entry<S, P>(self, means: Means<A, S, P>) -> Entry<A::Output>
    where
        A: 'static,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        let remember = self.call.remember();
        Entry::new(Cache::clone(&self.call.cache), self.call.key.finish(), remember, self.tags, means)
    }
}

/// A call that is about an entry, or one that goes past the cache.
type Planned<A, S> = Result<Made<A, S>, Call<A>>;

/// The cache, what the call is about, and what it answers when it gives up.
type Made<A, S> = (CacheRef, Plan<A, S>, GiveUp<<A as Answer>::Output>);

/// Answers a call, whatever body it has.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice: as they came, and as locals")]
fn answered<A, S>(
    planned: Planned<A, S>,
    reason: MissReason,
    mut background: Option<AnyBackground<A, S>>,
    body: BodyOf<A>,
) -> impl Future<Output = A::Output>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    async move {
        let (cache, plan, give_up) = match planned {
            Ok((ref cache, ref plan, give_up)) => (cache, plan, give_up),
            Err(ref bypassed) => return bypassed.bypass(body).await,
        };
        let (output, due) = run(cache, reason, plan, give_up, &mut background, body).await;
        if let (Ok((cache, plan, _)), Some(background)) = (planned, background)
            && plan.remember.refresh.is_some()
        {
            see_to(&cache, due, plan, background);
        }
        output
    }
}

/// Computes whatever is stored, whatever body the call has.
async fn refreshed<A, S>(planned: Planned<A, S>, body: BodyOf<A>) -> A::Output
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    let (cache, plan, give_up) = match planned {
        Ok(planned) => planned,
        Err(bypassed) => return bypassed.bypass(body).await,
    };
    let stop = body.stop();
    let refreshing = fetch::refresh(&cache, &plan, body);
    let Some((limit, give_up)) = plan.remember.hard_timeout.zip(give_up) else {
        return refreshing.await;
    };
    match within_or_stop(&cache.0.clock, limit, refreshing, stop).await {
        Some(output) => output,
        None => give_up(timed_out(&cache.0.functions.of(plan.key.identity()), limit)),
    }
}

/// The body of a call beside the engine, which is told what `store_if` says of the answer.
fn beside<A, E, P, B, F>(
    answer: A,
    store_if: P,
    body: B,
    engine: impl FnOnce(BodyOf<A>) -> E,
) -> Pending<impl Future<Output = E::Output>>
where
    A: Answer,
    E: Future,
    P: FnOnce(&A::Value) -> bool,
    B: FnOnce() -> F,
    F: Future<Output = A::Output>,
{
    let judge = move |output| Recomputed::judged(answer, output, store_if);
    Pending::new(Beside::new(engine, body, judge))
}
