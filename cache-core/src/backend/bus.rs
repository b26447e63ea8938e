//! The bus: how processes tell each other of changes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{EntryKey, Epoch, TagKey, random};

/// 64 random bits that name one view of a store: who sent a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(u64);

impl Origin {
    /// Who is no view: a program that is not Larder, and changed the store by the documented script.
    pub const OUTSIDE: Self = Self(0);

    /// Draws an origin.
    pub fn random() -> Self {
        Self(random::bits().max(1))
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Reads what [`bits`](Self::bits) gave.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({:016x})", self.0)
    }
}

/// What travels on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who changed something.
    pub origin: Origin,
    /// What changed.
    pub change: Change,
}

/// What a message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The entry was removed and its lease voided.
    Invalidated {
        /// Whose entry.
        key: EntryKey,
    },
    /// The entry was made stale and its lease voided.
    Expired {
        /// Whose entry.
        key: EntryKey,
    },
    /// The tags have new epochs. Messages can overtake each other: the greater epoch of a tag is the newer.
    TagsInvalidated {
        /// The tags with their new epochs.
        epochs: Vec<(TagKey, Epoch)>,
    },
    /// The entry was filled: waiters can read it, and older copies are out of date.
    Filled {
        /// Whose entry.
        key: EntryKey,
    },
    /// The lease was given up without a fill: waiters can ask for it.
    Released {
        /// Whose lease.
        key: EntryKey,
    },
    /// A program that is not Larder asks for invalidations. Whoever hears it makes them in the store, too: the program
    /// could not.
    Requested {
        /// Whose entries are to be removed.
        keys: Vec<EntryKey>,
        /// What is to get a new epoch.
        tags: Vec<TagKey>,
    },
    /// A program that is not Larder said what cannot be read.
    Unread {
        /// Why not, and what to write.
        why: &'static str,
    },
    /// The sender hears itself.
    Heartbeat {
        /// Tells one heartbeat from the next.
        nonce: u64,
    },
}

/// What a subscription yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// Messages may be missing here: the connection broke, or the subscriber was too slow. Whatever was
    /// learned from the bus before is in doubt; waiters look for themselves.
    Gap,
}

/// Makes a subscription and the feed that a backend fills it through.
///
/// The queue between holds `capacity` messages. One more drops them all and leaves a [`Heard::Gap`]: the
/// feed never waits (it may run inside a connection's driver) and memory is bounded.
///
/// ```
/// use cache_core::backend::{Heard, subscription};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let (feed, mut subscription) = subscription(1024);
/// feed.send(Heard::Gap);
/// assert_eq!(subscription.hear().await, Some(Heard::Gap));
/// drop(feed);
/// assert_eq!(subscription.hear().await, None);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn subscription(capacity: usize) -> (Feed, Subscription) {
    let queue =
        Arc::new(Queue { inner: Mutex::default(), arrival: Notify::new(), capacity: capacity.max(1) });
    (Feed(Arc::clone(&queue)), Subscription { queue, filter: None })
}

struct Queue {
    inner: Mutex<Inner>,
    arrival: Notify,
    capacity: usize,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Heard>,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Heard> {
        self.lock().waiting.pop_front()
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.arrival.notify_one();
    }
}

/// The backend's end of a subscription. Dropping it ends the subscription, once it has been heard out.
pub struct Feed(Arc<Queue>);

/// Whether anybody still listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// The subscription is there.
    Yes,
    /// The subscription was dropped: the feed can go.
    No,
}

impl Feed {
    /// Whether anybody still listens, without sending anything.
    pub fn listening(&self) -> Listening {
        if self.0.lock().is_closed { Listening::No } else { Listening::Yes }
    }

    /// Hands over what was heard, without waiting.
    pub fn send(&self, heard: Heard) -> Listening {
        let mut inner = self.0.lock();
        if inner.is_closed {
            return Listening::No;
        }
        // A gap voids what was heard before it, so two in a row are one.
        if heard == Heard::Gap && inner.waiting.back() == Some(&Heard::Gap) {
            return Listening::Yes;
        }
        if inner.waiting.len() >= self.0.capacity {
            inner.waiting.clear();
            inner.waiting.push_back(Heard::Gap);
        } else {
            inner.waiting.push_back(heard);
        }
        drop(inner);
        self.0.arrival.notify_one();
        Listening::Yes
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("waiting", &self.0.lock().waiting.len()).finish_non_exhaustive()
    }
}

type Filter = Box<dyn FnMut(Heard) -> Option<Heard> + Send>;

/// Hears the bus, from the moment it was answered by [`subscribe`](super::Backend::subscribe).
pub struct Subscription {
    queue: Arc<Queue>,
    filter: Option<Filter>,
}

impl Subscription {
    /// Waits for what comes next; `None` when the store is gone for good.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn hear(&mut self) -> Option<Heard> {
        loop {
            while let Some(heard) = self.queue.next() {
                let kept = match &mut self.filter {
                    Some(filter) => filter(heard),
                    None => Some(heard),
                };
                if kept.is_some() {
                    return kept;
                }
            }
            {
                let inner = self.queue.lock();
                if inner.is_closed && inner.waiting.is_empty() {
                    return None;
                }
            }
            // One subscriber, and a permit is kept for it: an arrival before this line is not missed.
            self.queue.arrival.notified().await;
        }
    }

    /// Passes all that is heard through `filter`, which may change or drop it: for backends that wrap another.
    #[must_use]
    pub fn filtered(mut self, mut filter: impl FnMut(Heard) -> Option<Heard> + Send + 'static) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(mut inner) => Box::new(move |heard| inner(heard).and_then(&mut filter)),
            None => Box::new(filter),
        });
        self
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        inner.is_closed = true;
        inner.waiting.clear();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("waiting", &self.queue.lock().waiting.len())
            .finish_non_exhaustive()
    }
}
