//! Waiting for a leader that may never be polled again.
//!
//! A leader that is dropped wakes its followers. One that is kept but no longer polled does not: its runtime
//! stands still, or it sits in a `select!` whose other arm waits for the same key ("futurelock"). So a leader
//! shows that it lives whenever it is polled, sees to it that it is polled, and followers do not wait for one
//! that has shown nothing for 10 s.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::flight::{Bearing, Follow, Lead};
use super::shared::Borne;
use super::{Cache, Landing};
use crate::clock::Clock;
use crate::entry::LEASE;
use crate::key::Key;

/// The looks of a follower at its leader within a lease.
const LOOKS: u32 = 4;

/// Beats of a leader within a lease: more than looks, so that each look finds one.
const BEATS: u32 = 10;

/// A runtime that has not let a task go on for so long, though it was to, counts as standing still.
pub(super) const STANDSTILL: Duration = Duration::from_secs(5);

/// How a wait ended.
pub(super) enum Waited {
    Landed(Landing),
    /// The leader went away, or stopped being polled.
    Abandoned,
}

/// Waits for the landing of a flight.
///
/// # Cancel safety
///
/// Dropping the future takes the follower off the flight.
pub(super) async fn wait(cache: &Cache, key: &Key, mut follow: Follow<Borne, Landing>) -> Waited {
    wait_on(cache, key, &mut follow).await
}

/// The same for a follower that goes on waiting when the future is dropped.
pub(super) async fn wait_on(cache: &Cache, key: &Key, follow: &mut Follow<Borne, Landing>) -> Waited {
    let mut follow = Pin::new(follow);
    let mut sleep = Box::pin(cache.0.clock.sleep_about(LEASE / LOOKS));
    let (mut beats, mut silent) = (follow.beats(), 0);
    let waited = poll_fn(|context| {
        if let Poll::Ready(landing) = follow.as_mut().poll(context) {
            return Poll::Ready(landing.map_or(Waited::Abandoned, Waited::Landed));
        }
        while sleep.as_mut().poll(context).is_ready() {
            let seen = follow.beats();
            silent = if seen == beats { silent + 1 } else { 0 };
            beats = seen;
            if silent >= LOOKS {
                return Poll::Ready(Waited::Abandoned);
            }
            sleep.set(cache.0.clock.sleep_about(LEASE / LOOKS));
        }
        Poll::Pending
    })
    .await;
    if silent >= LOOKS {
        cache.0.flights.give_up(key, &follow);
    }
    waited
}

/// Runs a leader's computation and shows that it lives.
pub(super) async fn keep<B: Bearing, F: Future>(
    cache: &Cache,
    lead: &Lead<'_, Key, B, Landing>,
    body: F,
) -> F::Output {
    keep_all(&cache.0.clock, || lead.beat(), body).await
}

/// The same for whatever `beat` shows.
pub(super) async fn keep_all<F: Future>(clock: &Clock, beat: impl Fn(), body: F) -> F::Output {
    let mut body = pin!(body);
    let mut showing = None;
    poll_fn(|context| {
        beat();
        if let Poll::Ready(output) = body.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        let showing = showing.get_or_insert_with(|| Box::pin(show(clock, &beat)));
        let Poll::Pending = showing.as_mut().poll(context);
        Poll::Pending
    })
    .await
}

/// Shows for as long as it is polled that somebody lives, and sees to it that it is polled.
pub(super) async fn show(clock: &Clock, beat: impl Fn()) -> Infallible {
    loop {
        beat();
        clock.sleep_about(LEASE / BEATS).await;
    }
}
