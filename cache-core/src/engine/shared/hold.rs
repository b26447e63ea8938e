//! A lease in hand.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::server_clock::{earlier, later};
use super::unreleased::Unneeded;
use super::{Borne, Question, Shared};
use crate::backend::dynamic::DynBackend;
use crate::backend::{
    Claim, EntryKey, Epoch, Fill, FillRequest, FrameBytes, Grant, InvalidateRequest, Lease, LeaseRequest,
    LeaseToken, Refill, RefillRequest, Renewal, ServerTime, TagKey, Tags,
};
use crate::clock::{Clock, Tick};
use crate::engine::together::turn;
use crate::error::Error;

/// How far the clock that calls ask may be behind.
const LAG: Duration = Duration::from_millis(10);

/// Renewals within a lease, so that two may get lost.
const RENEWALS: u32 = 3;

/// A lease that was granted, or may have been: as long as an answer is out, nobody knows.
///
/// Dropped before its end it is given up, so that nobody waits for its life to pass.
#[derive(Debug)]
pub(in crate::engine) struct Hold<'c> {
    shared: &'c Shared,
    backend: Arc<dyn DynBackend>,
    clock: Clock,
    key: EntryKey,
    token: LeaseToken,
    life: Duration,
    /// The tags that the value bears, and how long their epochs are kept at least.
    tags: Vec<TagKey>,
    tag_life: Duration,
    state: State,
    /// Whether something is there that the value would replace.
    replaces: bool,
    is_lost: AtomicBool,
    /// When it was last asked for, or to be renewed: who goes on keeping it need not begin anew.
    kept: Mutex<Tick>,
}

#[derive(Debug)]
enum State {
    /// Nothing to give up.
    Free,
    /// Asked for; the answer is out.
    Asked,
    Granted {
        grant: Grant,
        epochs: Vec<Epoch>,
        answered: Tick,
    },
}

/// How long an entry is kept, and the tags that must be kept longer for it.
pub(in crate::engine) struct Kept {
    pub(in crate::engine) life: Duration,
    pub(in crate::engine) tags: (Vec<TagKey>, Duration),
}

impl Kept {
    fn tags(&self) -> Tags<'_> {
        Tags { keys: &self.tags.0, life: self.tags.1 }
    }
}

/// What became of a value that was to be stored anew without being sent.
pub(in crate::engine) enum Refilled<'c> {
    Stored,
    Refused,
    Unknown,
    /// It is not there any more; the lease is.
    Other(Box<Hold<'c>>),
}

/// What became of a fill.
#[derive(Debug)]
pub(in crate::engine) enum Filled {
    Stored,
    /// The lease was voided, or has ended.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl<'c> Hold<'c> {
    /// None yet.
    pub(super) fn none(question: &Question<'c>) -> Self {
        Self {
            shared: question.shared,
            backend: question.shared.backend.clone(),
            clock: question.cache.0.clock.clone(),
            key: question.key.clone(),
            token: LeaseToken::random(),
            life: question.lease,
            tags: Vec::new(),
            tag_life: Duration::ZERO,
            state: State::Free,
            replaces: false,
            is_lost: AtomicBool::new(false),
            kept: Mutex::new(question.cache.0.clock.now()),
        }
    }

    /// Whether something is there that the value would replace.
    pub(in crate::engine) fn replaces(&self) -> bool {
        self.replaces
    }

    /// Takes the key, whatever is there and whoever computes.
    pub(in crate::engine) async fn take(question: &Question<'c>) -> Result<Self, Error> {
        let mut hold = Self::none(question);
        hold.ask(question, Claim::Take).await?;
        Ok(hold)
    }

