//! The contract of the shared tier, and the backend that lives in this process.
//!
//! A backend keeps three things: entries, leases and the epochs of tags; and it carries messages between the
//! processes that share it. [`Backend`] says what it promises. [`Memory`] keeps all of it in this process.
//! To write another one, implement the trait and run the conformance suite (feature `testing`) over it.

mod bus;
pub mod dynamic;
mod entry;
mod epoch;
mod invalidation;
mod lease;
#[cfg(feature = "memory")]
mod memory;
mod name;
mod random;
#[cfg(feature = "schemes")]
mod scheme;

use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use bus::{Change, Feed, Heard, Listening, Message, Origin, Subscription, subscription};
pub use entry::{Fill, FillRequest, Found, FrameBytes, Read, ReadMany, Refill, RefillRequest, Tags};
pub use epoch::{Epoch, ServerTime};
pub use invalidation::InvalidateRequest;
pub use lease::{Claim, Grant, Lease, LeaseRequest, LeaseToken, Renewal};
#[cfg(feature = "memory")]
pub use memory::Memory;
pub use name::{EntryKey, Prefix, TagKey};
#[cfg(feature = "schemes")]
pub use scheme::{Opened, Scheme};
// For `register_scheme!`.
#[cfg(feature = "schemes")]
#[doc(hidden)]
pub use inventory as __inventory;

use crate::Error;

