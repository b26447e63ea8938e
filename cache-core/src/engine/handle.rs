//! The typed handle to one entry, which `f_entry(..)` returns.

use std::fmt;
use std::time::Duration;

use super::fill::{self, Fill, Named, Share};
use super::means::{Decides, Means};
use super::shared::{Borne, Looked, Question};
use super::{Cache, Function, Invalidate};
use crate::answer::{Answer, Outcome};
use crate::backend::dynamic::BoxFuture;
use crate::entry::{Freshness, Lifetime, Remembered, lifetime};
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
    cache: Cache,
    key: Result<Key, Error>,
    remember: Remembered,
    tags: TagList,
    /// The verbs that need the types behind `R`.
    peek: PeekVerb<R>,
    put: PutVerb<R>,
}

type PeekVerb<R> = for<'e> fn(&'e Entry<R>) -> BoxFuture<'e, Result<Option<Peek<R>>, Error>>;
type PutVerb<R> = Box<dyn for<'e> Fn(&'e Entry<R>, R) -> BoxFuture<'e, Result<(), Error>> + Send + Sync>;

/// What an entry holds, without counting as a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Peek<R> {
    /// The answer that the function would give from the cache.
    pub value: R,
    /// Whether a call would be answered with it.
    pub is_fresh: bool,
    /// The time since it was stored.
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
        let decides = means.decides;
        let put: PutVerb<R> = Box::new(move |entry, output| put::<A, S>(entry, output, decides));
        Self { cache, key, remember, tags, peek: show::<A, S>, put }
    }

    /// The key of this entry.
    ///
    /// # Errors
    ///
    /// `Key`, when an argument's `Serialize` failed; so do the other verbs.
    pub fn key(&self) -> Result<&Key, Error> {
        self.key.as_ref().map_err(Error::clone)
    }

    /// Removes the entry, as [`Cache::invalidate`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn invalidate(&self) -> Result<(), Error> {
        self.cache.apply(Invalidate::entry(self)).await
    }

    /// Makes the entry stale, as [`Cache::expire`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key).
    pub async fn expire(&self) -> Result<(), Error> {
        self.cache.apply(Invalidate::entry(self).softly()).await
    }

    /// Invalidates every entry of this entry's function: all versions and type instances, as
    /// [`Cache::invalidate_function`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key), and as [`Cache::invalidate`].
    pub async fn invalidate_function(&self) -> Result<(), Error> {
        self.cache.apply(Invalidate::function_of(self)).await
    }

    /// Makes every entry of this entry's function stale: all versions and type instances, as
    /// [`Cache::expire_function`].
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key), and as [`Cache::invalidate`].
    pub async fn expire_function(&self) -> Result<(), Error> {
        self.cache.apply(Invalidate::function_of(self).softly()).await
    }

    /// Looks at the entry, without computing, waiting or counting: in the local tier, then in the shared one. `None`
    /// when nothing is stored: an invalidated value never shows. One that has expired may, until it is swept.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key); `Unreachable`, when the local tier has nothing and the shared one does not answer.
    pub async fn peek(&self) -> Result<Option<Peek<R>>, Error> {
        (self.peek)(self).await
    }

    /// Stores `value` as if the function had just returned it: under its ttl, stagger and tags. What the
    /// function's options do not store (`None` without `none_ttl`, `Err` without `err_ttl`) removes the
    /// entry instead, so that no older value stays behind. `when` and `store_if` are not asked: they are about calls.
    ///
    /// Where its tags are invalidated meanwhile, the entry is removed instead: the value was there before.
    ///
    /// A computation in flight began before and is not stored over it, in whatever process.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key); `Unreachable`, when the shared tier does not answer: then the value is stored nowhere,
    /// and other processes may go on with an older one.
    ///
    /// # Cancel safety
    ///
    /// The value is stored, or not.
    pub async fn put(&self, value: R) -> Result<(), Error> {
        self.key()?;
        if self.cache.0.is_disabled {
            return Ok(());
        }
        (self.put)(self, value).await
    }

    /// The cache that it is in.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How long past its ttl the value may stand in.
    pub(super) fn grace(&self) -> Duration {
        self.remember.grace
    }

    /// What the shared tier is asked, if there is one for such values.
    fn question<'e, V, S>(
        &'e self,
        function: &'e Function,
        storage: S,
    ) -> Result<Option<Question<'e, S>>, Error>
    where
        V: 'static,
        S: Storage<V>,
    {
        let key = self.key()?;
        Ok(Question::new::<V>(&self.cache, function, key, &self.tags, &self.remember, storage))
    }
}

