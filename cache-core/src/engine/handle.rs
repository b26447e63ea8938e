//! The typed handle to one entry, which `f_entry(..)` returns.

use std::fmt;
use std::time::Duration;

use super::apply::Storing;
use super::body::Brought;
use super::calling::Reply;
use super::fill::{self, Fill, Named, Share};
use super::means::Means;
use super::shared::{Borne, First, Looked, Question, without_runtime};
use super::sources::Sources;
use super::value::{AnyValue, Kind};
use super::{Cache, Function, Invalidate};
use crate::answer::{Answer, Outcome};
use crate::backend::EntryKey;
use crate::backend::dynamic::BoxFuture;
use crate::entry::{Freshness, Lifetime, Remember, Remembered, lifetime};
use crate::error::{Error, ErrorKind};
use crate::event::stats::Happening;
use crate::key::{Key, Tag, TagList};
use crate::storage::Storage;

/// One entry of a cached function, named by the function's own arguments. `R` is what the function returns.
///
/// ```ignore
/// menu_of_entry(42).invalidate().await?;
/// menu_of_entry(42).put(Ok(menu)).await?;
/// let known = menu_of_entry(42).peek().await?;
/// ```
pub struct Entry<R> {
    untyped: Untyped,
    /// What needs the types behind `R`: to tell what an answer is, and to make one.
    brought: Bringing<R>,
    answer: Box<dyn Fn(Reply) -> R + Send + Sync>,
}

type Bringing<R> = Box<dyn Fn(&R, &Remember) -> Brought + Send + Sync>;

/// An entry, whatever its types.
struct Untyped {
    cache: Cache,
    key: Result<Key, Error>,
    remember: Remembered,
    tags: TagList,
    kind: Kind,
}

/// What an entry holds, without counting as a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Peek<R> {
    /// The answer that the function would give from the cache.
    pub value: R,
    /// Whether a call would be answered with it.
    pub is_fresh: bool,
    /// The time since it was computed.
    pub age: Duration,
}

