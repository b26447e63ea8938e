//! Waiting for leases and for others, until something is to be computed or everything is known.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::Semaphore;

use super::join::Leader;
use super::{State, Track};
use crate::clock::Tick;
use crate::engine::calling::Reply;
use crate::engine::flight::Joined;
use crate::engine::followed::Followed;
use crate::engine::lead::Leading;
use crate::engine::liveness::{self, Waited};
use crate::engine::shared::{Borne, Hold, Obtained, Underway, obtain};
use crate::engine::together::{AT_ONCE, Wakeful};
use crate::engine::{Cache, Landing};
use crate::entry::MissReason;
use crate::event::stats::Happening;

/// What one wait came to.
enum Event<'c> {
    /// Another process has filled it, and whoever followed has it, too: others may wait for that.
    Filled(Reply),
    /// It is up to this call.
    Leased(Leader<'c>, Box<(Hold<'c>, Borne, MissReason)>),
    /// So it is, without a lease.
    Away(Leader<'c>),
    Waited(Waited),
}

impl Event<'_> {
    /// Whether it leaves this call something to do.
    fn is_work(&self) -> bool {
        !matches!(self, Self::Filled(_) | Self::Waited(Waited::Landed(Landing::Value(_))))
    }
}

/// One wait.
type Wait<'w, 'c> = Pin<Box<dyn Future<Output = Event<'c>> + Send + 'w>>;

/// Waits. What is to be computed is not kept from it by what others take their time for: a lease that is granted
/// would pass meanwhile, and two batches that hold what the other one waits for would wait for ever. Where it `has_work`
/// from the beginning, it only asks. What it led and has no answer for is open again.
pub(super) async fn settle<'c>(cache: &'c Cache, asked: Tick, tracks: &mut [Track<'c>], mut has_work: bool) {
    let flags: Vec<AtomicBool> = tracks.iter().map(|_| AtomicBool::new(false)).collect();
    // Who waits for another process asks again and again.
    let turns = &Semaphore::new(AT_ONCE);
    let mut events = Vec::new();
    let mut ats = Vec::new();
    let mut waits: Vec<Wait<'_, 'c>> = Vec::new();
    for (at, (track, is_waiting)) in tracks.iter_mut().zip(&flags).enumerate() {
        let Track { plan, function, question, tally, state, .. } = track;
        let key = &plan.key;
        // Who leads takes its flight along, to land it; a follower stays on its own.
        let led = match state {
            State::Leads(..) => std::mem::replace(state, State::Open),
            _ => State::Open,
        };
        let wait: Wait<'_, 'c> = match (led, state, question) {
            (_, State::Follows(follow), _) => {
                is_waiting.store(true, Ordering::Relaxed);
                Box::pin(async move { Event::Waited(liveness::wait_on(cache, key, follow).await) })
            }
            (State::Leads(lead, seen), _, Some(question)) => Box::pin(async move {
                let obtaining = obtain(question, seen, Some(turns), |underway| match underway {
                    Underway::Bearing(borne) => lead.bear(borne.clone()),
                    Underway::Learned(borne) => lead.learn(borne.clone()),
                    Underway::Waiting => {
                        is_waiting.store(true, Ordering::Relaxed);
                        tally.count(Happening::Joined);
                    }
                });
                match liveness::keep(cache, &lead, obtaining).await {
                    Obtained::Value(stored, borne) => {
                        tally.count(Happening::SharedHit);
                        let leading = Leading::new(cache, function, lead, plan, None);
                        Event::Filled(leading.land_found(borne, stored))
                    }
                    Obtained::Lease(hold, borne, reason) => {
                        Event::Leased(lead, Box::new((hold, borne, reason)))
                    }
                    Obtained::Away => Event::Away(lead),
                }
            }),
            _ => continue,
        };
        ats.push(at);
        waits.push(wait);
    }
    let asks = |place: usize| !flags[ats[place]].load(Ordering::Relaxed);
    // Who follows waits from the beginning. No more ask for a lease at the same time than a server takes well.
    let (to_ask, following): (Vec<usize>, Vec<usize>) = (0..ats.len()).partition(|place| asks(*place));
    let mut to_ask = to_ask.into_iter();
    let mut waits: Wakeful<Wait<'_, 'c>> = waits.into_iter().collect();
    let (mut begins, mut asking) = (Some(following), 0);
    poll_fn(|context| {
        let mut turns = waits.woken(context);
        turns.extend(begins.take().into_iter().flatten());
        let mut turns = turns.into_iter();
        loop {
            let (place, did_ask) = match turns.next() {
                Some(place) => (place, waits.is_running(place) && asks(place)),
                None if asking < AT_ONCE => match to_ask.next() {
                    Some(place) => (place, false),
                    None => break,
                },
                None => break,
            };
            let ended = waits.look(place);
            asking = asking + usize::from(waits.is_running(place) && asks(place)) - usize::from(did_ask);
            if let Some(event) = ended {
                has_work |= event.is_work();
                events.push((ats[place], event));
            }
        }
        let rest_waits = asking == 0 && to_ask.len() == 0;
        if events.len() == ats.len() || has_work && rest_waits { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(waits);
    for (at, event) in events {
        apply(cache, asked, &mut tracks[at], event);
    }
}

fn apply<'c>(cache: &'c Cache, asked: Tick, track: &mut Track<'c>, event: Event<'c>) {
    match event {
        Event::Filled(reply) => track.done(cache, Some(reply)),
        Event::Leased(lead, leased) => {
            let (hold, borne, reason) = *leased;
            track.tally.count(Happening::Miss(reason));
            track.state = State::Computes(lead, Some(Box::new(hold)), borne);
        }
        Event::Away(lead) => {
            track.tally.count(Happening::Miss(MissReason::Unreachable));
            let borne = Borne::now(cache, track.function, &track.plan.tags);
            track.state = State::Computes(lead, None, borne);
        }
        Event::Waited(waited) => {
            track.state = State::Open;
            followed(cache, asked, track, waited);
        }
    }
}

/// What a flight that was followed came to. Where it brings nothing, the key is open again.
fn followed<'c>(cache: &'c Cache, asked: Tick, track: &mut Track<'c>, waited: Waited) {
    let plan = track.plan;
    let followed = match waited {
        // An error is of a computation of other ids, too.
        Waited::Landed(Landing::Error(_)) => Followed::NotShared,
        waited => {
            let asked = track.looks_itself.then_some(asked);
            Followed::of(waited, &mut track.tally, plan, track.held.as_ref(), asked)
        }
    };
    match followed {
        Followed::Answer(reply) => track.done(cache, Some(reply)),
        Followed::Nothing => {}
        Followed::Misfit => track.state = State::Alone,
        // One of them leads, so that later callers have somebody to join.
        Followed::NotShared => {
            track.state = match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), || None::<()>) {
                Joined::Lead(lead) => {
                    State::Computes(lead, None, Borne::now(cache, track.function, &plan.tags))
                }
                Joined::Follow(_) | Joined::Found(()) => State::Alone,
            };
        }
    }
}
