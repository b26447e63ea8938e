//! What a call comes to by following another.

use super::calling::Reply;
use super::computing::note_source;
use super::fetch::Plan;
use super::liveness::Waited;
use super::sources::Source;
use super::stale::{Held, answer_stale, answer_stand_in};
use super::tally::Tally;
use super::{Cache, Landing};
use crate::clock::Tick;
use crate::key::Key;

/// What a flight that was followed brings to one who followed it.
pub(super) enum Followed {
    /// An answer.
    Answer(Reply),
    /// Nothing: it starts over.
    Nothing,
    /// What only a call of other types can have: it computes for itself.
    Misfit,
    /// That each computes for itself, at once and not one after the other.
    NotShared,
}

impl Followed {
    /// What that is which a call of `plan` has waited for. `asked` is when the call asked the shared tier itself: `tier = shared`.
    pub(super) fn of(
        waited: Waited,
        tally: &mut Tally<'_>,
        plan: &Plan,
        held: Option<&Held>,
        asked: Option<Tick>,
    ) -> Self {
        let answer = |reply: Option<Reply>| reply.map_or(Self::Nothing, Self::Answer);
        match waited {
            // Whoever led it took too long, perhaps: then the next attempt waits, for this call, too.
            Waited::Abandoned => answer(rests_with(tally, plan, held)),
            // Nor does it take what others held from before: it finds one of its own, or none.
            Waited::Landed(Landing::StandIn(_)) if asked.is_some() => Self::Nothing,
            Waited::Landed(Landing::StandIn(entry)) => answer(answer_stand_in(tally, plan, entry)),
            Waited::Landed(landing) if landing.is_older_than(asked) => Self::Nothing,
            Waited::Landed(Landing::Value(entry)) if entry.is_a(plan.of()) => {
                Source::of(&entry).iter().for_each(note_source);
                Self::Answer(Reply::Entry(entry))
            }
            Waited::Landed(Landing::Absent(begun)) if plan.terms.has_absent => {
                note_source(&Source::absence(begun));
                Self::Answer(Reply::Absent)
            }
            Waited::Landed(Landing::Error(packed)) if plan.terms.takes(&packed) => {
                Self::Answer(Reply::Error(packed))
            }
            Waited::Landed(Landing::Value(_) | Landing::Absent(_) | Landing::Error(_)) => Self::Misfit,
            Waited::Landed(Landing::NotShared) => Self::NotShared,
        }
    }
}

impl Waited {
    /// Whether nobody computes any more, unless who has waited does.
    pub(super) fn leaves_it_open(&self, cache: &Cache, key: &Key) -> bool {
        // Whoever led it took too long, perhaps: then the next attempt waits.
        matches!(self, Self::Abandoned) && !cache.is_resting(key)
    }

    /// The value that is new to one who asked for it at `asked`.
    pub(super) fn value(self, plan: &Plan, asked: Tick) -> Option<Reply> {
        match self {
            Self::Landed(landing) if landing.is_older_than(plan.remember.reads_through.then_some(asked)) => {
                None
            }
            Self::Landed(Landing::Value(entry)) => {
                Source::of(&entry).iter().for_each(note_source);
                Some(entry).filter(|entry| entry.is_a(plan.of())).map(Reply::Entry)
            }
            Self::Landed(_) | Self::Abandoned => None,
        }
    }
}

impl Landing {
    /// Whether it may be older than an invalidation elsewhere that came before somebody `asked` the shared tier: with `tier = shared`
    /// what is handed to a follower is not, if its computation began after that.
    fn is_older_than(&self, asked: Option<Tick>) -> bool {
        let begun = match self {
            Self::Value(entry) => entry.begun(),
            Self::Absent(begun) => *begun,
            Self::StandIn(_) | Self::Error(_) | Self::NotShared => return false,
        };
        asked.is_some_and(|asked| begun <= asked)
    }
}

/// A stale value, while the last computation has failed a moment ago.
fn rests_with(tally: &mut Tally<'_>, plan: &Plan, held: Option<&Held>) -> Option<Reply> {
    let cache: &Cache = tally.cache;
    if !cache.is_resting(&plan.key) {
        return None;
    }
    let newest = plan.newest(cache, held)?;
    answer_stale(tally, plan, newest)
}
