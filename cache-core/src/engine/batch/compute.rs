//! Running the body of a batch, and storing what it brings.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{At, Batch, State, Track};
use crate::answer::Outcome;
use crate::batched::{Division, Each, Whole};
use crate::engine::boxed::Pending;
use crate::engine::compute::Attempt;
use crate::engine::computing::{Directions, Run, Running};
use crate::engine::conclude::{Ended, Landed};
use crate::engine::flight::Lead;
use crate::engine::lead::{Leading, Purpose};
use crate::engine::liveness;
use crate::engine::means::Recomputed;
use crate::engine::shared::{Borne, Hold};
use crate::engine::stale::{Held, answer_stale};
use crate::engine::together::together;
use crate::engine::{Cache, Function, Landing};
use crate::epochs::Opening;
use crate::key::Key;
use crate::storage::Storage;

type Renewal<'h> = Pin<Box<dyn Future<Output = std::convert::Infallible> + Send + 'h>>;

impl<'c, K, A, W, D, S, P> Batch<'c, K, A, W, D, S, P>
where
    K: Clone,
    A: Each<Error = W::Error>,
    A::Item: Clone,
    A::Value: Clone + Send + Sync + 'static,
    W: Whole,
    D: Division<K, W::Value, Item = A::Item>,
    S: Storage<A::Value>,
    P: Fn(&A::Value) -> bool,
{
    /// Runs the body for what [`next`](Self::next) named, and stores what it brings.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the computation; others who wait for it take over.
    pub fn computed<F>(&mut self, body: F) -> Pending<impl Future<Output = ()>>
    where
        F: Future<Output = W::Output>,
    {
        Pending::new(async move {
            let computing = std::mem::take(&mut self.computing);
            let cache = self.cache;
            let tracks = || computing.iter().filter_map(At::track);
            for at in tracks() {
                let track = &mut self.tracks[at];
                if let State::Computes(lead, hold, borne) = &mut track.state {
                    if hold.is_some() {
                        // A value that was stored elsewhere since took the lease away.
                        lead.learn(borne.clone());
                    } else {
                        // It begins only now: earlier runs of the body, and invalidations, may have come before it.
                        if !borne.is_current() {
                            *borne = Borne::now(cache, track.function, &track.plan.tags);
                        }
                        lead.bear(borne.clone());
                    }
                }
            }
            self.let_go();
            // All that this batch leads: a body that asks for one of them would wait for this very task.
            let led = || {
                let is_led =
                    |track: &&Track<'c, A, S>| matches!(track.state, State::Computes(..) | State::Alone);
                self.tracks.iter().filter(is_led)
            };
            let mut keys = Vec::with_capacity(led().count());
            keys.extend(led().map(|track| track.plan.key.clone()));
            let running = Running::of_all(cache, keys.into(), None);
            // Before the body begins: which tags it bears, it may yet say.
            let opening = cache.0.epochs.open();
            let attempts = attempts(cache, tracks().map(|at| self.tracks[at].function));
            let output = keep(cache, &self.tracks, Run::new(running.clone(), || body)).await;

            let ids = self.ids_of(&computing);
            let opened = self.whole.open(output);
            let outcome = if opened.is_err() { Outcome::Error } else { Outcome::Value };
            let took = attempts.into_iter().map(|attempt| attempt.end(outcome)).max().unwrap_or_default();
            let cost = took / u32::try_from(ids.len().max(1)).unwrap_or(u32::MAX);
            let error = match opened {
                Ok(all) if self.division.fits(&all, &ids) => {
                    let items = self.division.divide(all, &ids);
                    let directions = running.take_directions();
                    return self.land_items(&computing, items, &directions, cost, &opening).await;
                }
                Ok(all) => return self.land_nothing(&computing, all, &ids),
                Err(error) => error,
            };
            if !self.land_error(&computing) {
                self.failed = Some(error);
            }
        })
    }

    fn purpose(&self) -> Purpose {
        if self.is_forced { Purpose::Forced } else { Purpose::Call }
    }

    /// Lets go of what it leads and cannot compute, as another process does: a body may ask for it, and need not wait for
    /// this batch then. Who follows takes over.
    fn let_go(&mut self) {
        for track in &mut self.tracks {
            if matches!(track.state, State::Leads(..)) {
                track.state = State::Open;
            }
        }
    }

    /// Answers with a list of which nobody can tell what belongs to which id: nobody else gets anything of it.
    fn land_nothing(&mut self, computing: &[At], all: W::Value, ids: &[K]) {
        misfit();
        let answers_all = computing.len() == self.slots.len();
        let items = match answers_all {
            // As the body returned it.
            true => {
                self.verbatim = Some(all);
                ids.iter().map(|_| None).collect()
            }
            false => self.division.divide(all, ids),
        };
        for (at, item) in computing.iter().zip(items) {
            match *at {
                At::Slot(at) => self.slots[at].done(self.cache, item),
                At::Track(at) => {
                    let track = &mut self.tracks[at];
                    if let Some(flight) = Flight::take(at, track) {
                        flight.lead.land(Landing::NotShared, |_| ());
                    }
                    track.done(self.cache, item);
                }
            }
        }
    }

    /// Stores each item, and hands it to those who wait for it.
    async fn land_items(
        &mut self,
        computing: &[At],
        items: Vec<Option<A::Item>>,
        directions: &Directions,
        cost: Duration,
        opening: &Opening<'_>,
    ) {
        let (cache, purpose) = (self.cache, self.purpose());
        let (mut flights, mut computed) = (Vec::new(), Vec::new());
        for (at, item) in computing.iter().zip(items) {
            let at = match *at {
                At::Track(at) => at,
                At::Slot(at) => {
                    self.slots[at].done(cache, item);
                    continue;
                }
            };
            let track = &mut self.tracks[at];
            let Some(flight) = Flight::take(at, track) else {
                track.done(cache, item);
                continue;
            };
            let answer = track.plan.answer;
            let output = answer.of(item);
            let is_stored = answer.stored(&output).is_none_or(self.store_if);
            let one = Recomputed { output, is_stored };
            if flight.hold.is_some() {
                flights.push(flight);
                computed.push(one);
                continue;
            }
            // Without a lease nothing is waited for.
            let ended = Ended::of(track.plan, &one, directions.clone(), cost);
            drop(flight.land(cache, track, purpose, opening, ended));
            track.done(cache, answer.item(one.output));
        }
        if flights.is_empty() {
            return;
        }
        let ats: Vec<usize> = flights.iter().map(|flight| flight.at).collect();
        let mut sharing = Vec::new();
        for (flight, computed) in flights.into_iter().zip(&computed) {
            let track = &self.tracks[flight.at];
            let ended = Ended::of(track.plan, computed, directions.clone(), cost);
            if let Landed::Not(first) = flight.land(cache, track, purpose, opening, ended) {
                sharing.push(first);
            }
        }
        together(sharing.into_iter().map(|sharing| sharing.finishing())).await;
        for (at, computed) in ats.into_iter().zip(computed) {
            let track = &mut self.tracks[at];
            track.done(cache, track.plan.answer.item(computed.output));
        }
    }

    /// Ends the flights of what has failed. The error is that of no single item: who waits for one starts over. Whether stale
    /// values stand in for all that this call wanted.
    fn land_error(&mut self, computing: &[At]) -> bool {
        let (cache, purpose) = (self.cache, self.purpose());
        let mut standing_in = Vec::new();
        for at in computing {
            let at = match *at {
                At::Track(at) => at,
                At::Slot(at) => {
                    self.slots[at].done(cache, None);
                    continue;
                }
            };
            let track = &mut self.tracks[at];
            let stands_in = Flight::take(at, track).and_then(|flight| {
                let leading = leading(cache, track, flight.lead, flight.held);
                let entry = leading.stand_in(purpose)?;
                leading.lead.land(Landing::StandIn(entry.clone()), |_| ());
                Some(entry)
            });
            standing_in.extend(stands_in.map(|entry| (at, entry)));
        }
        // Who forces it wants to know how it went.
        let answers_all = standing_in.len() == computing.len() && !self.is_forced;
        if answers_all {
            for (at, entry) in standing_in {
                let track = &mut self.tracks[at];
                let output = answer_stale(&mut track.tally, track.plan, &entry);
                track.done(cache, output.and_then(|output| track.plan.answer.item(output)));
            }
        } else {
            computing.iter().filter_map(At::track).for_each(|at| self.tracks[at].note(cache));
        }
        answers_all
    }
}