/// Stores entries, leases and epochs for all processes that share it, and tells them of changes.
///
/// A value of the type is a *view*: one process's (more exactly: one cache's) access to the store under one
/// prefix. Implementers write `async fn`.
///
/// ```
/// use std::time::Duration;
/// use cache_core::backend::*;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let backend = Memory::with_clock(|| 1_000_000);
/// let (key, second) = (EntryKey::from("menu_of:42"), Duration::from_secs(1));
///
/// // A miss: ask for the lease, compute, fill.
/// let request = LeaseRequest {
///     key: &key, token: LeaseToken::random(), life: second, tags: Tags::NONE, claim: Claim::Absent,
/// };
/// let Lease::Granted { grant, .. } = backend.lease(request).await? else { panic!("nobody else asks") };
/// let frame = FrameBytes::from(vec![1, 2, 3]);
/// let fill = FillRequest { key: &key, grant: &grant, frame: &frame, life: second, tags: Tags::NONE };
/// assert_eq!(backend.fill(fill).await?, Fill::Stored);
///
/// // A hit.
/// assert_eq!(backend.read(&key, &[]).await?.found.unwrap().frame, frame);
/// # Ok::<(), cache_core::Error>(())
/// # }).map_err(Box::<dyn std::error::Error>::from)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is promised
///
/// Each bullet is a test of the conformance suite, named in the same words.
///
/// Entries:
/// - **What was filled is read back byte for byte.** By every process, as soon as the fill was answered.
/// - **A frame of eight mebibytes is stored whole.** A larger one may be refused with
///   [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), and is never cut.
/// - **An empty frame is an entry.**
/// - **An entry is gone when its life has ended.** Lives are counted by the store, in ms, rounded up.
/// - **A life of zero keeps nothing.**
/// - **Any text is a key.** Empty, with braces, separators, line ends, NUL; and no two keys share an entry.
/// - **Two prefixes share nothing.** Neither entries nor leases nor epochs nor messages.
/// - **A read answers the epochs in the order of its tags.** `None` for an absent one; it creates none. One
///   round trip; entry and epochs need not be of one moment.
/// - **Many entries are read as each of them would be.** In the order of their keys, one as often as it is asked for, all at
///   once; and the epochs of tags that several of them bear but once.
///
/// Leases:
/// - **A free key is granted with the epochs of its tags.** Absent ones are created, at the latest now.
/// - **Of many who ask at once one is granted.** In one process and in several; the step is atomic.
/// - **The others are told how long the lease lives.** At most; unless it is renewed.
/// - **Asking again with the same token is granted the same.** So a request may be repeated when its answer
///   was lost. It also renews.
/// - **A lease ends with its life.** Then the next who asks is granted: a dead holder delays others no longer.
/// - **A renewed lease lives on.**
/// - **Only the current grant is renewed.**
/// - **A released lease is free at once.**
/// - **Only the holder releases.** Another token changes nothing, and is no error.
/// - **Whoever saw no entry is given the one filled meanwhile.** [`Claim::Absent`]: no lease is taken then.
/// - **Whoever saw an entry is granted its replacement.** [`Claim::Replace`]: it stays readable until the
///   fill; if another one stands there by now, that is the answer.
/// - **Taking a key voids the lease of another.** [`Claim::Take`] is how a value is put: take, then fill. A
///   `put` of one step could not be refused when it ran after a later invalidation.
///
/// Fills:
/// - **A fill ends its lease.** The key is stored and the lease gone in one atomic step.
/// - **A repeated fill changes nothing.** The answer to the repetition may be [`Fill::Refused`].
/// - **A fill under another grant is refused.** Nothing changes.
/// - **A fill after an invalidation is refused.** Whatever has happened to the key since.
/// - **A fill after its lease ended is refused.** Also when nobody else asked for it.
/// - **A grant does not come back with its token.** A request for a lease that runs late, after an
///   invalidation, makes a grant of its own; a late fill does not fit it.
/// - **A refill keeps the value under a new head.** The life is new, too, a mark is gone, and the lease ends, in one atomic step.
/// - **A refill of another frame changes nothing.** The lease lives, so that the value can be filled.
/// - **A refill after an invalidation is refused.** As a fill is.
///
/// Invalidation of a key, [`invalidate`](Backend::invalidate) and [`expire`](Backend::expire), entry and lease
/// in one atomic step:
/// - **An invalidation removes the entry.** For all processes, once it was answered.
/// - **An invalidation voids the lease.** The next who asks is granted at once.
/// - **Invalidating what is absent succeeds.** As often as one likes.
/// - **No entry is older than the invalidation of its key.** Under any interleaving of the above.
/// - **An expired entry stays readable and is marked.** For the time asked for.
/// - **Expiring never lengthens a life.** Whatever is asked for.
/// - **Expiring voids the lease.**
/// - **Expiring an absent key creates nothing.**
/// - **An expired entry does not answer a lease.** Whoever asks is granted.
/// - **A fill takes the mark away.**
///
/// Many invalidations in one call, [`invalidate_many`](Backend::invalidate_many):
/// - **Each of many invalidations takes effect.** As if it had been made alone, its message included, once the call was
///   answered.
/// - **Many invalidations answer the epochs in the order of their tags.**
/// - **Many invalidations void the leases of their keys.**
/// - **What is named twice is invalidated.** A key that is both removed and expired is removed.
/// - **Thousands are invalidated in one call.**
/// - **Invalidating nothing succeeds.**
///
/// Epochs:
/// - **Any text is a tag.** And no two tags share an epoch, reserved ones included.
/// - **An epoch stays until its tag is invalidated.** All processes see the same one, whoever created it.
/// - **Invalidating a tag makes its epoch greater.** For all processes, once it was answered; other tags keep
///   theirs. Also if the clock of the store went back.
/// - **A lost epoch comes back as another.** Evicted, expired or flushed: it is absent, and then drawn anew.
/// - **An epoch lives as long as it is needed.** The longest time that any [`Tags::life`] asked for; a
///   shorter one takes nothing away. Then it disappears by itself.
/// - **An invalidation after the grant is younger than the grant.** By
///   [`Epoch::is_younger_than`]; an epoch from before is not. So is an epoch created after it: whoever cannot
///   know must assume the worst. Where entries and tags lie on servers with clocks of their own, the
///   implementer makes up for the difference in that direction.
/// - **No entry is older than the invalidation of its tag.** For readers that compare epochs, under any
///   interleaving, lost epochs included.
/// - **Clearing a prefix leaves the others.** Invalidating [`TagKey::Everything`] moves the epoch of one prefix.
///
/// The bus, where the change and its message are one atomic step, so that no process dies between them:
/// - **An invalidation is heard by all.** By every subscription of the prefix that was answered before, the
///   sender's own included.
/// - **An expiry is heard by all.**
/// - **An invalidated tag is heard with its new epoch.**
/// - **Who was told held hears of the fill.** Fills that nobody waits for may be silent.
/// - **Who was told held hears of the release.** Likewise.
/// - **The fill of a taken key is heard by all.**
/// - **Every message names its origin.** The view that caused it; no two views have one.
/// - **A heartbeat is heard by its sender alone.** On the way that all messages go.
/// - **What may be missing is told as a gap.** Before the messages that come after it. A subscription finds
///   its way back by itself.
/// - **A dropped subscription leaves the others.**
///
/// Calls:
/// - **A call dropped half way leaves the store in order.** It has run, or not, or will; others go on. This is
///   the cancel safety of every method.
/// - **Every call may be repeated.** A repetition, or a call that timed out and runs later, can cost a miss,
///   a shorter or a forgotten lease, never a stale entry.
/// - **Health tells the time of the store.** On the clock that grants and epochs bear.
///
/// # What is not promised
///
/// - Keeping anything: entries, leases and epochs may be lost at any time (eviction, restart, fail-over). A
///   lost entry is a miss, a lost lease a second computation, a lost epoch a miss of all entries that bear it.
/// - Surviving a fail-over to a replica that lacks an invalidation: old epochs then fit old entries again.
/// - Atomicity over several keys, over a key and tags, or over several tags.
/// - An order of messages among each other, or of messages and answers. Delivery at all: a message is heard,
///   or lost with the connection, or lost silently by a broken server. Heartbeats find that out.
/// - Tags known only from the value, when the clock of the store is set back during the computation.
/// - Fairness: who of the waiters is granted next.
/// - A time limit of the engine's. An implementer puts one around each call: it alone knows how large a value is, which
///   connection it takes and whether there is one yet. The engine waits for as long as a call takes, counts failures, and
///   after a few in a row asks no more.
///
/// # Errors
/// Every method: [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) if the store did not answer; the call may
/// have run. [`ErrorKind::Refused`](crate::ErrorKind::Refused) if it answered that it cannot now (starting, full,
/// read-only).
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if it never will (a command forbidden to this
/// user). [`ErrorKind::NotReplicated`](crate::ErrorKind::NotReplicated) if it was done, but on fewer servers than asked
/// for. [`ErrorKind::Postponed`](crate::ErrorKind::Postponed), of an invalidation alone, if a part of the store cannot be
/// reached, and the backend makes the change there before it answers anything from that part again. What is stored under a name but is not ours is absent, and overwritten.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Another view of the same store, under `prefix`, with an [`Origin`] of its own. Connections are shared.
    fn view(&self, prefix: &Prefix) -> Self
    where
        Self: Sized;

    /// Who this view is on the bus.
    fn origin(&self) -> Origin;

    /// Reads an entry and the current epochs of `tags`, in one round trip.
    fn read(&self, key: &EntryKey, tags: &[TagKey]) -> impl Future<Output = Result<Read, Error>> + Send;

    /// Reads many entries and the current epochs of `tags`, in one round trip to each server. One that cannot be read now
    /// fails by itself; an epoch that cannot is told as absent.
    fn read_many(
        &self,
        keys: &[EntryKey],
        tags: &[TagKey],
    ) -> impl Future<Output = Result<ReadMany, Error>> + Send;

    /// Asks for the right to fill a key.
    fn lease(&self, request: LeaseRequest<'_>) -> impl Future<Output = Result<Lease, Error>> + Send;

    /// Lets a lease live for `life` from now.
    fn renew(
        &self,
        key: &EntryKey,
        grant: &Grant,
        life: Duration,
    ) -> impl Future<Output = Result<Renewal, Error>> + Send;

    /// Gives a lease up without a fill: the computation failed, or was cancelled.
    fn release(&self, key: &EntryKey, token: LeaseToken) -> impl Future<Output = Result<(), Error>> + Send;

    /// Stores a computed value, if its grant is current.
    fn fill(&self, request: FillRequest<'_>) -> impl Future<Output = Result<Fill, Error>> + Send;

    /// Stores the value that is there anew, under another head, if its grant is current and it is the one that was seen.
    fn refill(&self, request: RefillRequest<'_>) -> impl Future<Output = Result<Refill, Error>> + Send;

    /// The current epochs of tags, in their order, created where absent.
    fn epochs(&self, tags: Tags<'_>) -> impl Future<Output = Result<Vec<Epoch>, Error>> + Send;

    /// Removes entries and makes entries stale, with their leases, and gives tags new epochs, which it answers in their
    /// order. One round trip, or one to each server.
    ///
    /// An error may leave some of it done.
    fn invalidate_many(
        &self,
        request: InvalidateRequest<'_>,
    ) -> impl Future<Output = Result<Vec<Epoch>, Error>> + Send;

    /// The same for invalidations that have failed and are made once more, of which nobody waits for the answer: without waiting for
    /// more than that they are made.
    fn repeat_many(&self, request: InvalidateRequest<'_>) -> impl Future<Output = Result<(), Error>> + Send {
        async move { self.invalidate_many(request).await.map(drop) }
    }

    /// Removes an entry and voids its lease.
    fn invalidate(&self, key: &EntryKey) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            let keys = std::slice::from_ref(key);
            self.invalidate_many(InvalidateRequest { keys, ..InvalidateRequest::NOTHING }).await.map(drop)
        }
    }

    /// Makes an entry stale and voids its lease. It stays readable for `keep` (its grace) at most.
    fn expire(&self, key: &EntryKey, keep: Duration) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            let expired = &[(key.clone(), keep)];
            self.invalidate_many(InvalidateRequest { expired, ..InvalidateRequest::NOTHING }).await.map(drop)
        }
    }

    /// Gives tags new epochs and answers them, in their order.
    ///
    /// An error may leave some of the tags invalidated.
    fn invalidate_tags(&self, tags: Tags<'_>) -> impl Future<Output = Result<Vec<Epoch>, Error>> + Send {
        async move { self.invalidate_many(InvalidateRequest { tags, ..InvalidateRequest::NOTHING }).await }
    }

    /// Sends a message that this view's own subscriptions hear.
    fn heartbeat(&self, nonce: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// Listens to the messages of the prefix. Answers when messages arrive, not before.
    fn subscribe(&self) -> impl Future<Output = Result<Subscription, Error>> + Send;

    /// Asks whether the store is there, and what time it is.
    fn health(&self) -> impl Future<Output = Result<ServerTime, Error>> + Send;
}
