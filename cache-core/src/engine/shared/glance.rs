//! A glance: a look into the shared tier by what the bus has told, before anybody is joined. For a cache without a local tier.
//!
//! It is for what mostly happens: all epochs are known, and the value is there. Then a call needs neither a flight,
//! which keeps outdated values out of the local tier, nor the epochs that an entry there would bear. Calls for one key at the
//! same time each read it. So nobody glances where the function's last value was large, nor while reads fail, when one can wait
//! for the time limit and the others join.

use super::look::away;
use super::{Question, Shared, Stored, stored};
use crate::backend::{Epoch, Found, ServerTime};
use crate::engine::{Cache, Function};
use crate::error::Error;
use crate::key::Tag;

/// What a glance came to.
#[derive(Debug)]
pub(in crate::engine) enum Glanced {
    Usable(Stored),
    Absent,
    /// The read failed.
    Away,
    /// It takes a look: an epoch is not known, or the value is none that is fresh and current.
    Unsure,
}

impl Question<'_> {
    /// Looks by what the bus has told. Not for who reads the epochs each time.
    pub(in crate::engine) async fn glance(&self) -> Glanced {
        let Some(mut told) = Told::now(self.cache) else { return Glanced::Unsure };
        let Some(epoch) = told.epoch(self.function, self.tags) else { return Glanced::Unsure };
        let read = self.shared.ask(self.shared.backend.read(&self.key, &[])).await;
        self.judge_glance(read.map(|read| read.found), epoch, &told, self.known_time())
    }

    fn judge_glance(
        &self,
        found: Result<Option<Found>, Error>,
        epoch: Epoch,
        told: &Told<'_>,
        now: Option<ServerTime>,
    ) -> Glanced {
        let (found, now) = match (found, now) {
            (Ok(Some(found)), Some(now)) => (found, now),
            (Ok(Some(_)), None) => return Glanced::Unsure,
            (Ok(None), _) => return Glanced::Absent,
            (Err(_), _) => return Glanced::Away,
        };
        match stored::read(self, found, Some(epoch), now) {
            Ok(stored) if told.fits(&stored.named) && !stored.fresh.is_zero() => Glanced::Usable(stored),
            // The look that follows tells why it is not.
            Ok(_) | Err(_) => Glanced::Unsure,
        }
    }
}

/// Glances at all of them, in one round trip.
pub(in crate::engine) async fn glance_many(asked: &[&Question<'_>]) -> Vec<Glanced> {
    let at_hand = asked.first().and_then(|first| Some((first, Told::now(first.cache)?)));
    let Some((first, mut told)) = at_hand else {
        return asked.iter().map(|_| Glanced::Unsure).collect();
    };
    let mut keys = Vec::with_capacity(asked.len());
    let mut epochs = Vec::with_capacity(asked.len());
    for question in asked {
        let epoch = told.epoch(question.function, question.tags);
        if epoch.is_some() {
            keys.push(question.key.clone());
        }
        epochs.push(epoch);
    }
    let read = match keys.is_empty() {
        true => None,
        false => first.shared.ask(first.shared.backend.read_many(&keys, &[])).await.ok(),
    };
    let now = first.known_time();
    // A backend that answers too little has not answered the rest.
    let mut found = read.into_iter().flat_map(|read| read.found);
    let glanced = asked.iter().zip(epochs).map(|(question, epoch)| match epoch {
        Some(epoch) => question.judge_glance(found.next().unwrap_or_else(|| Err(away())), epoch, &told, now),
        None => Glanced::Unsure,
    });
    glanced.collect()
}

/// What the bus has told of epochs up to one moment.
struct Told<'c> {
    cache: &'c Cache,
    shared: &'c Shared,
    generation: u64,
    /// The epochs of everything and of the function that was asked for last, combined.
    common: Option<(&'c Function, Option<Epoch>)>,
}

impl<'c> Told<'c> {
    /// Up to now, if the bus vouches for it and an answer is to be expected soon.
    fn now(cache: &'c Cache) -> Option<Self> {
        let shared = cache.0.shared.as_deref().filter(|shared| shared.is_at_hand())?;
        // First of all: a gap or an invalidation after this line shows.
        let generation = shared.generation();
        let is_followed = shared.follows(cache, cache.0.clock.now(), generation);
        is_followed.then_some(Self { cache, shared, generation, common: None })
    }

    /// What an entry bears of the tags that a call knows: `None` if an epoch is not known.
    fn epoch(&mut self, function: &'c Function, tags: &[Tag]) -> Option<Epoch> {
        let common = match self.common {
            Some((known, common)) if std::ptr::eq(known, function) => common,
            _ => {
                let common = self.common_of(function);
                self.common = Some((function, common));
                common
            }
        };
        tags.iter().try_fold(common?, |combined, tag| Some(combined.and(self.epoch_of(tag)?)))
    }

    fn common_of(&self, function: &Function) -> Option<Epoch> {
        let everything = self.shared.everything.known(self.generation)?;
        Some(Epoch::combined([everything, function.epoch.known(self.generation)?]))
    }

    fn epoch_of(&self, tag: &Tag) -> Option<Epoch> {
        self.cache.0.epochs.known(tag, self.generation)
    }

    /// Whether the tags that only a value knows have the epochs that it bears.
    fn fits(&self, named: &[(Tag, Epoch)]) -> bool {
        named.iter().all(|(tag, epoch)| self.epoch_of(tag) == Some(*epoch))
    }
}