impl<R> Entry<R> {
    pub(super) fn new<A, S, P>(
        cache: Cache,
        key: Result<Key, Error>,
        remember: Remembered,
        tags: TagList,
        means: Means<A, S, P>,
    ) -> Self
    where
        A: Answer<Output = R> + 'static,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        let (means, _) = means.parted();
        Self {
            untyped: Untyped { cache, key, remember, tags, kind: means.terms().kind },
            brought: Box::new(move |output, remember| match A::SELF.outcome(output) {
                // What is put was decided on.
                outcome if remember.keeps(outcome) => means.brought(output, true, false),
                outcome => Brought::nothing(outcome),
            }),
            answer: Box::new(move |reply| means.answer(reply, None)),
        }
    }

    /// The key of this entry.
    ///
    /// # Errors
    ///
    /// `Key`, when an argument's `Serialize` failed; so do the other verbs.
    pub fn key(&self) -> Result<&Key, Error> {
        self.untyped.key()
    }

    /// Removes the entry, as [`Cache::invalidate`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn invalidate(&self) -> Result<(), Error> {
        self.untyped.invalidate().await
    }

    /// Makes the entry stale, as [`Cache::expire`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn expire(&self) -> Result<(), Error> {
        self.cache().apply(Invalidate::entry(self).softly()).await
    }

    /// Invalidates every entry of this entry's function: all versions and type instances, as
    /// [`Cache::invalidate_function`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key), and as [`Cache::invalidate`].
    pub async fn invalidate_function(&self) -> Result<(), Error> {
        self.cache().apply(Invalidate::function_of(self)).await
    }

    /// Makes every entry of this entry's function stale: all versions and type instances, as
    /// [`Cache::expire_function`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key), and as [`Cache::invalidate`].
    pub async fn expire_function(&self) -> Result<(), Error> {
        self.cache().apply(Invalidate::function_of(self).softly()).await
    }

    /// Looks at the entry, without computing, waiting or counting: in the local tier, then in the shared one. `None`
    /// when nothing is stored: an invalidated value never shows. One that has expired may, until it is swept.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key); `Unreachable`, when the local tier has nothing and the shared one does not answer.
    pub async fn peek(&self) -> Result<Option<Peek<R>>, Error> {
        let peeked = self.untyped.peek().await?;
        Ok(peeked.map(|Peek { value, is_fresh, age }| Peek { value: (self.answer)(value), is_fresh, age }))
    }

    /// Stores `value` as if the function had just returned it: under its ttl, stagger and tags. What the
    /// function's options do not store (`None` without `none_ttl`, `Err` without `err_ttl`) removes the
    /// entry instead, so that no older value stays behind. `when` and `store_if` are not asked: they are about calls.
    ///
    /// Where its tags are invalidated meanwhile, the entry is removed instead: the value was there before. Of two processes of which one
    /// puts a value while the other one invalidates its key, whichever reaches the shared tier later has the last word; so it is with
    /// a tag, as long as this process has not learned its epoch. Where a write may follow so closely, invalidate and do not put.
    ///
    /// A computation in flight began before and is not stored over it, in whatever process. In another one calls go on joining it until
    /// it ends.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key); `Unreachable`, when the shared tier does not answer: then nothing is stored in this process, and other
    /// processes find the value, or an older one. Or when there is no tokio runtime here to ask it: then what it has is removed as soon as it
    /// can be told.
    ///
    /// # Cancel safety
    ///
    /// The same holds where the future is dropped after it was polled.
    pub async fn put(&self, value: R) -> Result<(), Error> {
        self.key()?;
        if self.cache().0.is_disabled {
            return Ok(());
        }
        let brought = (self.brought)(&value, &self.untyped.remember);
        drop(value);
        self.untyped.put(brought).await
    }

    /// The cache that it is in.
    pub(super) fn cache(&self) -> &Cache {
        &self.untyped.cache
    }

    /// How long past its ttl the value may stand in.
    pub(super) fn grace(&self) -> Duration {
        self.untyped.remember.grace
    }
}

impl Untyped {
    fn key(&self) -> Result<&Key, Error> {
        self.key.as_ref().map_err(Error::clone)
    }

    /// What the shared tier is asked, if there is one for such values.
    fn question<'e>(&'e self, key: &Key, function: &'e Function) -> Option<Question<'e>> {
        Question::new(&self.cache, function, key, &self.tags, &self.remember, self.kind)
    }

    async fn invalidate(&self) -> Result<(), Error> {
        self.cache.apply(Invalidate::key_in(&self.cache, self.key()?, self.remember.grace)).await
    }

