//! One call of a cached function, from the macro's side.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::fetch::{self, Plan};
use super::handle::Entry;
use super::{Cache, CacheRef};
use crate::answer::Answer;
use crate::call_site::CallSite;
use crate::entry::{MissReason, Remember};
use crate::event::stats::Happening;
use crate::key::{Key, KeyWriter, SecretKey, Tag};
use crate::storage::{Sharing, Storage};

/// One call of a cached function, as the generated code builds it: key parts, then [`find`](Self::find), and
/// on a miss tags and [`run`](Self::run).
#[derive(Debug)]
pub struct Call<A: Answer> {
    site: &'static CallSite,
    cache: CacheRef,
    key: KeyWriter,
    ttl: Option<Duration>,
    is_bypassed: bool,
    reason: MissReason,
    /// Boxed: on the hit path there are none, and one word is cheaper to set and to drop than three.
    tags: Option<Box<[Tag]>>,
    answer: A,
}

/// What is left of a call that did not hit: on the heap and out of line, so that the future of a call that hits
/// is no larger, and its code no longer, than it must be.
#[derive(Debug)]
pub struct Pending<F>(Pin<Box<F>>);

impl<F: Future> Future for Pending<F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

impl Cache {
    /// What a function remembers here. Without a shared tier `tier = shared` means the one tier there is.
    fn remember(&self, site: &CallSite, ttl: Option<Duration>) -> Remember {
        let remember = site.policy.remember(ttl);
        Remember { reads_through: remember.reads_through && self.0.shared.is_some(), ..remember }
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
        Self {
            site,
            key: KeyWriter::new(site.identity(path, types)),
            ttl: None,
            is_bypassed: cache.0.is_disabled,
            reason: MissReason::Absent,
            tags: None,
            answer,
            cache,
        }
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

    /// Looks in the local tier; the key must be complete.
    // Out of line: the shorter the code of the future, the likelier it is inlined where it is awaited.
    #[inline(never)]
    pub fn find(&mut self) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        if self.is_bypassed || self.site.policy.reads_through && self.cache.0.shared.is_some() {
            return None;
        }
        let answer = self.answer;
        match self.key.view() {
            Some(key) => self.cache.look_up(&key, &mut self.reason, |value| answer.restore(value)),
            None => self.find_long(),
        }
    }

    /// Looks for a key that is assembled on the heap.
    #[cold]
    #[inline(never)]
    fn find_long(&mut self) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        let answer = self.answer;
        // `run` finds the failure again.
        let key = self.key.clone().finish().ok()?;
        self.cache.look_up(&key.view(), &mut self.reason, |value| answer.restore(value))
    }

    /// `tags = [..]`; after `find` found nothing, so that a hit formats no text.
    pub fn tags<const N: usize>(&mut self, tags: [Tag; N]) {
        self.tags = Some(Box::new(tags));
    }

    /// Everything after the local tier: join or lead the flight, compute, fill.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation, if this call leads; a follower takes over.
    pub fn run<S, B, F>(
        self,
        storage: S,
        sharing: Sharing<A::Error>,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.run_if(storage, sharing, |_: &A::Value| true, body)
    }

    /// The same, storing only what `store_if` accepts.
    #[cold]
    #[inline(never)]
    pub fn run_if<S, P, B, F>(
        self,
        storage: S,
        sharing: Sharing<A::Error>,
        store_if: P,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        Pending(Box::pin(async move {
            let Some(key) = self.key_unless_bypassed() else {
                return self.bypass(body).await;
            };
            let Self { site, cache, ttl, reason, tags, answer, .. } = self;
            let remember = cache.remember(site, ttl);
            let plan = Plan { key, remember, answer, storage, sharing, store_if };
            fetch::fetch(&cache, reason, plan, &tags.unwrap_or_default(), body).await
        }))
    }

    /// `f_refresh`: computes now, whatever is stored, and stores.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation; what was stored stays.
    pub fn refresh<S, B, F>(
        self,
        storage: S,
        sharing: Sharing<A::Error>,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.refresh_if(storage, sharing, |_: &A::Value| true, body)
    }

    /// The same, storing only what `store_if` accepts.
    pub fn refresh_if<S, P, B, F>(
        self,
        storage: S,
        sharing: Sharing<A::Error>,
        store_if: P,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        Pending(Box::pin(async move {
            let Some(key) = self.key_unless_bypassed() else {
                return self.bypass(body).await;
            };
            let Self { site, cache, ttl, tags, answer, .. } = self;
            let remember = cache.remember(site, ttl);
            let plan = Plan { key, remember, answer, storage, sharing, store_if };
            fetch::refresh(&cache, plan, &tags.unwrap_or_default(), body).await
        }))
    }

    /// The key, unless the call goes past the cache. A key that cannot be made is such a case: a broken key never
    /// breaks the function.
    fn key_unless_bypassed(&self) -> Option<Key> {
        if self.is_bypassed {
            return None;
        }
        self.key.clone().finish().ok()
    }

    async fn bypass<B, F>(&self, body: B) -> A::Output
    where
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.cache.0.functions.of(self.key.identity()).counters.count(Happening::Bypassed);
        body().await
    }

    /// `f_entry`: the typed handle.
    pub fn entry<S>(self, storage: S) -> Entry<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        let remember = self.cache.remember(self.site, self.ttl);
        Entry::new(
            Cache::clone(&self.cache),
            self.key.finish(),
            remember,
            self.tags.unwrap_or_default(),
            self.answer,
            storage,
        )
    }
}
