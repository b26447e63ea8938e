//! Joining the flights of a batch, and looking into the shared tier for all that it leads.

use super::{State, Track};
use crate::engine::calling::Reply;
use crate::engine::fill::{self, Fill};
use crate::engine::flight::{Joined, Lead};
use crate::engine::lead::keep_stale;
use crate::engine::liveness;
use crate::engine::shared::{Borne, Glanced, Looked, Question, glance_many, look_many};
use crate::engine::stale::Held;
use crate::engine::together::together;
use crate::engine::{Cache, Landing, computing};
use crate::entry::MissReason;
use crate::event::stats::Happening;
use crate::key::Key;

/// Whose look into the shared tier an answer belongs to: of a leader, or of a call that looks for itself.
pub(super) type Leader<'c> = Lead<'c, Key, Borne, Landing>;

/// Finds for each key that is open who computes it.
pub(super) async fn join<'c>(cache: &'c Cache, tracks: &mut [Track<'c>]) {
    // `tier = shared`: each call looks for itself, since who began earlier may have seen an older value.
    look_through(cache, tracks).await;
    glance(cache, tracks).await;
    let mut leaders: Vec<(usize, Leader<'c>, Borne)> = Vec::new();
    for (at, track) in tracks.iter_mut().enumerate() {
        let seen = match &mut track.state {
            State::Open => None,
            State::Looked(seen) => Some(seen.take()),
            _ => continue,
        };
        let plan = track.plan;
        if computing::is_within(cache, &plan.key) {
            // The computation asks for itself: to follow it would be to wait for ever.
            track.tally.count(Happening::Miss(track.reason));
            track.state = State::Alone;
            continue;
        }
        let stored = || plan.peek(cache);
        match cache.0.flights.join(&plan.key, |borne| cache.covers(borne), stored) {
            Joined::Found(entry) => {
                track.tally.count_hit();
                track.done(cache, Some(Reply::Entry(entry)));
            }
            Joined::Follow(follow) => {
                track.tally.count(Happening::Joined);
                track.state = State::Follows(follow);
            }
            Joined::Lead(lead) => {
                let borne = || Borne::now(cache, track.function, &plan.tags);
                match (&track.question, seen) {
                    (Some(_), Some(Some(seen))) => track.state = State::Leads(lead, seen),
                    // It was looked for, and the shared tier was away.
                    (_, Some(None)) => {
                        track.tally.count(Happening::Miss(MissReason::Unreachable));
                        track.state = State::Computes(lead, None, borne());
                    }
                    (Some(question), None) => {
                        let borne = question.borne_to_look();
                        lead.bear(borne.clone());
                        leaders.push((at, lead, borne));
                    }
                    (None, _) => {
                        track.tally.count(Happening::Miss(track.reason));
                        track.state = State::Computes(lead, None, borne());
                    }
                }
            }
        }
    }
    look(cache, tracks, leaders).await;
}

/// One round trip for all that this call leads.
async fn look<'c>(cache: &'c Cache, tracks: &mut [Track<'c>], mut leaders: Vec<(usize, Leader<'c>, Borne)>) {
    let asked: Vec<(&Question<'_>, &mut Borne)> = leaders
        .iter_mut()
        .filter_map(|(at, _, borne)| Some((tracks[*at].question.as_ref()?, borne)))
        .collect();
    let looked = look_many(asked).await;
    for ((at, lead, borne), looked) in leaders.into_iter().zip(looked) {
        let track = &mut tracks[at];
        match looked {
            Looked::Usable(stored) => {
                track.tally.count(Happening::SharedHit);
                let plan = track.plan;
                let fill = Fill::found(&plan.key, &plan.remember, track.function, &stored);
                let reply = fill::land_found(cache, lead, &fill, &borne, stored.value, stored.size);
                track.done(cache, Some(reply));
            }
            Looked::Stale(stored) => {
                let seen = (MissReason::Expired, Some(stored.frame.clone()));
                let held = keep_stale(cache, track.function, track.plan, &lead, &borne, stored);
                if cache.is_resting(&track.plan.key)
                    && let Some(reply) = held.answer(&mut track.tally, track.plan)
                {
                    lead.land(Landing::StandIn(held.entry), |_| ());
                    track.done(cache, Some(reply));
                    continue;
                }
                track.held = Some(held);
                track.state = State::Leads(lead, seen);
            }
            Looked::Unusable(reason, frame) => track.state = State::Leads(lead, (reason, frame)),
            Looked::Away(_) => {
                track.tally.count(Happening::Miss(MissReason::Unreachable));
                track.state =
                    State::Computes(lead, None, Borne::now(cache, track.function, &track.plan.tags));
            }
        }
    }
}

/// One round trip for all that are looked for by each call itself.
async fn look_through<'c>(cache: &'c Cache, tracks: &mut [Track<'c>]) {
    let looks = |track: &Track<'c>| {
        let through = track.question.as_ref().is_some_and(|question| question.reads_through);
        through && matches!(track.state, State::Open) && !computing::is_within(cache, &track.plan.key)
    };
    let ats: Vec<usize> = (0..tracks.len()).filter(|at| looks(&tracks[*at])).collect();
    // Before the look: what is invalidated from here on shows.
    let questions: Vec<&Question<'_>> = ats.iter().filter_map(|at| tracks[*at].question.as_ref()).collect();
    let mut bornes: Vec<Borne> = questions.iter().map(|question| question.borne()).collect();
    let looked = look_many(questions.into_iter().zip(&mut bornes).collect()).await;
    for ((at, borne), looked) in ats.into_iter().zip(bornes).zip(looked) {
        let track = &mut tracks[at];
        track.looks_itself = true;
        match looked {
            Looked::Usable(stored) => {
                track.tally.count(Happening::SharedHit);
                track.done(cache, Some(Reply::Value(stored.value)));
            }
            Looked::Stale(stored) => {
                let seen = (MissReason::Expired, Some(stored.frame.clone()));
                let held = Held::new(cache, track.function, track.plan, &borne, stored);
                if cache.is_resting(&track.plan.key)
                    && let Some(reply) = held.answer(&mut track.tally, track.plan)
                {
                    track.done(cache, Some(reply));
                    continue;
                }
                track.held = Some(held);
                track.state = State::Looked(Some(seen));
            }
            Looked::Unusable(reason, frame) => {
                // What was held from an earlier look may have been invalidated since.
                track.held = None;
                track.state = State::Looked(Some((reason, frame)));
            }
            // Once is enough: a call waits for a dead server no longer than one time limit.
            Looked::Away(_) => {
                track.looks_itself = false;
                track.state = State::Looked(None);
            }
        }
    }
}