fn show<A, S>(entry: &Entry<A::Output>) -> BoxFuture<'_, Result<Option<Peek<A::Output>>, Error>>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    Box::pin(async move {
        let (key, cache) = (entry.key()?, &entry.cache.0);
        let now = cache.clock.now();
        let found = cache.tier.find(&key.view(), |entry| {
            let (freshness, is_shown) = cache.freshness(entry, now);
            is_shown.then(|| (entry.clone(), freshness == Freshness::Fresh))
        });
        if let Some((entry, is_fresh)) = found.flatten() {
            let value = entry.value::<A::Value>().cloned();
            let age = entry.age(now);
            return Ok(value.map(|value| Peek { value: A::SELF.restore(value), is_fresh, age }));
        }
        let function = cache.functions.of(key.identity());
        let Some(question) = entry.question::<A::Value, S>(&function, S::default())? else { return Ok(None) };
        match question.look::<A::Value>(&mut question.borne_to_look()).await {
            Looked::Usable(stored) | Looked::Stale(stored) => {
                let (is_fresh, age) = (!stored.fresh.is_zero(), stored.age);
                Ok(Some(Peek { value: A::SELF.restore(stored.value), is_fresh, age }))
            }
            Looked::Unusable(..) => Ok(None),
            Looked::Away(error) => Err(error),
        }
    })
}

fn put<A, S>(
    entry: &Entry<A::Output>,
    output: A::Output,
    decides: Decides<A::Value>,
) -> BoxFuture<'_, Result<(), Error>>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    let outcome = A::SELF.outcome(&output);
    let value = A::SELF.stored(&output).cloned();
    let decided = value.as_ref().filter(|_| outcome == Outcome::Value).and_then(|value| decides.ttl(value));
    let lifetime = lifetime(&entry.remember, outcome, decided, entry.cache.0.chance.unit());
    Box::pin(async move {
        let (Some(value), Some(lifetime)) = (value, lifetime) else { return entry.invalidate().await };
        let tags = decides.tags(&value);
        put_value(entry, S::default(), outcome, value, tags, lifetime).await
    })
}

async fn put_value<R, V, S>(
    entry: &Entry<R>,
    storage: S,
    outcome: Outcome,
    value: V,
    tags: Vec<Tag>,
    lifetime: Lifetime,
) -> Result<(), Error>
where
    V: Clone + Send + Sync + 'static,
    S: Storage<V>,
{
    let (key, cache) = (entry.key()?, &entry.cache);
    let function = cache.0.functions.of(key.identity());
    let question = entry.question::<V, S>(&function, storage)?;
    // The value is there already: who begins after an invalidation of its tags does not get it.
    let borne = Borne::now(cache, &function, &entry.tags);
    // Later callers join this, and not a computation that began before.
    let lead = cache.0.flights.lead(key);
    lead.bear(borne.clone());
    let (hold, mut borne) = match &question {
        Some(question) => match question.take(borne).await {
            (Ok(hold), borne) => (Some((question, hold)), borne),
            (Err(error), _) => {
                cache.0.remove_here(key);
                return Err(error);
            }
        },
        None => (None, borne),
    };
    let is_being_invalidated = hold.as_ref().is_some_and(|(question, _)| question.is_being_invalidated());
    if borne.is_invalidated() || !lead.is_attached() || is_being_invalidated {
        // An invalidation of its tags or of its key came meanwhile, or another `put`.
        drop(hold);
        return entry.invalidate().await;
    }
    lead.learn(borne.clone());
    let stamps = cache.0.epochs.stamp(&tags);
    let mut fill = Fill {
        key,
        remember: &entry.remember,
        outcome,
        function: &function,
        cost: Duration::ZERO,
        lifetime: Some(lifetime),
        age: Duration::ZERO,
        version: None,
        is_asked_for: false,
        replaces: None,
    };
    let share = match hold {
        Some((question, hold)) => {
            let named = Named { tags, stamps };
            fill::share(question, &fill, &mut borne, &value, named, None, hold).await
        }
        None => {
            borne.name(stamps);
            Share::NotShared
        }
    };
    if share == Share::Unknown {
        cache.0.remove_here(key);
        let what = "put a value into the shared tier: it did not answer; put it again";
        return Err(Error::new(ErrorKind::Unreachable, what));
    }
    fill.version = share.version();
    lead.learn(borne.clone());
    match fill::land(cache, lead, &fill, &borne, storage, &value, share) {
        // An invalidation or another `put` came meanwhile; or the lease was lost. The older value may still be there.
        Some(Happening::Refused) => entry.invalidate().await,
        _ => Ok(()),
    }
}

impl<R> fmt::Debug for Entry<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}
