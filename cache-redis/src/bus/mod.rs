//! The bus: one connection for all subscriptions of a [`Redis`](crate::Redis), and the task that keeps it.
//!
//! Messages are handed over by the connection's driver, in the order they came. The task subscribes, asks now and
//! then whether the other end is there (a half-open connection stays silent for ever), and connects again.

mod listeners;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::backend::{Feed, Origin, Prefix, Subscription, subscription};
use cache_core::{Error, ErrorKind};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::listeners::Listeners;
use crate::config::Config;
use crate::connection::open;
use crate::connection::place::Place;
use crate::servers::Servers;
use crate::{chance, error, names};

/// How many messages a subscriber may lag behind before it is told of a gap.
const QUEUE: usize = 4096;
/// How often the other end is asked whether it is there, and subscribers whether they still are.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The first pause between attempts to connect, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A heartbeat that was sent no longer ago may be on its way. Where there are thousands of views, and a connection is lost, many
/// subscribe again at about the same time: no one of them begins another one for all then.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// The listening end of the bus.
pub(crate) struct Bus {
    inner: Arc<Inner>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    config: Arc<Config>,
    servers: Arc<Servers>,
    /// Where it was listened last.
    last: Mutex<Option<Place>>,
    listeners: Mutex<Listeners>,
    /// Somebody came, or the connection is lost.
    changed: Notify,
}

impl Bus {
    pub(crate) fn new(config: Arc<Config>, servers: Arc<Servers>) -> Self {
        let last = Mutex::default();
        let inner = Inner { config, servers, last, listeners: Mutex::default(), changed: Notify::new() };
        Self { inner: Arc::new(inner), task: Mutex::default() }
    }

    /// Listens to the messages of a prefix, and to the heartbeats of one view.
    ///
    /// A view whose last heartbeat was not heard for a while takes the connection for deaf. So another one is made, for all.
    pub(crate) async fn subscribe(&self, prefix: &Prefix, origin: Origin) -> Result<Subscription, Error> {
        let (feed, subscription) = subscription(QUEUE);
        let channels =
            [names::channel(prefix), names::own_channel(prefix, origin), names::outside_channel(prefix)];
        let channels = channels.map(Arc::from);
        let answer = self.inner.add(channels, feed);
        self.keep_listening();
        self.inner.changed.notify_one();

        // The first one waits for a connection, and for two confirmations.
        let limit = self.inner.config.connect_limit().saturating_add(self.inner.config.time_limit);
        match timeout(limit, answer).await {
            Ok(Ok(listening)) => listening.map(|()| subscription),
            Ok(Err(_)) => {
                let what = "subscribing to the bus: the runtime that listened is gone; try again";
                Err(Error::new(ErrorKind::Unreachable, what))
            }
            Err(_) => Err(error::timed_out("subscribing to the bus", &*self.inner.servers, limit)),
        }
    }

    /// A heartbeat is about to be sent to a view's own channel.
    pub(crate) fn beat(&self, channel: &str) {
        self.inner.listeners().beat(channel);
        self.keep_listening();
    }

    /// Starts the task if there is none: it ends when nobody listens, and with the runtime that ran it.
    fn keep_listening(&self) {
        let Some(number) = self.inner.listeners().begin_task() else { return };
        let running = tokio::spawn(listen(Listening { inner: Arc::clone(&self.inner), number }));
        // An older one has ended, or is about to.
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
        // Subscriptions end, also those that the task's connection still holds.
        *self.inner.listeners() = Listeners::default();
    }
}

impl Inner {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a listener; the answer comes when messages arrive.
    fn add(&self, channels: [Arc<str>; 3], feed: Feed) -> oneshot::Receiver<Result<(), Error>> {
        let mut listeners = self.listeners();
        // The server answers on this connection and has confirmed the channel, so nothing else would end it.
        if listeners.is_silent(&channels[1], ON_ITS_WAY) {
            listeners.begin_connection();
            self.servers.leave();
        }
        listeners.add(channels, feed)
    }

