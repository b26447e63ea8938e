//! Who subscribed to the events of a cache, and what waits for them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use tokio::sync::Notify;

use super::told::Event;
use super::watch::Watching;

/// Those who subscribed to one cache.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    count: AtomicUsize,
    queues: RwLock<Vec<Arc<Queue>>>,
}

/// What waits for one subscriber. Full, it lets go the oldest: who is late learns how things stand, and how much it missed.
#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    arrival: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    lost: u64,
    is_closed: bool,
}

/// The events of a cache, from [`Cache::subscribe`](crate::Cache::subscribe) on, in their order. Dropping it unsubscribes.
///
/// ```
/// # async fn example(cache: cache_core::Cache) {
/// use cache_core::Event;
///
/// let mut events = cache.subscribe();
/// while let Some(event) = events.next().await {
///     match event {
///         Event::Miss { key, reason, .. } => println!("{key}: {reason:?}"),
///         Event::Lost(count) => println!("{count} events were lost"),
///         _ => {}
///     }
/// }
/// # }
/// ```
pub struct Events {
    queue: Arc<Queue>,
    subscribers: Weak<Subscribers>,
    _watching: Watching,
}

impl Subscribers {
    pub(crate) fn subscribe(self: &Arc<Self>, capacity: usize) -> Events {
        let capacity = capacity.max(1);
        let queue = Arc::new(Queue { waiting: Mutex::default(), arrival: Notify::new(), capacity });
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.push(queue.clone());
        self.count.store(queues.len(), Ordering::Relaxed);
        drop(queues);
        Events { queue, subscribers: Arc::downgrade(self), _watching: Watching::begin() }
    }

    /// Whether anybody did.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Tells all of them what `event` makes; it is made only if there are any. Never waits for one.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.is_any() {
            self.deliver(&event());
        }
    }

    #[cold]
    fn deliver(&self, event: &Event) {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner).clone();
        // Outside the lock: it wakes others, who may leave then.
        for queue in queues {
            queue.push(event.clone());
        }
    }

    fn leave(&self, leaving: &Arc<Queue>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| !Arc::ptr_eq(queue, leaving));
        self.count.store(queues.len(), Ordering::Relaxed);
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        for queue in self.queues.get_mut().unwrap_or_else(PoisonError::into_inner) {
            queue.lock().is_closed = true;
            queue.arrival.notify_one();
        }
    }
}

impl Queue {
    fn push(&self, event: Event) {
        let mut waiting = self.lock();
        let oldest = if waiting.events.len() < self.capacity {
            None
        } else {
            waiting.lost += 1;
            waiting.events.pop_front()
        };
        waiting.events.push_back(event);
        drop(waiting);
        // Outside the lock.
        drop(oldest);
        self.arrival.notify_one();
    }

    /// What comes next; `Err` if nothing will.
    fn next(&self) -> Result<Option<Event>, Closed> {
        let mut waiting = self.lock();
        if waiting.lost > 0 {
            return Ok(Some(Event::Lost(std::mem::take(&mut waiting.lost))));
        }
        match waiting.events.pop_front() {
            None if waiting.is_closed => Err(Closed),
            event => Ok(event),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache is gone, and all was told.
struct Closed;

impl Events {
    /// Waits for the next event; `None` when the cache is gone. A subscription does not keep it alive.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.queue.next() {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(Closed) => return None,
            }
            // One subscriber, and a permit is kept for it: an arrival before this line is not missed.
            self.queue.arrival.notified().await;
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.next().ok().flatten()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(subscribers) = self.subscribers.upgrade() {
            subscribers.leave(&self.queue);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.lock();
        f.debug_struct("Events")
            .field("waiting", &waiting.events.len())
            .field("lost", &waiting.lost)
            .field("capacity", &self.queue.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_is_told_nothing_more() {
        let subscribers = Arc::new(Subscribers::default());
        let (first, mut second) = (subscribers.subscribe(4), subscribers.subscribe(4));
        let queue = Arc::downgrade(&first.queue);

        drop(first);
        subscribers.tell(|| Event::Gap);

        assert!(queue.upgrade().is_none(), "what waited for it is gone");
        assert_eq!(second.try_next(), Some(Event::Gap));
        drop(second);
        assert!(!subscribers.is_any());
        subscribers.tell(|| panic!("an event is made for nobody"));
    }
}
