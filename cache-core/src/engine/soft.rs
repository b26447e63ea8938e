//! `timeout(soft = ..)`: a stale value answers when the computation takes too long, and the computation goes on.

use std::time::Duration;

use super::Cache;
use super::background::Background;
use super::calling::Reply;
use super::computing::note_source;
use super::fetch::Plan;
use super::limit::within;
use super::liveness;
use super::sources::Source;
use super::stale::{Held, answer_stale};
use super::tally::Tally;
use crate::entry::{Freshness, MissReason};
use crate::event::stats::Happening;

/// Answers a call that a stale value can stand in for: with the new value, if it is there within `soft`. `None` where nothing
/// stands in, or not any more: then the call goes on as all do.
pub(super) async fn softly(
    cache: &Cache,
    tally: &mut Tally<'_>,
    reason: MissReason,
    plan: &Plan,
    background: &mut Option<Background>,
    held: Option<&Held>,
    soft: Duration,
) -> Option<Reply> {
    plan.newest(cache, held)?;
    let computed = match within(&cache.0.clock, soft, joined(cache, tally, plan)).await {
        Some(Joined::Ended(computed)) => Some(computed),
        // In the background, so that it goes on when this call has its answer.
        Some(Joined::Nobody { waited }) => {
            let task = background.take()?.begin(cache, plan)?;
            tally.count(Happening::Miss(reason));
            let finished = within(&cache.0.clock, soft.saturating_sub(waited), task).await;
            finished.map(|finished| {
                let finished = finished.ok().flatten();
                let reply = finished.and_then(|finished| finished.reply);
                // It ran in a task of its own.
                if let Some(Reply::Entry(entry)) = &reply {
                    Source::of(entry).iter().for_each(note_source);
                }
                reply
            })
        }
        None => None,
    };
    let is_late = computed.is_none();
    if let Some(reply) = computed.flatten() {
        return Some(reply);
    }
    let newest = plan.newest(cache, held)?;
    if is_late {
        tally.function.counters.count(Happening::SoftTimeout);
    }
    if newest.freshness(cache.0.clock.now()) == Freshness::Fresh {
        // A remembered error, or what was put meanwhile.
        return Some(Reply::Entry(newest));
    }
    answer_stale(tally, plan, newest)
}

/// What a call came to by following another.
enum Joined {
    /// Its computation has ended: with a value, or without one that this call may have.
    Ended(Option<Reply>),
    /// Nobody computes, or whoever did went away.
    Nobody { waited: Duration },
}

async fn joined(cache: &Cache, tally: &mut Tally<'_>, plan: &Plan) -> Joined {
    let asked = cache.0.clock.now();
    while let Some(follow) = cache.0.flights.follow(&plan.key, |borne| cache.covers(borne)) {
        tally.count(Happening::Joined);
        let waited = liveness::wait(cache, &plan.key, follow).await;
        if !waited.leaves_it_open(cache, &plan.key) {
            return Joined::Ended(waited.value(plan, asked));
        }
    }
    Joined::Nobody { waited: cache.0.clock.now().since(asked) }
}
