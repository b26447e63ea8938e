//! Who listens to which channels, and what they must be told.
//!
//! State alone: what the connection hears is handed in, in the order it came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cache_core::Error;
use cache_core::backend::{Change, Feed, Heard, Listening};
use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::{message, outside};

/// One subscription.
struct Listener {
    /// Its prefix's channel, its view's own, and that of programs outside.
    channels: [Arc<str>; 3],
    feed: Feed,
    hearing: Hearing,
}

enum Hearing {
    /// Somebody waits to be told that messages arrive.
    Awaited(oneshot::Sender<Result<(), Error>>),
    /// Messages arrive.
    Yes,
    /// Messages arrived, and may be missing now.
    Lost,
}

/// All subscriptions, and what the server has confirmed to the current connection.
#[derive(Default)]
pub(super) struct Listeners {
    listeners: BTreeMap<u64, Listener>,
    /// Those who listen to a channel: there may be thousands of prefixes, and each message and confirmation is of one.
    by_channel: HashMap<Arc<str>, Vec<u64>>,
    next: u64,
    confirmed: HashSet<Arc<str>>,
    /// Where a heartbeat was sent that has not come, and when the first of them was.
    silent: HashMap<Arc<str>, Moment>,
    /// Which connection is the current one. What another one says is too late.
    connection: u64,
    /// The task that keeps the connection, if one does, and how many there were.
    task: Option<u64>,
    tasks: u64,
}

impl Listeners {
    /// Whether a task is to be started; it gets the number.
    pub(super) fn begin_task(&mut self) -> Option<u64> {
        if self.task.is_some() || self.wanted().is_empty() {
            return None;
        }
        self.tasks += 1;
        self.task = Some(self.tasks);
        self.task
    }

    /// Whether the task can end, because nobody listens. In one step with noting it, so that who comes
    /// afterwards starts another.
    pub(super) fn may_end_task(&mut self) -> bool {
        if self.wanted().is_empty() {
            self.task = None;
        }
        self.task.is_none()
    }

    /// The task ended, for whatever reason.
    pub(super) fn end_task(&mut self, number: u64) {
        if self.task == Some(number) {
            self.task = None;
            self.begin_connection();
        }
    }

    /// Adds a listener; the answer comes when messages arrive.
    pub(super) fn add(
        &mut self,
        channels: [Arc<str>; 3],
        feed: Feed,
    ) -> oneshot::Receiver<Result<(), Error>> {
        let (sender, answer) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        for channel in &channels {
            self.by_channel.entry(Arc::clone(channel)).or_default().push(number);
        }
        self.listeners.insert(number, Listener { channels, feed, hearing: Hearing::Awaited(sender) });
        self.advance(number);
        answer
    }