/// One attempt for each function that is computed: a batch is of one, unless somebody put it together by hand.
fn attempts<'f>(cache: &Cache, functions: impl Iterator<Item = &'f Arc<Function>>) -> Vec<Attempt<'f>> {
    let mut counted: Vec<(&Arc<Function>, u64)> = Vec::new();
    for function in functions {
        match counted.iter_mut().find(|(known, _)| Arc::ptr_eq(known, function)) {
            Some((_, items)) => *items += 1,
            None => counted.push((function, 1)),
        }
    }
    counted.into_iter().map(|(function, items)| Attempt::begin_many(cache, function, items)).collect()
}

/// A flight of a batch on its way to its end.
struct Flight<'c> {
    at: usize,
    lead: Lead<'c, Key, Borne, Landing>,
    hold: Option<Box<Hold<'c>>>,
    borne: Borne,
    held: Option<Held>,
}

impl<'c> Flight<'c> {
    /// Takes it from the track, if that leads one.
    fn take<A: Each, S>(at: usize, track: &mut Track<'c, A, S>) -> Option<Self> {
        match std::mem::replace(&mut track.state, State::Done) {
            State::Computes(lead, hold, borne) => {
                Some(Self { at, lead, hold, borne, held: track.held.take() })
            }
            _ => None,
        }
    }

