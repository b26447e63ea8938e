//! A look into the shared tier by what the bus has told, before anybody is joined: for values that are not kept here.
//!
//! It is for what mostly happens: all epochs are known, and the value is there. Then a call needs neither a flight,
//! which keeps outdated values out of the local tier, nor the epochs that an entry there would bear.

use super::look::away;
use super::{Question, Stored, stored};
use crate::backend::{Epoch, Found, ServerTime};
use crate::engine::{Cache, Function};
use crate::error::Error;
use crate::key::Tag;
use crate::storage::Storage;

/// What a glance came to.
#[derive(Debug)]
pub(in crate::engine) enum Glanced<V> {
    Usable(Stored<V>),
    Absent,
    /// Nobody knows.
    Away,
    /// It takes a look.
    Unsure,
}

impl<S: Copy> Question<'_, S> {
    /// Looks by what the bus has told. Not for who reads the epochs each time, or has values that name tags themselves.
    pub(in crate::engine) async fn glance<V>(&self) -> Glanced<V>
    where
        S: Storage<V>,
    {
        if self.shared.is_away() {
            return Glanced::Unsure;
        }
        let epoch = Followed::now(self.cache).and_then(|mut now| now.epoch(self.function, self.tags));
        let Some(epoch) = epoch else { return Glanced::Unsure };
        let read = self.shared.ask(self.shared.backend.read(&self.key, &[])).await;
        self.judge_glance(read.map(|read| read.found), epoch, self.known_time())
    }

    fn judge_glance<V>(
        &self,
        found: Result<Option<Found>, Error>,
        epoch: Epoch,
        now: Option<ServerTime>,
    ) -> Glanced<V>
    where
        S: Storage<V>,
    {
        let (found, now) = match (found, now) {
            (Ok(Some(found)), Some(now)) => (found, now),
            (Ok(Some(_)), None) => return Glanced::Unsure,
            (Ok(None), _) => return Glanced::Absent,
            (Err(_), _) => return Glanced::Away,
        };
        match stored::read(self, found, Some(epoch), now) {
            Ok(stored) if stored.named.is_empty() && !stored.fresh.is_zero() => Glanced::Usable(stored),
            // The look that follows tells why it is not.
            Ok(_) | Err(_) => Glanced::Unsure,
        }
    }
}

/// Glances at all of them, in one round trip.
pub(in crate::engine) async fn glance_many<V, S>(asked: &[&Question<'_, S>]) -> Vec<Glanced<V>>
where
    V: Send,
    S: Storage<V>,
{
    let followed = asked.first().filter(|first| !first.shared.is_away());
    let followed = followed.and_then(|first| Some((first, Followed::now(first.cache)?)));
    let Some((first, mut followed)) = followed else {
        return asked.iter().map(|_| Glanced::Unsure).collect();
    };
    let mut keys = Vec::with_capacity(asked.len());
    let mut told = Vec::with_capacity(asked.len());
    for question in asked {
        let epoch = followed.epoch(question.function, question.tags);
        keys.extend(epoch.map(|_| question.key.clone()));
        told.push(epoch);
    }
    let read = match keys.is_empty() {
        true => None,
        false => first.shared.ask(first.shared.backend.read_many(&keys, &[])).await.ok(),
    };
    let now = first.known_time();
    // A backend that answers too little has not answered the rest.
    let mut found = read.into_iter().flat_map(|read| read.found);
    let glanced = asked.iter().zip(told).map(|(question, epoch)| match epoch {
        Some(epoch) => question.judge_glance(found.next().unwrap_or_else(|| Err(away())), epoch, now),
        None => Glanced::Unsure,
    });
    glanced.collect()
}

/// The epochs that are followed on the bus, from one moment on.
struct Followed<'c> {
    cache: &'c Cache,
    generation: u64,
    /// The epochs of everything and of the function that was asked for last, combined.
    common: Option<(&'c Function, Option<Epoch>)>,
}

impl<'c> Followed<'c> {
    /// Those at this moment, if the bus vouches for them.
    fn now(cache: &'c Cache) -> Option<Self> {
        let shared = cache.0.shared.as_deref()?;
        // First of all: a gap or an invalidation after this line shows.
        let generation = shared.generation();
        // The generation again after the trust: after a gap that came in between, the trust may be of the next one.
        let is_given = cache.0.trust.is_given(cache.0.clock.now()) && shared.generation() == generation;
        is_given.then_some(Self { cache, generation, common: None })
    }

    /// What an entry bears now, as far as the bus has told: `None` if an epoch is not known.
    fn epoch(&mut self, function: &'c Function, tags: &[Tag]) -> Option<Epoch> {
        let common = match self.common {
            Some((known, common)) if std::ptr::eq(known, function) => common,
            _ => {
                let common = self.common_of(function);
                self.common = Some((function, common));
                common
            }
        };
        let known = |tag| self.cache.0.epochs.known(tag, self.generation);
        tags.iter().try_fold(common?, |combined, tag| Some(combined.and(known(tag)?)))
    }

    fn common_of(&self, function: &Function) -> Option<Epoch> {
        let everything = self.cache.0.shared.as_deref()?.everything.known(self.generation)?;
        Some(Epoch::combined([everything, function.epoch.known(self.generation)?]))
    }
}