    /// Where to listen now. Not where it was done last, if there is a choice: it has not gone well there.
    async fn listen_at(&self) -> Result<Place, Error> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let place = self.servers.ear(last.as_ref()).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(place.clone());
        Ok(place)
    }

    /// What the driver of a connection hears.
    fn hear(&self, connection: u64, push: &PushInfo) {
        let mut listeners = self.listeners();
        if !listeners.is_current(connection) {
            return;
        }
        match (&push.kind, &push.data[..]) {
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                listeners.deliver(channel, payload);
            }
            (PushKind::Subscribe, [Value::BulkString(channel), ..]) => listeners.confirm(channel),
            (PushKind::Disconnection, _) => {
                listeners.begin_connection();
                drop(listeners);
                self.changed.notify_one();
            }
            _ => {}
        }
    }
}

/// The task's hold on the state. However the task ends, nobody believes to hear any more.
struct Listening {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.inner.listeners().end_task(self.number);
    }
}

/// How following a connection ended.
enum Ended {
    Lost,
    Unwanted,
    Failed(Error),
}

/// Listens until nobody does.
async fn listen(listening: Listening) {
    let inner = &listening.inner;
    let mut failures = 0;
    while !inner.listeners().may_end_task() {
        let number = inner.listeners().begin_connection();
        let hearer = Arc::downgrade(inner);
        let hear = move |push: PushInfo| {
            if let Some(inner) = hearer.upgrade() {
                inner.hear(number, &push);
            }
        };
        let ended = match inner.listen_at().await {
            Ok(place) => match open::for_messages(&inner.config, &place, hear).await {
                Ok(connection) => follow(inner, number, connection, &place, &mut failures).await,
                Err(error) => Ended::Failed(error),
            },
            Err(error) => Ended::Failed(error),
        };
        inner.listeners().begin_connection();
        match ended {
            Ended::Unwanted => {}
            Ended::Lost => pause(inner, 0).await,
            Ended::Failed(error) => {
                inner.listeners().fail(&error);
                pause(inner, failures).await;
                failures += 1;
            }
        }
    }
}

/// Keeps one connection, until it is lost or nobody listens.
async fn follow(
    inner: &Inner,
    number: u64,
    mut connection: MultiplexedConnection,
    place: &Place,
    failures: &mut u32,
) -> Ended {
    let limit = inner.config.connect_limit();
    let mut subscribed: HashSet<Arc<str>> = HashSet::new();
    loop {
        let (wanted, left) = inner.listeners().turn(&subscribed);
        if wanted.is_empty() {
            return Ended::Unwanted;
        }
        let added: Vec<Arc<str>> = wanted.difference(&subscribed).cloned().collect();
        let asking = async {
            if !left.is_empty() {
                connection.unsubscribe(texts(&left)).await?;
            }
            if added.is_empty() {
                connection.send_packed_command(&redis::cmd("PING")).await?.extract_error()?;
            } else {
                connection.subscribe(texts(&added)).await?;
            }
            Ok(())
        };
        let asked = timeout(limit, asking).await;
        if !inner.listeners().is_current(number) {
            return Ended::Lost;
        }
        match asked {
            Ok(Ok(())) => *failures = 0,
            Ok(Err(error)) => {
                return Ended::Failed(error::of(&format!("listening to the bus at {place}"), error));
            }
            Err(_) => return Ended::Failed(error::timed_out("listening to the bus", place, limit)),
        }
        subscribed = wanted;
        // Whichever comes first: both are a reason to look.
        let _is_late = timeout(ASK_EVERY, inner.changed.notified()).await;
        if !inner.listeners().is_current(number) {
            return Ended::Lost;
        }
    }
}

fn texts(channels: &[Arc<str>]) -> Vec<&str> {
    channels.iter().map(|channel| &**channel).collect()
}

/// Waits before the next attempt; not if somebody new came.
async fn pause(inner: &Inner, failures: u32) {
    let (first, longest) = PAUSE;
    let pause = first.saturating_mul(1 << failures.min(8)).min(longest);
    // Half of it is chance, so that processes that lost one server do not all come back at once.
    let _is_late = timeout(pause.mul_f64(0.5 + chance::unit() / 2.0), inner.changed.notified()).await;
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("channels", &self.inner.listeners().wanted().len())
            .finish_non_exhaustive()
    }
}