    /// Takes a listener out.
    fn remove(&mut self, number: u64) -> Option<Listener> {
        let listener = self.listeners.remove(&number)?;
        for channel in &listener.channels {
            if let Some(numbers) = self.by_channel.get_mut(channel) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.by_channel.remove(channel);
                }
            }
        }
        Some(listener)
    }

    /// Takes those out for whom that holds.
    fn take_out(&mut self, is_out: impl Fn(&Listener) -> bool) -> Vec<Listener> {
        let out: Vec<u64> = self
            .listeners
            .iter()
            .filter(|(_, listener)| is_out(listener))
            .map(|(number, _)| *number)
            .collect();
        out.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// A heartbeat is about to be sent to a channel.
    pub(super) fn beat(&mut self, channel: &str) {
        if let Some(confirmed) = self.confirmed.get(channel) {
            self.silent.entry(Arc::clone(confirmed)).or_insert_with(Moment::now);
        }
    }

    /// Whether the current connection has confirmed a channel, and has not brought a heartbeat to it that was sent `limit` ago.
    pub(super) fn is_silent(&self, channel: &str, limit: Duration) -> bool {
        self.silent.get(channel).is_some_and(|sent| sent.elapsed() >= limit)
    }

    /// The channels that somebody listens to. Forgets who does not any more.
    pub(super) fn wanted(&mut self) -> HashSet<Arc<str>> {
        drop(self.take_out(|listener| listener.feed.listening() == Listening::No));
        self.by_channel.keys().cloned().collect()
    }

    /// The channels that are wanted, and of those that are `subscribed` the ones that are to be left. In one step with leaving them: who
    /// comes for one of these afterwards waits until the server has confirmed it again.
    pub(super) fn turn(&mut self, subscribed: &HashSet<Arc<str>>) -> (HashSet<Arc<str>>, Vec<Arc<str>>) {
        let wanted = self.wanted();
        let left: Vec<Arc<str>> = subscribed.difference(&wanted).cloned().collect();
        for channel in &left {
            self.confirmed.remove(channel);
            self.silent.remove(channel);
        }
        (wanted, left)
    }

    /// Begins with a new connection, which has confirmed nothing yet.
    pub(super) fn begin_connection(&mut self) -> u64 {
        self.lose();
        self.connection += 1;
        self.connection
    }

    /// Whether this connection is the current one.
    pub(super) fn is_current(&self, connection: u64) -> bool {
        self.connection == connection
    }

    /// The connection is lost: messages may be missing from now on.
    ///
    /// Told at once, so that nobody relies on hearing, and again when messages arrive again.
    pub(super) fn lose(&mut self) {
        self.confirmed.clear();
        self.silent.clear();
        for listener in self.listeners.values_mut() {
            if matches!(listener.hearing, Hearing::Yes) {
                listener.hearing = Hearing::Lost;
                listener.feed.send(Heard::Gap);
            }
        }
    }

    /// Who still waits to be told that messages arrive is told that they cannot.
    pub(super) fn fail(&mut self, error: &Error) {
        for listener in self.take_out(|listener| matches!(listener.hearing, Hearing::Awaited(_))) {
            if let Hearing::Awaited(waiting) = listener.hearing {
                // Nobody waits any more if this fails.
                drop(waiting.send(Err(error.clone())));
            }
        }
    }

    /// Those who listen to a channel, and its name.
    fn of_channel(&self, channel: &[u8]) -> Option<(Arc<str>, Vec<u64>)> {
        let (channel, numbers) = self.by_channel.get_key_value(str::from_utf8(channel).ok()?)?;
        Some((Arc::clone(channel), numbers.clone()))
    }

    /// The server confirmed a channel.
    pub(super) fn confirm(&mut self, channel: &[u8]) {
        let Some((channel, numbers)) = self.of_channel(channel) else { return };
        self.confirmed.insert(channel);
        numbers.into_iter().for_each(|number| self.advance(number));
    }

    /// A message came.
    pub(super) fn deliver(&mut self, channel: &[u8], payload: &[u8]) {
        let Some((channel, numbers)) = self.of_channel(channel) else { return };
        let of = |number: &u64| self.listeners.get(number);
        let is_from_outside = numbers.iter().filter_map(of).any(|listener| listener.channels[2] == channel);
        let heard = match is_from_outside {
            true => Heard::Message(outside::read(payload)),
            // What cannot be read may have been an invalidation.
            false => message::decode(payload).map_or(Heard::Gap, Heard::Message),
        };
        let is_heartbeat = matches!(
            &heard,
            Heard::Message(message) if matches!(message.change, Change::Heartbeat { .. })
        );
        if is_heartbeat {
            self.silent.remove(&channel);
        }
        for number in numbers {
            let Some(listener) = self.listeners.get(&number) else { continue };
            let [all, own, outside] = &listener.channels;
            // A heartbeat proves something only on the channel of its own.
            let expected = match is_heartbeat {
                _ if is_from_outside => outside,
                true => own,
                false => all,
            };
            let is_meant = matches!(listener.hearing, Hearing::Yes) && *expected == channel;
            if is_meant && listener.feed.send(heard.clone()) == Listening::No {
                drop(self.remove(number));
            }
        }
    }

    /// Tells a listener whose channels are all confirmed now.
    fn advance(&mut self, number: u64) {
        let Some(listener) = self.listeners.get_mut(&number) else { return };
        if !listener.channels.iter().all(|channel| self.confirmed.contains(channel)) {
            return;
        }
        match std::mem::replace(&mut listener.hearing, Hearing::Yes) {
            // If nobody waits any more, the feed's other end is gone too.
            Hearing::Awaited(waiting) => drop(waiting.send(Ok(()))),
            Hearing::Lost => drop(listener.feed.send(Heard::Gap)),
            Hearing::Yes => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cache_core::backend::{Message, Origin, Subscription, subscription};

    use super::*;

    fn listening(listeners: &mut Listeners) -> (Subscription, oneshot::Receiver<Result<(), Error>>) {
        let (feed, subscription) = subscription(16);
        let answer = listeners.add(["a:b".into(), "a:b:1".into(), "a:invalidate".into()], feed);
        (subscription, answer)
    }

    fn confirm(listeners: &mut Listeners) {
        listeners.confirm(b"a:b:1");
        listeners.confirm(b"a:b");
        listeners.confirm(b"a:invalidate");
    }

    #[tokio::test]
    async fn a_gap_comes_before_what_comes_after_a_reconnection() {
        // given one who listens
        let mut listeners = Listeners::default();
        listeners.begin_connection();
        let (mut ear, mut answer) = listening(&mut listeners);
        assert!(answer.try_recv().is_err());
        confirm(&mut listeners);
        assert!(matches!(answer.try_recv(), Ok(Ok(()))));

        // when the connection is replaced, and a message comes
        listeners.lose();
        assert_eq!(ear.hear().await, Some(Heard::Gap));
        listeners.begin_connection();
        let message = message::of_key(Origin::from_bits(1), message::OfKey::Filled, &"k".into());
        listeners.deliver(b"a:b", &message);
        confirm(&mut listeners);
        listeners.deliver(b"a:b", &message);

        // then what came before the confirmation is a gap
        assert_eq!(ear.hear().await, Some(Heard::Gap));
        let change = Change::Filled { key: "k".into() };
        assert_eq!(ear.hear().await, Some(Heard::Message(Message { origin: Origin::from_bits(1), change })));
    }

    #[test]
    fn a_channel_is_silent_until_a_heartbeat_comes() {
        let mut listeners = Listeners::default();
        let (_ear, _answer) = listening(&mut listeners);
        listeners.beat("a:b:1");
        assert!(!listeners.is_silent("a:b:1", Duration::ZERO), "nothing can come yet");
        confirm(&mut listeners);
        listeners.beat("a:b:1");
        assert!(listeners.is_silent("a:b:1", Duration::ZERO) && !listeners.is_silent("a:b", Duration::ZERO));
        assert!(!listeners.is_silent("a:b:1", Duration::from_secs(60)), "it may be on its way");

        listeners.deliver(b"a:b:1", &message::heartbeat(Origin::from_bits(1), 7));
        assert!(!listeners.is_silent("a:b:1", Duration::ZERO));

        // Of what was sent on another connection nothing is said.
        listeners.beat("a:b:1");
        listeners.lose();
        assert!(!listeners.is_silent("a:b:1", Duration::ZERO));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_gap() {
        let mut listeners = Listeners::default();
        let (mut ear, _answer) = listening(&mut listeners);
        confirm(&mut listeners);

        listeners.deliver(b"a:b", b"\xffnew");

        assert_eq!(ear.hear().await, Some(Heard::Gap));
    }

    #[tokio::test]
    async fn what_programs_outside_say_is_never_a_gap() {
        let mut listeners = Listeners::default();
        let (mut ear, _answer) = listening(&mut listeners);
        confirm(&mut listeners);

        listeners.deliver(b"a:invalidate", b"\xffnew");
        listeners.deliver(b"a:invalidate", br#"{"keys":["k"]}"#);
        // Of another prefix.
        listeners.deliver(b"b:invalidate", br#"{"keys":["k"]}"#);
        let heartbeat = message::heartbeat(Origin::from_bits(1), 7);
        listeners.deliver(b"a:b:1", &heartbeat);

        let Some(Heard::Message(unread)) = ear.hear().await else { panic!("a message") };
        assert!(matches!(unread.change, Change::Unread { .. }), "{unread:?}");
        let change = Change::Requested { keys: vec!["k".into()], tags: Vec::new() };
        assert_eq!(ear.hear().await, Some(Heard::Message(Message { origin: Origin::OUTSIDE, change })));
        let Some(Heard::Message(beat)) = ear.hear().await else { panic!("a message") };
        assert_eq!(beat.change, Change::Heartbeat { nonce: 7 });
    }

    #[test]
    fn who_does_not_listen_wants_nothing() {
        let mut listeners = Listeners::default();
        let (ear, _answer) = listening(&mut listeners);
        assert_eq!(listeners.wanted().len(), 3);

        drop(ear);

        assert!(listeners.wanted().is_empty());
    }

    #[test]
    fn who_subscribes_again_while_its_channels_are_left_waits_for_the_server() {
        // given two who listen, of whom one goes
        let mut listeners = Listeners::default();
        listeners.begin_connection();
        let (feed, _other) = subscription(16);
        let _answer = listeners.add(["b:b".into(), "b:b:2".into(), "b:invalidate".into()], feed);
        ["b:b", "b:b:2", "b:invalidate"].iter().for_each(|channel| listeners.confirm(channel.as_bytes()));
        let (ear, _answer) = listening(&mut listeners);
        confirm(&mut listeners);
        let (subscribed, _) = listeners.turn(&HashSet::new());
        drop(ear);

        // when the server is about to be told, and it comes back
        let (_, left) = listeners.turn(&subscribed);
        let (_ear, mut answer) = listening(&mut listeners);

        // then it hears when the server has confirmed that
        assert_eq!(left.len(), 3);
        assert!(answer.try_recv().is_err(), "what comes meanwhile is not heard");
        confirm(&mut listeners);
        assert!(matches!(answer.try_recv(), Ok(Ok(()))));
    }
}
