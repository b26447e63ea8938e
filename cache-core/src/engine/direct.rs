//! Caching without the macro.

use std::any::TypeId;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Cache;
use super::body::{Beside, Body, Engine};
use super::boxed::Pending;
use super::calling::{Calling, Reply, Terms};
use super::computing::{self, Run};
use super::fetch::{self, Plan};
use super::handle::Entry;
use super::look_up::Closer;
use super::means::Means;
use super::run;
use super::trace::{self, Answered};
use crate::answer::{Answer, Fallible, Plain};
use crate::entry::{MissReason, Remember};
use crate::event::stats::Happening;
use crate::key::{Key, Tag};
use crate::storage::Encoded;

/// Options of one direct call.
///
/// ```
/// use std::time::Duration;
/// use cache_core::Options;
///
/// let options = Options::ttl(Duration::from_secs(3600)).tags(["menu"]).stagger(0.1);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    remember: Remember,
    tags: Vec<Tag>,
}

impl Options {
    /// Keeps values for `ttl`. Zero bypasses the cache.
    pub fn ttl(ttl: Duration) -> Self {
        Self { remember: Remember { ttl, ..Remember::default() }, tags: Vec::new() }
    }

    /// Keeps values in the local tier for no longer than `ttl`.
    #[must_use]
    pub fn local_ttl(mut self, ttl: Duration) -> Self {
        self.remember.local_ttl = Some(ttl);
        self
    }

    /// Shortens the ttl by a random share of up to `share` at each fill. 0 to 1; what is outside is taken as
    /// the nearer end. Default: 0.
    #[must_use]
    pub fn stagger(mut self, share: f64) -> Self {
        self.remember.stagger = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Lets a stale value stand in for so long when computing fails, as `grace` of the attribute.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.remember.grace = grace;
        self
    }

    pub(super) fn remember(&self) -> &Remember {
        &self.remember
    }

    pub(super) fn tag_list(&self) -> &[Tag] {
        &self.tags
    }

    /// Adds tags.
    #[must_use]
    pub fn tags<T: Into<Tag>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }
}

/// What the direct verbs can store: the bounds of every tier.
pub trait Value: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}

impl<V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Value for V {}

impl Cache {
    /// Returns what is stored under `key`, or computes and stores it; of many at once one computes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_core::{Cache, Options};
    /// use cache_core::key::Key;
    ///
    /// # async fn example(cache: &Cache) -> Result<(), cache_core::Error> {
    /// let key = Key::of("menu", 42)?;
    /// let options = Options::ttl(Duration::from_secs(3600)).tags(["menu"]);
    /// let menu: String = cache.get_or_compute(&key, &options, || async { "soup".to_owned() }).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation, if this call leads; another caller that waits takes over.
    pub async fn get_or_compute<V, B, F>(&self, key: &Key, options: &Options, compute: B) -> V
    where
        V: Value,
        B: FnOnce() -> F,
        F: Future<Output = V>,
    {
        self.answer(Plain::new(), key, options, compute).await
    }

