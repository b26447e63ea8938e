//! Running the body of a batch, and storing what it brings.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{At, Batch, Slotted, State, Track, Tracks};
use crate::answer::Outcome;
use crate::backend::dynamic::BoxFuture;
use crate::batched::{Division, Each, Whole};
use crate::engine::body::Brought;
use crate::engine::boxed::Pending;
use crate::engine::calling::Reply;
use crate::engine::compute::Attempt;
use crate::engine::computing::{Directions, Keys, Run, Running};
use crate::engine::conclude::{Ended, Landed};
use crate::engine::flight::Lead;
use crate::engine::lead::{Leading, Purpose};
use crate::engine::liveness;
use crate::engine::shared::{Borne, Hold};
use crate::engine::stale::{Held, answer_stale};
use crate::engine::together::{self, AT_ONCE, together};
use crate::engine::{Cache, Function, Landing};
use crate::epochs::Opening;
use crate::key::Key;
use crate::storage::Storage;

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
            let round = self.tracks.begin();
            let output = keep(&self.tracks, Run::new(round.running.clone(), || Some(body))).await;

            let ids = self.missing();
            let computing = std::mem::take(&mut self.tracks.computing);
            let opened = self.whole.open(output);
            let outcome = if opened.is_err() { Outcome::Error } else { Outcome::Value };
            let end = round.end(outcome, ids.len());
            match opened {
                Ok(all) if self.division.fits(&all, &ids) => {
                    let items = self.division.divide(all, &ids);
                    self.land_items(&computing, items, end).await;
                }
                Ok(all) => self.land_nothing(&computing, all, &ids),
                Err(error) => self.land_error(&computing, error),
            }
        })
    }

    /// Stores each item, and hands it to those who wait for it.
    async fn land_items(&mut self, computing: &[At], items: Vec<Option<A::Item>>, end: End<'c>) {
        let answer = self.means.answer;
        let mut shared = Vec::new();
        for (at, item) in computing.iter().zip(items) {
            let Some(at) = self.slot_or_track(*at, item) else { continue };
            let (at, item) = at;
            let output = answer.of(item);
            if let Some(flight) = self.tracks.flight(at) {
                let is_stored = answer.stored(&output).is_none_or(self.store_if);
                let ended = end.ended(self.means.brought(&output, is_stored, end.directions.ttl.is_some()));
                shared.extend(self.tracks.land(flight, ended, &end));
            } else {
                self.tracks.note_computed(at);
            }
            self.set_item(at, answer.item(output));
        }
        if !shared.is_empty() {
            self.tracks.share(shared, end).await;
        }
    }

    /// Puts what belongs to a call past the cache into its slot; gives back what belongs to a track.
    fn slot_or_track(&mut self, at: At, item: Option<A::Item>) -> Option<(usize, Option<A::Item>)> {
        match at {
            At::Track(at) => Some((at, item)),
            At::Bypass(bypass) => {
                self.slots[self.tracks.slot_of(at)].state = Slotted::Item(item);
                self.tracks.bypassed(bypass);
                None
            }
        }
    }

    fn set_item(&mut self, at: usize, item: Option<A::Item>) {
        if self.items.is_empty() {
            self.items.resize_with(self.tracks.all.len(), || None);
        }
        self.items[at] = item;
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
            let Some((at, item)) = self.slot_or_track(*at, item) else { continue };
            if let Some(flight) = self.tracks.flight(at) {
                flight.lead.land(Landing::NotShared, |_| ());
            }
            self.tracks.note_computed(at);
            self.set_item(at, item);
        }
    }

    /// Ends the flights of what has failed.
    fn land_error(&mut self, computing: &[At], error: W::Error) {
        for at in computing {
            self.slot_or_track(*at, None);
        }
        if !self.tracks.land_error(computing) {
            self.failed = Some(error);
        }
    }
}