    /// Ends it, as far as that goes without waiting.
    fn land<'t, A, S>(
        self,
        cache: &'t Cache,
        track: &'t Track<'_, A, S>,
        purpose: Purpose,
        opening: &Opening<'_>,
        ended: Ended<'t, A::Value>,
    ) -> Landed<'t, A, S>
    where
        'c: 't,
        A: Each,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        let Self { lead, hold, borne, held, .. } = self;
        let leading = leading(cache, track, lead, held);
        leading.land(borne, hold.map(|hold| *hold), purpose, opening, ended)
    }
}

/// Whoever leads the flight of a track.
fn leading<'t, 'c: 't, A, S>(
    cache: &'t Cache,
    track: &'t Track<'_, A, S>,
    lead: Lead<'c, Key, Borne, Landing>,
    held: Option<Held>,
) -> Leading<'t, A, S>
where
    A: Each,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    let question = track.question.as_ref();
    Leading { held, ..Leading::new(cache, track.function, lead, track.plan, question) }
}

/// Runs the body, shows that the leaders live, and renews their leases: also of those that come after it.
async fn keep<A: Each, S, F: Future>(cache: &Cache, tracks: &[Track<'_, A, S>], body: F) -> F::Output {
    let clock = &cache.0.clock;
    let leads = || {
        tracks.iter().filter_map(|track| match &track.state {
            State::Computes(lead, hold, _) => Some((lead, hold.as_deref())),
            _ => None,
        })
    };
    let mut body = pin!(body);
    // Only made for a body that waits.
    let mut renewals: Option<Vec<Renewal<'_>>> = None;
    let renewing = poll_fn(|context| {
        if let Poll::Ready(output) = body.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        let holds = || leads().filter_map(|(_, hold)| hold);
        let renewals = renewals
            .get_or_insert_with(|| holds().map(|hold| Box::pin(hold.renew(clock)) as Renewal<'_>).collect());
        for renewal in renewals {
            let Poll::Pending = renewal.as_mut().poll(context);
        }
        Poll::Pending
    });
    liveness::keep_all(cache, || leads().for_each(|(lead, _)| lead.beat()), renewing).await
}

/// A list of which nobody can tell what belongs to which id.
#[cold]
fn misfit() {
    crate::event::log::warn!(
        "a batch returned a list that is not as long as its ids, or has two items of one id, so nothing of it is \
         stored; return one item for each id"
    );
}