    /// Asks for the lease.
    pub(super) async fn ask(&mut self, question: &Question<'_>, claim: Claim<'_>) -> Result<Lease, Error> {
        let clock = &question.cache.0.clock;
        (self.tags, self.tag_life) = (question.tag_keys(), question.tag_life());
        let tags = Tags { keys: &self.tags, life: self.tag_life };
        let request = LeaseRequest { key: &self.key, token: self.token, life: self.life, tags, claim };
        self.state = State::Asked;
        self.replaces = !matches!(claim, Claim::Absent);
        let asked = clock.now();
        let lease = self.shared.ask(self.backend.lease(request)).await?;
        self.state = match &lease {
            Lease::Granted { grant, epochs } => {
                let answered = clock.now();
                self.shared.server_clock.told(grant.granted_at, asked, answered);
                self.set_kept(asked);
                State::Granted { grant: *grant, epochs: epochs.clone(), answered }
            }
            Lease::Held { .. } | Lease::Filled { .. } => State::Free,
        };
        Ok(lease)
    }

    /// The epochs of the tags before the computation, in the order of the question's tags.
    pub(in crate::engine) fn epochs(&self) -> &[Epoch] {
        match &self.state {
            State::Granted { epochs, .. } => epochs,
            _ => &[],
        }
    }

    /// The server's time at `now`, or a little earlier: so that nothing is taken for younger than it is.
    pub(in crate::engine) fn server_time(&self, now: Tick) -> ServerTime {
        match &self.state {
            State::Granted { grant, answered, .. } => later(grant.granted_at, now.since(*answered)),
            _ => ServerTime::from_micros(0),
        }
    }

    /// Runs `body`, and renews the lease until it ends. `borne` is what its value will bear.
    pub(in crate::engine) async fn keep<F: Future>(
        &self,
        clock: &Clock,
        borne: &Borne,
        body: F,
    ) -> F::Output {
        let mut body = pin!(body);
        let mut renewals = None;
        poll_fn(|context| {
            if let Poll::Ready(output) = body.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            // Only made for a body that waits.
            let renewals = renewals.get_or_insert_with(|| Box::pin(self.renew(clock, borne, None)));
            let Poll::Pending = renewals.as_mut().poll(context);
            Poll::Pending
        })
        .await
    }