/// One run of the body of a batch.
struct Round<'c> {
    running: Arc<Running>,
    opening: Opening<'c>,
    attempts: Vec<Attempt<'c>>,
    purpose: Purpose,
}

/// How it ended.
struct End<'c> {
    opening: Opening<'c>,
    directions: Directions,
    /// What each item took of it.
    cost: Duration,
    purpose: Purpose,
}

impl<'c> Round<'c> {
    /// It has ended, with `items`.
    fn end(self, outcome: Outcome, items: usize) -> End<'c> {
        let Self { running, opening, attempts, purpose } = self;
        let took = attempts.into_iter().map(|attempt| attempt.end(outcome)).max().unwrap_or_default();
        let cost = took / u32::try_from(items.max(1)).unwrap_or(u32::MAX);
        End { opening, directions: running.take_directions(), cost, purpose }
    }
}

impl End<'_> {
    fn ended(&self, brought: Brought) -> Ended {
        Ended { brought, directions: self.directions.clone(), cost: self.cost }
    }
}

impl<'c> Tracks<'c> {
    /// Begins to compute what is to be computed.
    fn begin(&mut self) -> Round<'c> {
        let cache = self.cache;
        for at in self.computing.iter().filter_map(At::track) {
            let track = &mut self.all[at];
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
        let is_led = |track: &&Track<'c>| matches!(track.state, State::Computes(..) | State::Alone);
        let led = self.all.iter().filter(is_led).map(|track| track.plan.key.clone());
        let running = Running::of(cache, Keys::Many(led.collect()), None);
        // Before the body begins: which tags it bears, it may yet say.
        let opening = cache.0.epochs.open();
        let computing = self.computing.iter().filter_map(At::track);
        let attempts = attempts(cache, computing.map(|at| self.all[at].function));
        Round { running, opening, attempts, purpose: self.purpose() }
    }

    fn purpose(&self) -> Purpose {
        if self.is_forced { Purpose::Forced } else { Purpose::Call }
    }

    /// Lets go of what it leads and cannot compute, as another process does: a body may ask for it, and need not wait for
    /// this batch then. Who follows takes over.
    fn let_go(&mut self) {
        for track in &mut self.all {
            if matches!(track.state, State::Leads(..)) {
                track.state = State::Open;
            }
        }
    }