    /// The same for a computation that can fail: an `Err` passes through and is not stored. Callers that
    /// waited for a computation that failed compute for themselves.
    ///
    /// # Errors
    ///
    /// Those of `compute` alone: a broken cache never breaks the computation.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub async fn try_get_or_compute<V, E, B, F>(
        &self,
        key: &Key,
        options: &Options,
        compute: B,
    ) -> Result<V, E>
    where
        V: Value,
        B: FnOnce() -> F,
        F: Future<Output = Result<V, E>>,
    {
        self.answer(Fallible::new(), key, options, compute).await
    }

    async fn answer<A, B, F>(&self, answer: A, key: &Key, options: &Options, compute: B) -> A::Output
    where
        A: Answer,
        A::Value: Value,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        let note = |answered| self.note_direct(key, answered);
        if self.0.is_disabled || options.remember.ttl.is_zero() {
            self.0.functions.of(key.identity()).counters.count(Happening::Bypassed);
            let running = computing::apart(self);
            let output = Run::new(running, || Some(compute())).await;
            note(Answered::Bypassed);
            return output;
        }
        if let Some(found) = self.0.look_up(&key.view(), answer) {
            note(Answered::LocalHit);
            return found;
        }
        let (means, store_if) = Means::new(answer, Encoded).parted();
        let reason = match self.look_closer(&key.view(), TypeId::of::<A::Value>(), false) {
            Closer::Fresh(entry, _) => {
                note(Answered::LocalHit);
                return means.answer(Reply::Entry(entry), None);
            }
            Closer::Resting(entry) => {
                self.count(&entry.function, key, Happening::Stale);
                note(Answered::Stale);
                return means.answer(Reply::Entry(entry), None);
            }
            Closer::Miss(reason) => reason,
        };
        let terms = means.terms();
        let engine = |body| self.answering(key, options, terms, reason, body);
        Pending::new(Beside::new(Calling::new(means, store_if, compute), engine)).await
    }

    /// The engine for a call that the local tier does not answer.
    fn answering(
        &self,
        key: &Key,
        options: &Options,
        terms: Terms,
        reason: MissReason,
        body: Body,
    ) -> Engine<'static, Reply> {
        let (cache, key, tags) = (self.clone(), key.clone(), options.tags.as_slice().into());
        let plan = Plan { key, remember: options.remember.into(), tags, terms };
        Box::pin(async move { run::run(&cache, reason, &plan, &mut None, body).await.0 })
    }

    /// Returns what is stored under `key`, if it is fresh and a `V`. Counts as a call. `options` are those that it was
    /// stored with: an entry is usable as long as none of its tags was invalidated, and the tags are not stored in it.
    ///
    /// # Errors
    ///
    /// None in process. With a shared tier `Unreachable`, when the local tier has nothing and the shared one does not
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn get<V: Value>(&self, key: &Key, options: &Options) -> Result<Option<V>, crate::Error> {
        if self.0.is_disabled {
            self.0.functions.of(key.identity()).counters.count(Happening::Bypassed);
            self.note_direct(key, Answered::Bypassed);
            return Ok(None);
        }
        if let Some(found) = self.0.look_up(&key.view(), Plain::<V>::SELF) {
            self.note_direct(key, Answered::LocalHit);
            return Ok(Some(found));
        }
        let means = Means::new(Plain::<V>::SELF, Encoded).parted().0;
        let reason = match self.look_closer(&key.view(), TypeId::of::<V>(), false) {
            Closer::Fresh(entry, _) => {
                self.note_direct(key, Answered::LocalHit);
                return Ok(Some(means.answer(Reply::Entry(entry), None)));
            }
            // It only stands in for a computation.
            Closer::Resting(..) => MissReason::Expired,
            Closer::Miss(reason) => reason,
        };
        let kind = means.terms().kind;
        let found = fetch::find(self, key, &options.remember, &options.tags, kind, reason).await;
        let is_found = matches!(found, Ok(Some(_)));
        self.note_direct(key, if is_found { Answered::SharedHit } else { Answered::Nothing });
        Ok(found?.map(|reply| means.answer(reply, None)))
    }

    /// Notes what answered a call without the attribute, for whoever traces it.
    fn note_direct(&self, key: &Key, answered: Answered) {
        if trace::is_watched() && trace::is_wanted(self) {
            trace::note(self, Some(key), &self.0.functions.of(key.identity()).title(), answered);
        }
    }

    /// Stores `value` under `key`. With a ttl of zero it removes what is there.
    ///
    /// A computation in flight began before and is not stored over it, in whatever process.
    ///
    /// # Errors
    ///
    /// None in process; with a shared tier as [`Entry::put`].
    pub async fn put<V: Value>(&self, key: &Key, value: V, options: &Options) -> Result<(), crate::Error> {
        let tags = options.tags.as_slice().into();
        let means = Means::new(Plain::new(), Encoded);
        let entry = Entry::new(self.clone(), Ok(key.clone()), options.remember.into(), tags, means);
        entry.put(value).await
    }
}
