//! One call of a cached function, from the macro's side.

use std::time::Duration;

use super::fetch::{self, Plan};
use super::handle::Entry;
use super::{Cache, CacheRef};
use crate::answer::Answer;
use crate::call_site::CallSite;
use crate::entry::MissReason;
use crate::event::stats::{Happening, sample};
use crate::key::{Identity, Key, KeyWriter, SecretKey, Tag};
use crate::storage::{Sharing, Storage};

/// One call of a cached function, as the generated code builds it: key parts, then [`find`](Self::find), and
/// on a miss tags and [`run`](Self::run).
#[derive(Debug)]
pub struct Call<A: Answer> {
    site: &'static CallSite,
    cache: CacheRef,
    identity: Identity,
    key: KeyState,
    ttl: Option<Duration>,
    is_bypassed: bool,
    reason: MissReason,
    tags: Vec<Tag>,
    answer: A,
}

#[derive(Debug)]
enum KeyState {
    Growing(KeyWriter),
    Complete(Key),
    /// An argument's `Serialize` failed.
    Failed(crate::Error),
}

impl<A: Answer> Call<A> {
    /// Begins a call. `path` is the type name of a closure inside the emitted function; `types` are the type
    /// arguments that count.
    #[inline]
    pub fn new(
        site: &'static CallSite,
        cache: CacheRef,
        path: &'static str,
        types: &[&'static str],
        answer: A,
    ) -> Self {
        let identity = site.identity(path, types);
        Self {
            site,
            identity,
            key: KeyState::Growing(KeyWriter::new(identity)),
            ttl: None,
            is_bypassed: cache.0.is_disabled,
            reason: MissReason::Absent,
            tags: Vec::new(),
            answer,
            cache,
        }
    }

    /// Where key parts go.
    #[inline]
    pub fn key(&mut self) -> &mut KeyWriter {
        self.secret().0
    }

    /// Where secret key parts go, and the key of their digests.
    #[inline]
    pub fn secret(&mut self) -> (&mut KeyWriter, &SecretKey) {
        match &mut self.key {
            KeyState::Growing(writer) => (writer, &self.cache.0.secret_key),
            // The generated code writes no part after it has looked.
            KeyState::Complete(_) | KeyState::Failed(_) => unreachable!("a key part after the key was complete"),
        }
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

    /// Completes the key and looks in the local tier.
    #[inline]
    pub fn find(&mut self) -> Option<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
    {
        if self.is_bypassed {
            return None;
        }
        let timer = sample(&self.cache.0.clock);
        let key = self.complete()?;
        match self.cache.look_up(&key, timer) {
            Ok(value) => Some(self.answer.restore(value)),
            Err(reason) => {
                self.reason = reason;
                self.key = KeyState::Complete(key);
                None
            }
        }
    }

    /// Takes the key out, complete. A failure is kept for [`Entry`], and bypasses the cache for a call: a
    /// broken key never breaks the function.
    #[inline]
    fn complete(&mut self) -> Option<Key> {
        let unfinished = KeyState::Growing(KeyWriter::new(self.identity));
        match std::mem::replace(&mut self.key, unfinished) {
            KeyState::Growing(writer) => match writer.finish() {
                Ok(key) => Some(key),
                Err(error) => {
                    self.key = KeyState::Failed(error);
                    None
                }
            },
            KeyState::Complete(key) => Some(key),
            failed @ KeyState::Failed(_) => {
                self.key = failed;
                None
            }
        }
    }

    /// `tags = [..]`; after `find` found nothing, so that a hit formats no text.
    pub fn tags<const N: usize>(&mut self, tags: [Tag; N]) {
        self.tags.extend(tags);
    }

    /// Everything after the local tier: join or lead the flight, compute, fill.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation, if this call leads; a follower takes over.
    pub async fn run<S, B, F>(self, storage: S, sharing: Sharing<A::Error>, body: B) -> A::Output
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.run_if(storage, sharing, |_: &A::Value| true, body).await
    }

    /// The same, storing only what `store_if` accepts.
    pub async fn run_if<S, P, B, F>(
        mut self,
        storage: S,
        sharing: Sharing<A::Error>,
        store_if: P,
        body: B,
    ) -> A::Output
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let Some(key) = self.key_unless_bypassed() else {
            return self.bypass(body).await;
        };
        let (cache, reason) = (&*self.cache, self.reason);
        let plan = Plan {
            key,
            remember: self.site.policy.remember(self.ttl),
            tags: self.tags,
            answer: self.answer,
            storage,
            sharing,
            store_if,
        };
        // On the heap, so that the future of a call that hits is no larger than it must be.
        Box::pin(fetch::fetch(cache, reason, plan, body)).await
    }

    /// `f_refresh`: computes now, whatever is stored, and stores.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation; what was stored stays.
    pub async fn refresh<S, B, F>(self, storage: S, sharing: Sharing<A::Error>, body: B) -> A::Output
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.refresh_if(storage, sharing, |_: &A::Value| true, body).await
    }

    /// The same, storing only what `store_if` accepts.
    pub async fn refresh_if<S, P, B, F>(
        mut self,
        storage: S,
        sharing: Sharing<A::Error>,
        store_if: P,
        body: B,
    ) -> A::Output
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let Some(key) = self.key_unless_bypassed() else {
            return self.bypass(body).await;
        };
        let remember = self.site.policy.remember(self.ttl);
        let (cache, tags, answer) = (&*self.cache, self.tags, self.answer);
        let plan = Plan { key, remember, tags, answer, storage, sharing, store_if };
        Box::pin(fetch::refresh(cache, plan, body)).await
    }

    fn key_unless_bypassed(&mut self) -> Option<Key> {
        if self.is_bypassed { None } else { self.complete() }
    }

    async fn bypass<B, F>(&self, body: B) -> A::Output
    where
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.cache.0.functions.of(self.identity).counters.count(Happening::Bypassed);
        body().await
    }

    /// `f_entry`: the typed handle.
    pub fn entry<S>(mut self, storage: S) -> Entry<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        let key = match self.complete() {
            Some(key) => Ok(key),
            None => match self.key {
                KeyState::Failed(error) => Err(error),
                KeyState::Growing(_) | KeyState::Complete(_) => unreachable!("a key is complete or failed"),
            },
        };
        let remember = self.site.policy.remember(self.ttl);
        Entry::new(Cache::clone(&self.cache), key, remember, self.tags, self.answer, storage)
    }
}
