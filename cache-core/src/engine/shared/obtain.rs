//! From a miss in the local tier to a value of another process, or the right to compute one.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::stored::Stored;
use super::{Borne, Hold, Looked, Question};
use crate::backend::{Claim, Epoch, FrameBytes, Lease};
use crate::engine::together::turn;
use crate::entry::MissReason;

/// How long a waiter sleeps at most before it looks for itself: messages can be lost.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same while the bus is silent.
const IMPATIENCE: Duration = Duration::from_millis(40);

/// What came of asking the shared tier.
#[derive(Debug)]
pub(in crate::engine) enum Obtained<'c> {
    /// A value that another process filled.
    Value(Stored, Borne),
    /// The right to compute, and why there was no value.
    Lease(Hold<'c>, Borne, MissReason),
    /// The shared tier cannot be asked: go on without.
    Away,
}

/// What happens on the way.
#[derive(Debug)]
pub(in crate::engine) enum Underway<'b> {
    /// The epochs were taken anew: what comes is not older than this.
    Bearing(&'b Borne),
    /// More is known of the same epochs.
    Learned(&'b Borne),
    /// Another one computes, and is waited for.
    Waiting,
}

/// What a look has found in place of a usable value.
pub(in crate::engine) type Seen = (MissReason, Option<FrameBytes>);

/// Asks for the lease, after a look has `seen` no usable value; waits for whoever has it. Of many each asks in its turn.
///
/// # Cancel safety
///
/// A lease that was granted, or may have been, is given up.
pub(in crate::engine) async fn obtain<'c>(
    question: &Question<'c>,
    seen: Seen,
    turns: Option<&Semaphore>,
    mut tell: impl FnMut(Underway<'_>),
) -> Obtained<'c> {
    let (mut reason, mut seen) = seen;
    // Before the lease is asked for: a message that overtakes the answer is not missed.
    let waiter = question.shared.waiters.register(&question.key);
    let mut hold = Hold::none(question);
    loop {
        // Before the epochs are taken, which are of this moment then.
        let turn = turn(turns).await;
        let mut borne = question.borne();
        tell(Underway::Bearing(&borne));
        // After the epochs were taken: an invalidation that could not be made there does not show in what is there, and
        // one that fails from here on shows in the epochs.
        if question.shared.is_away() {
            return Obtained::Away;
        }
        let asked = hold.ask(question, claim(seen.as_ref())).await;
        drop(turn);
        match asked {
            Ok(Lease::Granted { epochs, .. }) => {
                borne.learn(question.cache, epochs.iter().copied().map(Some));
                tell(Underway::Learned(&borne));
                return Obtained::Lease(hold, borne, reason);
            }
            Ok(Lease::Filled { found, epochs }) => {
                borne.learn(question.cache, epochs.iter().copied().map(Some));
                match question.judge(Some(found), Some(Epoch::combined(epochs)), &mut borne).await {
                    Looked::Usable(stored) => return Obtained::Value(stored, borne),
                    Looked::Stale(stored) => (reason, seen) = (MissReason::Expired, Some(stored.frame)),
                    Looked::Unusable(why, frame) => (reason, seen) = (why, frame),
                    Looked::Away(_) => return Obtained::Away,
                }
            }
            Ok(Lease::Held { remaining }) => {
                tell(Underway::Waiting);
                question.wait(&waiter, remaining).await;
            }
            Err(_) => return Obtained::Away,
        }
    }
}

fn claim(seen: Option<&FrameBytes>) -> Claim<'_> {
    seen.map_or(Claim::Absent, Claim::Replace)
}

impl Question<'_> {
    /// Waits for a message, for the end of the lease, or for the time to look again.
    async fn wait(&self, waiter: &super::waiters::Waiter<'_>, remaining: Duration) {
        let cache = &self.cache.0;
        let patience = if cache.trust.is_given(cache.clock.now()) { PATIENCE } else { IMPATIENCE };
        // Jitter, so that many do not ask at once.
        let patience = patience.mul_f64(0.75 + cache.chance.unit() / 2.0);
        waiter.wait(&cache.clock, patience.min(remaining)).await;
    }
}