    fn kept(&self) -> Tick {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_kept(&self, at: Tick) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Renews the lease for as long as it is polled; of many that is done in `turns`. Gives it up instead when what it bears was
    /// invalidated: nobody could use what is stored then, and those who ask now wait for it.
    pub(in crate::engine) async fn renew(
        &self,
        clock: &Clock,
        borne: &Borne,
        turns: Option<&Semaphore>,
    ) -> Infallible {
        let State::Granted { grant, answered, .. } = &self.state else { return pending().await };
        let mut kept = *answered;
        loop {
            clock.sleep((self.life / RENEWALS).saturating_sub(clock.now().since(self.kept()))).await;
            if borne.is_invalidated() {
                self.is_lost.store(true, Ordering::Relaxed);
                let ends = self.kept().later(self.life);
                let lease = Unneeded { key: self.key.clone(), token: self.token, ends, to_come: None };
                self.shared.release(clock, lease);
                return pending().await;
            }
            let turn = turn(turns).await;
            self.set_kept(clock.now());
            let renewal = self.shared.ask(self.backend.renew(&self.key, grant, self.life)).await;
            // An error is not the end: the next renewal may come in time.
            if matches!(renewal, Ok(Renewal::Refused)) {
                self.is_lost.store(true, Ordering::Relaxed);
                return pending().await;
            }
            // Half of their life is a ttl and some renewals: the epochs must outlive the value, which is yet to come.
            if clock.now().since(kept) >= self.tag_life / 2 {
                let tags = Tags { keys: &self.tags, life: self.tag_life };
                if self.shared.ask(self.backend.epochs(tags)).await.is_ok() {
                    kept = clock.now();
                }
            }
            drop(turn);
        }
    }

    /// Whether an epoch is younger than the grant: the tag was invalidated since, or may have been.
    pub(in crate::engine) fn is_older_than(&self, epoch: Epoch) -> bool {
        match &self.state {
            State::Granted { grant, .. } => epoch.is_younger_than(grant.granted_at),
            _ => true,
        }
    }

    /// Whether an epoch may have come after `begun`, which may be before the grant.
    pub(in crate::engine) fn may_have_moved_since(&self, epoch: Epoch, begun: Tick) -> bool {
        match &self.state {
            State::Granted { grant, answered, .. } => {
                let before = answered.since(begun).saturating_add(LAG);
                epoch.is_younger_than(earlier(grant.granted_at, before))
            }
            _ => true,
        }
    }

    /// The grant, if it may still be made use of; otherwise what that means for a fill.
    fn usable_grant(&mut self) -> Result<Grant, Filled> {
        let State::Granted { grant, .. } = self.state else { return Err(Filled::Refused) };
        if self.is_lost.load(Ordering::Relaxed) {
            self.state = State::Free;
            return Err(Filled::Refused);
        }
        if self.shared.breaker.is_open() {
            return Err(Filled::Unknown);
        }
        Ok(grant)
    }

    /// Stores the value anew that was `seen`, its last `size` bytes under another head, and ends the lease.
    pub(in crate::engine) async fn refill(
        mut self,
        seen: &FrameBytes,
        size: usize,
        head: Vec<u8>,
        kept: &Kept,
    ) -> Refilled<'c> {
        let grant = match self.usable_grant() {
            Ok(grant) => grant,
            Err(Filled::Refused | Filled::Stored) => return Refilled::Refused,
            Err(Filled::Unknown) => return Refilled::Unknown,
        };
        let (key, life, tags) = (&self.key, kept.life, kept.tags());
        let request = RefillRequest { key, grant: &grant, seen, head: &head, size, life, tags };
        match self.shared.ask(self.backend.refill(request)).await {
            Ok(Refill::Other) => Refilled::Other(Box::new(self)),
            Ok(refill) => {
                self.state = State::Free;
                if refill == Refill::Stored { Refilled::Stored } else { Refilled::Refused }
            }
            Err(_) => Refilled::Unknown,
        }
    }

    /// Stores `frame`, and ends the lease.
    pub(in crate::engine) async fn fill(mut self, frame: Vec<u8>, kept: &Kept) -> Filled {
        let grant = match self.usable_grant() {
            Ok(grant) => grant,
            Err(filled) => return filled,
        };
        let frame = FrameBytes::from(frame).shared();
        let (key, life, tags) = (&self.key, kept.life, kept.tags());
        let request = FillRequest { key, grant: &grant, frame: &frame, life, tags };
        match self.shared.ask(self.backend.fill(request)).await {
            Ok(fill) => {
                self.state = State::Free;
                if fill == Fill::Stored { Filled::Stored } else { Filled::Refused }
            }
            // Given up by the drop: the fill may have run or not, and nobody shall wait for that.
            Err(_) => Filled::Unknown,
        }
    }

    /// Removes what is stored and ends the lease: the answer is newer, and not to be stored. Where that fails it is done
    /// later, as with all that is invalidated: otherwise the older value would come back.
    pub(in crate::engine) async fn remove(mut self) -> Result<(), Error> {
        // What lands here afterwards is not to be removed by the message.
        let underway = self.shared.expect_echo(&self.key);
        let request =
            InvalidateRequest { keys: std::slice::from_ref(&self.key), ..InvalidateRequest::NOTHING };
        self.shared.invalidate(request).await?;
        underway.answered();
        self.state = State::Free;
        Ok(())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let (begun, to_come) = match self.state {
            State::Free => return,
            State::Granted { .. } => (self.kept(), None),
            State::Asked => (self.clock.now(), Some(self.life)),
        };
        let ends = begun.later(self.life);
        let lease = Unneeded { key: self.key.clone(), token: self.token, ends, to_come };
        self.shared.release(&self.clock, lease);
    }
}
