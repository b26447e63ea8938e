//! Batches without the macro.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::Hash;

use super::{Asked, Next};
use crate::answer::{Answer, Fallible, Plain};
use crate::batched::{Each, FallibleSparse, Natural, Sparse, Whole};
use crate::engine::call::Opened;
use crate::engine::direct::{Options, Value};
use crate::engine::look_up::Closer;
use crate::engine::means::Means;
use crate::engine::trace::{self, Answered};
use crate::engine::{Cache, CacheRef};
use crate::entry::{MissReason, Remembered};
use crate::event::stats::Happening;
use crate::key::Key;
use crate::storage::Encoded;

/// Ids of any kind, and values that every tier can keep.
type Many<K, V, A, W> = Asked<K, A, W, Natural, Encoded, fn(&V) -> bool>;

impl Cache {
    /// Returns what is stored under the keys of `ids`, and computes and stores what is missing, all at once: `compute` gets the
    /// missing ids, each once and in their order. What it has no item for is left out of the answer, and not stored.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::time::Duration;
    /// use cache_core::{Cache, Key, Options};
    ///
    /// # async fn example(cache: &Cache) -> Result<(), cache_core::Error> {
    /// let options = Options::ttl(Duration::from_secs(60)).tags(["users"]);
    /// let ids = [(1_u64, Key::of("user", 1)?), (2, Key::of("user", 2)?)];
    /// let names: HashMap<u64, String> = cache
    ///     .get_or_compute_many(ids, &options, async |missing: Vec<u64>| {
    ///         missing.into_iter().map(|id| (id, format!("user {id}"))).collect()
    ///     })
    ///     .await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `compute` may be called more than once: for what another call was to compute and did not. In a task that is spawned it has to own
    /// what it uses: `async move |missing| { let db = db.clone(); .. }`. (Of a closure that returns a future, and of one that borrows, the
    /// compiler does not find out there that they are `Send`.) A cache that is disabled, or a ttl of
    /// zero, hands it all ids as they are, also those that come twice.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation; others who wait for its items take over.
    pub async fn get_or_compute_many<K, V, B>(
        &self,
        ids: impl IntoIterator<Item = (K, Key)>,
        options: &Options,
        mut compute: B,
    ) -> HashMap<K, V>
    where
        K: Eq + Hash + Clone,
        V: Value,
        B: AsyncFnMut(Vec<K>) -> HashMap<K, V>,
    {
        let whole = Plain::<HashMap<K, V>>::SELF;
        let mut asked = self.ask_many(whole, Sparse::<V>::SELF, ids, options);
        if let Some(answered) = asked.answer() {
            return answered;
        }
        let mut batch = asked.begin();
        loop {
            match batch.next().await {
                Next::Done(answered) => return answered,
                Next::Compute(missing) => batch.computed(compute(missing)).await,
            }
        }
    }

    /// The same for a computation that can fail: an `Err` passes through, and nothing of it is stored.
    ///
    /// # Errors
    ///
    /// Those of `compute` alone: a broken cache never breaks the computation.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_compute_many`](Self::get_or_compute_many).
    pub async fn try_get_or_compute_many<K, V, E, B>(
        &self,
        ids: impl IntoIterator<Item = (K, Key)>,
        options: &Options,
        mut compute: B,
    ) -> Result<HashMap<K, V>, E>
    where
        K: Eq + Hash + Clone,
        V: Value,
        B: AsyncFnMut(Vec<K>) -> Result<HashMap<K, V>, E>,
    {
        let whole = Fallible::<HashMap<K, V>, E>::SELF;
        let mut asked = self.ask_many(whole, FallibleSparse::<V, E>::SELF, ids, options);
        if let Some(answered) = asked.answer() {
            return answered;
        }
        let mut batch = asked.begin();
        loop {
            match batch.next().await {
                Next::Done(answered) => return answered,
                Next::Compute(missing) => batch.computed(compute(missing)).await,
            }
        }
    }

    /// Looks for each of them in the local tier.
    fn ask_many<K, V, E, A, W>(
        &self,
        whole: W,
        answer: A,
        ids: impl IntoIterator<Item = (K, Key)>,
        options: &Options,
    ) -> Many<K, V, A, W>
    where
        K: Eq + Hash + Clone,
        V: Value,
        A: Each<Item = V, Value = V, Error = E>,
        W: Whole<Value = HashMap<K, V>, Error = E>,
    {
        let ids = ids.into_iter();
        let means = Means::new(answer, Encoded);
        let cache = CacheRef::Owned(self.clone());
        let mut asked = Asked::new(cache, whole, Natural, means, ids.size_hint().0);
        let is_bypassed = self.0.is_disabled || options.remember().ttl.is_zero();
        let remember = Remembered::from(*options.remember());
        for (id, key) in ids {
            let reason = match self.look_many_here(&key, is_bypassed) {
                Ok(found) => {
                    asked.found(answer, id, answer.restore(found));
                    continue;
                }
                Err(reason) => reason,
            };
            let identity = key.identity();
            let (remember, tags) = (remember.clone(), options.tag_list().into());
            asked.add(id, Opened { identity, key: Some(key), is_bypassed, remember, tags, reason });
        }
        asked
    }

    fn look_many_here<V: Value>(&self, key: &Key, is_bypassed: bool) -> Result<V, MissReason> {
        if is_bypassed {
            return Err(MissReason::Absent);
        }
        let note = |answered| {
            if trace::is_watched() && trace::is_wanted(self) {
                trace::note(self, Some(key), &self.0.functions.of(key.identity()).title(), answered);
            }
        };
        if let Some(found) = self.0.look_up(&key.view(), Plain::<V>::SELF) {
            note(Answered::LocalHit);
            return Ok(found);
        }
        let entry = match self.look_closer(&key.view(), TypeId::of::<V>(), false) {
            Closer::Fresh(entry, _) => {
                note(Answered::LocalHit);
                entry
            }
            Closer::Resting(entry) => {
                self.count(&entry.function, key, Happening::Stale);
                note(Answered::Stale);
                entry
            }
            Closer::Miss(reason) => return Err(reason),
        };
        entry.value().cloned().ok_or(MissReason::Undecodable)
    }
}