    fn peek(&self) -> BoxFuture<'_, Result<Option<Peek<Reply>>, Error>> {
        Box::pin(self.look())
    }

    fn put(&self, brought: Brought) -> BoxFuture<'_, Result<(), Error>> {
        let Brought { outcome, value, ttl, tags, .. } = brought;
        let lifetime = lifetime(&self.remember, outcome, ttl, self.cache.0.chance.unit());
        match (value, lifetime) {
            (Some(value), Some(lifetime)) => Box::pin(self.put_value(outcome, value, tags, lifetime)),
            _ => Box::pin(self.invalidate()),
        }
    }

    async fn look(&self) -> Result<Option<Peek<Reply>>, Error> {
        let (key, cache) = (self.key()?, &self.cache.0);
        let now = cache.clock.now();
        let found = cache.tier.find(&key.view(), |entry| {
            let (freshness, is_shown) = cache.freshness(entry, now);
            is_shown.then(|| (entry.clone(), freshness == Freshness::Fresh))
        });
        if let Some((entry, is_fresh)) = found.flatten() {
            let age = entry.age(now);
            let entry = Some(entry).filter(|entry| entry.is_a(self.kind.value_type()));
            return Ok(entry.map(|entry| Peek { value: Reply::Entry(entry), is_fresh, age }));
        }
        let function = cache.functions.of(key.identity());
        let Some(question) = self.question(key, &function) else { return Ok(None) };
        match question.look(&mut question.borne_to_look()).await {
            Looked::Usable(stored) | Looked::Stale(stored) => {
                let (is_fresh, age) = (!stored.fresh.is_zero(), stored.age);
                Ok(Some(Peek { value: Reply::Value(stored.value), is_fresh, age }))
            }
            Looked::Unusable(..) => Ok(None),
            Looked::Away(error) => Err(error),
        }
    }

    async fn put_value(
        &self,
        outcome: Outcome,
        value: AnyValue,
        tags: Vec<Tag>,
        lifetime: Lifetime,
    ) -> Result<(), Error> {
        let (key, cache) = (self.key()?, &self.cache);
        let function = cache.0.functions.of(key.identity());
        let question = self.question(key, &function);
        // The value is there already: who begins after an invalidation of its tags does not get it.
        let mut borne = Borne::now(cache, &function, &self.tags);
        let opening = cache.0.epochs.open();
        // Later callers join this, and not a computation that began before.
        let lead = cache.0.flights.lead(key);
        lead.bear(borne.clone());
        let storing = Storing::begin(cache, key);
        let (hold, first) = match &question {
            Some(question) => {
                let first = question.learn_first(&mut borne, &tags).await?;
                let (hold, taken) = question.take(borne).await;
                borne = taken;
                (Some((question, hold?)), first)
            }
            None => {
                if let Some(shared) = without_runtime(cache, &function, self.kind) {
                    shared.postpone_removal(&key.with_text(|text| EntryKey::from(text)));
                    let what = "put a value into the shared tier: there is no tokio runtime here; call it inside one";
                    return Err(Error::new(ErrorKind::Unreachable, what));
                }
                (None, First::default())
            }
        };
        let is_being_invalidated =
            hold.as_ref().is_some_and(|(question, _)| question.is_being_invalidated(&tags));
        let has_moved = hold.as_ref().is_some_and(|(_, hold)| first.differs(hold.epochs()));
        let is_outdated =
            has_moved || borne.is_outdated(cache) || !lead.is_attached() || is_being_invalidated;
        let Some(stamps) = opening.stamp(&tags).filter(|_| !is_outdated) else {
            // An invalidation of its tags or of its key came meanwhile, or another `put`.
            drop(hold);
            let invalidated = self.invalidate().await;
            storing.end();
            return invalidated;
        };
        lead.learn(borne.clone());
        let mut fill = Fill {
            key,
            remember: &self.remember,
            outcome,
            function: &function,
            cost: Duration::ZERO,
            lifetime: Some(lifetime),
            age: Duration::ZERO,
            version: None,
            is_asked_for: false,
            is_set: true,
            began: Some(opening.number()),
            sources: Sources::default(),
            replaces: None,
        };
        let share = match hold {
            Some((question, hold)) => {
                let named = Named { tags, stamps, first: first.named };
                fill::share(question, &fill, &mut borne, &value, named, None, hold).await
            }
            None => {
                borne.name(stamps);
                Share::NotShared
            }
        };
        if share == Share::Unknown {
            let what = "put a value into the shared tier: it did not answer; put it again";
            return Err(Error::new(ErrorKind::Unreachable, what));
        }
        fill.version = share.version();
        lead.learn(borne.clone());
        storing.end();
        let (happened, _) = fill::land(cache, lead, &fill, &borne, value, share);
        match happened {
            // An invalidation or another `put` came meanwhile; or the lease was lost. The older value may still be there.
            Some(Happening::Refused) => self.invalidate().await,
            _ => Ok(()),
        }
    }
}

impl<R> fmt::Debug for Entry<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.untyped.key).finish_non_exhaustive()
    }
}