/// One round trip for all that are glanced at. Who computes is only asked where nothing is found.
async fn glance<'c>(cache: &'c Cache, tracks: &mut [Track<'c>]) {
    let glances = |track: &Track<'c>| {
        let is_open = matches!(track.state, State::Open) && track.plan.glances(cache, track.function);
        is_open && !computing::is_within(cache, &track.plan.key)
    };
    let (ats, asked): (Vec<usize>, Vec<&Question<'_>>) = tracks
        .iter()
        .enumerate()
        .filter(|(_, track)| glances(track))
        .filter_map(|(at, track)| Some((at, track.question.as_ref()?)))
        .unzip();
    for (at, glanced) in ats.into_iter().zip(glance_many(&asked).await) {
        let track = &mut tracks[at];
        match glanced {
            Glanced::Usable(stored) => {
                track.tally.count(Happening::SharedHit);
                track.done(cache, Some(Reply::Value(stored.value)));
            }
            Glanced::Absent => track.state = State::Looked(Some((MissReason::Absent, None))),
            // Once is enough: a call waits for a dead server no longer than one time limit.
            Glanced::Away => track.state = State::Looked(None),
            Glanced::Unsure => {}
        }
    }
}

/// Takes all keys, whatever is stored and whoever computes.
pub(super) async fn force<'c>(cache: &'c Cache, tracks: &mut [Track<'c>]) {
    let taking = tracks.iter_mut().map(|track| async move {
        let lead = cache.0.flights.lead(&track.plan.key);
        let (hold, borne) = match &track.question {
            Some(question) => {
                let (hold, borne) = liveness::keep(cache, &lead, question.take(question.borne())).await;
                (hold.ok(), borne)
            }
            None => (None, Borne::now(cache, track.function, &track.plan.tags)),
        };
        track.state = State::Computes(lead, hold.map(Box::new), borne);
    });
    together(taking).await;
}