    /// The flight of a track, if that leads one.
    fn flight(&mut self, at: usize) -> Option<Flight<'c>> {
        let track = &mut self.all[at];
        match std::mem::replace(&mut track.state, State::Done) {
            State::Computes(lead, hold, borne) => {
                Some(Flight { at, lead, hold, borne, held: track.held.take() })
            }
            _ => None,
        }
    }

    /// A track's item was computed.
    fn note_computed(&mut self, at: usize) {
        self.all[at].done(self.cache, Some(Reply::Computed));
    }

    /// Ends a flight; gives it back where the shared tier comes first.
    fn land(&mut self, flight: Flight<'c>, ended: Ended, end: &End<'c>) -> Option<(Flight<'c>, Ended)> {
        if flight.hold.is_some() {
            return Some((flight, ended));
        }
        // Without a lease nothing is waited for.
        let at = flight.at;
        drop(flight.land(self.cache, &self.all[at], end, ended));
        self.note_computed(at);
        None
    }

    /// Ends flights of which the shared tier is told first.
    fn share<'t>(&'t mut self, flights: Vec<(Flight<'c>, Ended)>, end: End<'c>) -> BoxFuture<'t, ()>
    where
        'c: 't,
    {
        Box::pin(async move {
            let ats: Vec<usize> = flights.iter().map(|(flight, _)| flight.at).collect();
            let mut sharing = Vec::new();
            for (flight, ended) in flights {
                let track = &self.all[flight.at];
                if let Landed::Not(first) = flight.land(self.cache, track, &end, ended) {
                    sharing.push(first);
                }
            }
            // Each entry goes as soon as it has landed.
            together(sharing.into_iter().map(|sharing| async { drop(sharing.finishing().await) })).await;
            ats.into_iter().for_each(|at| self.note_computed(at));
        })
    }

    /// Ends the flights of what has failed. The error is that of no single item: who waits for one starts over. Whether stale
    /// values stand in for all that this call wanted.
    fn land_error(&mut self, computing: &[At]) -> bool {
        let (cache, purpose) = (self.cache, self.purpose());
        let mut standing_in = Vec::new();
        for at in computing.iter().filter_map(At::track) {
            let stands_in = self.flight(at).and_then(|flight| {
                let leading = leading(cache, &self.all[at], flight.lead, flight.held);
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
                let track = &mut self.all[at];
                let reply = answer_stale(&mut track.tally, track.plan, entry);
                track.done(cache, reply);
            }
        } else {
            computing.iter().filter_map(At::track).for_each(|at| self.all[at].note(cache));
        }
        answers_all
    }

    fn leads(&self) -> impl Iterator<Item = (&Lead<'c, Key, Borne, Landing>, Option<&Hold<'c>>, &Borne)> {
        self.all.iter().filter_map(|track| match &track.state {
            State::Computes(lead, hold, borne) => Some((lead, hold.as_deref(), borne)),
            _ => None,
        })
    }

    /// Shows that the leaders live.
    fn beat(&self) {
        self.leads().for_each(|(lead, ..)| lead.beat());
    }

    /// Shows that the leaders live, and renews their leases, for as long as it is polled: also of those that come after
    /// the body.
    fn keeping(&self) -> BoxFuture<'_, Infallible> {
        Box::pin(async move {
            let (clock, turns) = (&self.cache.0.clock, Semaphore::new(AT_ONCE));
            let holds = self.leads().filter_map(|(_, hold, borne)| Some((hold?, borne)));
            let renew = |(hold, borne)| -> BoxFuture<'_, Infallible> {
                Box::pin(Hold::renew(hold, clock, borne, Some(&turns)))
            };
            let beating: BoxFuture<'_, Infallible> = Box::pin(liveness::show(clock, || self.beat()));
            together::forever(holds.map(renew).chain([beating])).await
        })
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
    /// Ends it, as far as that goes without waiting.
    fn land<'t>(self, cache: &'t Cache, track: &'t Track<'_>, end: &End<'_>, ended: Ended) -> Landed<'t>
    where
        'c: 't,
    {
        let Self { lead, hold, borne, held, .. } = self;
        let leading = leading(cache, track, lead, held);
        leading.land(borne, hold.map(|hold| *hold), end.purpose, &end.opening, ended)
    }
}

/// Whoever leads the flight of a track.
fn leading<'t, 'c: 't>(
    cache: &'t Cache,
    track: &'t Track<'_>,
    lead: Lead<'c, Key, Borne, Landing>,
    held: Option<Held>,
) -> Leading<'t> {
    let question = track.question.as_ref();
    Leading { held, ..Leading::new(cache, track.function, lead, track.plan, question) }
}

/// Runs the body, and keeps what is led meanwhile.
async fn keep<F: Future>(tracks: &Tracks<'_>, body: F) -> F::Output {
    let mut body = pin!(body);
    // Only made for a body that waits.
    let mut keeping: Option<Pin<Box<dyn Future<Output = Infallible> + Send + '_>>> = None;
    tracks.beat();
    poll_fn(|context| {
        if let Poll::Ready(output) = body.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        let Poll::Pending = keeping.get_or_insert_with(|| tracks.keeping()).as_mut().poll(context);
        Poll::Pending
    })
    .await
}

/// A list of which nobody can tell what belongs to which id.
#[cold]
fn misfit() {
    crate::event::log::warn!(
        "a batch returned a list that is not as long as its ids, or has two items of one id, so nothing of it is \
         stored; return one item for each id"
    );
}
