//! One call that the local tier did not answer: within its time limit, and with what it leaves to the background.

use std::time::Duration;

use super::background::Background;
use super::body::Body;
use super::boxed::boxed;
use super::calling::Reply;
use super::fetch::{self, Asking, Plan};
use super::limit::within_or_stop;
use super::queue::Rank;
use super::stale::answer_stale;
use super::tally::Tally;
use super::trace::{self, Answered};
use super::{Cache, Function};
use crate::entry::MissReason;
use crate::error::{Error, ErrorKind};
use crate::event::stats::Happening;

/// Answers a call that the local tier did not, within its time limit. Tells which value of the shared tier is to be recomputed.
pub(super) async fn run(
    cache: &Cache,
    reason: MissReason,
    plan: &Plan,
    background: &mut Option<Background>,
    body: Body,
) -> (Reply, Option<u64>) {
    let function = cache.0.functions.of(plan.key.identity());
    let mut tally = Tally::new(cache, &function, &plan.key, !plan.remember.grace.is_zero());
    let asking = Asking { cache, function: &function, plan, reason };
    let stop = body.stop();
    let fetching = boxed(|| fetch::fetch(&asking, &mut tally, background, body));
    let reply = match plan.remember.hard_timeout.filter(|_| plan.terms.gives_up) {
        None => fetching.await,
        Some(limit) => match within_or_stop(&cache.0.clock, limit, fetching, stop).await {
            Some(reply) => reply,
            None => {
                let error = timed_out(&function, limit);
                let stale = cache.0.stand_in(&plan.key, plan.of());
                stale.iter().for_each(|_| cache.0.set_back(&plan.key));
                let answered = stale.and_then(|entry| answer_stale(&mut tally, plan, entry));
                answered.unwrap_or_else(|| {
                    // Where it was on the way to a tier yet, nobody has said so.
                    tally.count(Happening::Miss(reason));
                    Reply::GaveUp(error)
                })
            }
        },
    };
    if trace::is_watched() {
        trace::note(cache, Some(&plan.key), &function.title(), Answered::of(tally.told));
    }
    (reply, tally.due)
}

/// Has recomputed what the shared tier had and is due, or keeps warm what was just stored.
#[cold]
pub(super) fn see_to(cache: &Cache, due: Option<u64>, plan: Plan, background: Background) {
    let Some(refresh) = plan.remember.refresh else { return };
    // A read finds the value due again and again; a failed attempt rests all the same.
    let due = due.filter(|_| !cache.is_resting(&plan.key));
    if due.is_none() && refresh.idle.is_none() {
        return;
    }
    let refresher = background.refresher(cache, plan);
    match due {
        Some(version) => {
            cache.refresh_soon(Rank { priority: refresh.priority, gain: 0 }, Some(version), refresher)
        }
        None => cache.keep_warm(refresher),
    }
}

/// The computation took longer than it may. Counted.
#[cold]
pub(super) fn timed_out(function: &Function, limit: Duration) -> Error {
    function.counters.count(Happening::HardTimeout);
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "compute {}: it took longer than {limit:?}; raise `timeout(hard = ..)`, or see to what it waits for",
            function.title()
        ),
    )
}
