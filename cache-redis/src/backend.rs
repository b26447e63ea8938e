//! The backend: each call of the contract as commands, and their answers as the contract's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::backend::{
    Backend, Claim, EntryKey, Epoch, Fill, FillRequest, FrameBytes, Grant, InvalidateRequest, Lease,
    LeaseRequest, LeaseToken, Origin, Prefix, Read, ReadMany, Refill, RefillRequest, Renewal, ServerTime,
    Subscription, TagKey, Tags,
};
use cache_core::{Error, ErrorKind};

use crate::bus::Bus;
use crate::chance;
use crate::command::gets::Got;
use crate::command::reply::{self, Failure, LeaseReply};
use crate::command::{Command, Marked, script};
use crate::config::{Config, RedisBuilder, WaitReplicas};
use crate::connection::Answers;
use crate::connection::traffic::{Lane, Traffic};
use crate::message::{self, OfKey};
use crate::names;
use crate::servers::{Changed, Servers};

/// How much of a frame is compared to tell it from another: a frame begins with its own times.
const HEAD: usize = 64;
/// So many invalidations are sent at once: what takes some 10 ms, a small part of the time limit.
const AT_ONCE: usize = 1_000;
/// The longest life, in ms: a hundred years. The server refuses what overflows its clock.
const LONGEST: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Redis as the shared tier: a [`Backend`].
///
/// It keeps one connection for commands, some for large values and one for messages, all made when needed and
/// made again when they break. Views share them.
///
/// Needs Redis 6.2 or later, or Valkey, and a tokio runtime with I/O and time. A connection lives on the
/// runtime that made it; when that is gone, the next call makes another on its own.
///
/// ```no_run
/// use cache_redis::Redis;
///
/// # async fn connected() -> Result<(), cache_core::Error> {
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Beside those of the contract: [`ErrorKind::Configuration`] when the server wants another password, or is none
/// that this crate can use; it is found out by the first call after [`lazy`](RedisBuilder::lazy).
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
    prefix: Prefix,
    origin: Origin,
}

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    servers: Arc<Servers>,
    traffic: Traffic,
    bus: Bus,
}

impl Redis {
    /// Connects to the server at a URL, like `redis://user:password@host:6379/0`.
    ///
    /// # Errors
    /// See [`RedisBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().url(url).connect().await
    }

    /// Configures more than a URL.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::new()
    }

    pub(crate) fn from_config(config: Config) -> Self {
        let config = Arc::new(config);
        let servers = Arc::new(Servers::new(&config));
        let shared = Shared {
            traffic: Traffic::new(&config),
            bus: Bus::new(Arc::clone(&config), Arc::clone(&servers)),
            servers,
            config,
        };
        #[expect(clippy::expect_used, reason = "the text is ours, and allowed")]
        let prefix = Prefix::new("larder").expect("a prefix of letters");
        Self { shared: Arc::new(shared), prefix, origin: Origin::random() }
    }

    pub(crate) async fn warm_up(&self) -> Result<(), Error> {
        self.shared.servers.connect().await
    }

    /// Waits until the clocks of all servers have been compared.
    #[cfg(all(feature = "cluster", feature = "testing"))]
    pub(crate) async fn until_clocks_are_known(&self) {
        while self.shared.servers.clock_difference() >= Duration::from_secs(1) {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn servers(&self) -> &Servers {
        &self.shared.servers
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    fn script(&self, script: &'static script::Script, keys: &[&str]) -> Command {
        Command::script(script, keys)
    }

    /// Sends several commands.
    async fn run(&self, lane: Lane, doing: &str, commands: &[Command]) -> Result<Answers, Error> {
        self.shared.servers.run(lane, commands, doing).await
    }

    /// Sends one command, and reads its answer.
    async fn one<T>(
        &self,
        lane: Lane,
        doing: &str,
        command: Command,
        read: impl FnOnce(Result<redis::Value, redis::RedisError>) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let answer = self.run(lane, doing, &[command]).await?.pop();
        answer.map_or(Err(Failure::Misfit), read).map_err(|failure| self.failed(doing, failure))
    }

    pub(crate) fn failed(&self, doing: &str, failure: Failure) -> Error {
        self.shared.servers.failed(doing, failure)
    }

    /// Sends what asks for a lease, gives one up or stores, once there is room for it; with a value of this size, 0 for none.
    async fn run_in_turn(&self, bytes: usize, doing: &str, commands: &[Command]) -> Result<Answers, Error> {
        let lane = self.traffic().sized(bytes);
        let Ok(place) = self.traffic().room().take(bytes, lane.limit).await else {
            return Err(self.crowded(doing));
        };
        let answers = self.run(lane, doing, commands).await;
        place.ended(&answers);
        answers
    }

    /// What it waits behind does not come through.
    #[cold]
    fn crowded(&self, doing: &str) -> Error {
        let what =
            format!("{doing} at {}: what was sent before it does not come in time", self.shared.servers);
        Error::new(ErrorKind::Unreachable, what)
    }

    /// Sends what invalidates, and waits for as many replicas as are asked for. Answers the invalidations alone.
    async fn invalidating(
        &self,
        doing: &str,
        commands: Vec<Command>,
        wait: Option<WaitReplicas>,
    ) -> Result<Answers, Error> {
        let traffic = &self.shared.traffic;
        let lane = wait.map_or_else(|| traffic.small(), |wait| traffic.waiting(wait.timeout));
        let Changed { answers, replicas } = self.shared.servers.change(lane, &commands, wait, doing).await?;
        match (wait, replicas) {
            (Some(wait), Some(replicas)) if replicas < i64::from(wait.count) => {
                let what = format!(
                    "{doing} at {}: {replicas} of {} replicas have it after {:?}, so a fail-over may lose it; see to the replicas, or ask for fewer",
                    self.shared.servers, wait.count, wait.timeout
                );
                Err(Error::new(ErrorKind::NotReplicated, what))
            }
            _ => Ok(answers),
        }
    }

    /// The same for any number of commands: some are answered before the next are sent, so that the time limit is one of
    /// so many.
    async fn invalidating_all(
        &self,
        doing: &str,
        mut commands: Vec<Command>,
        wait: Option<WaitReplicas>,
    ) -> Result<Answers, Error> {
        let mut answers = Vec::with_capacity(commands.len());
        let mut shortcoming: Option<Error> = None;
        while !commands.is_empty() {
            let rest = commands.split_off(commands.len().min(AT_ONCE));
            match self.invalidating(doing, std::mem::replace(&mut commands, rest), wait).await {
                Ok(mut some) => answers.append(&mut some),
                // Nobody repeats the rest then, so it has to be made all the same.
                Err(error) if matches!(error.kind(), ErrorKind::Postponed | ErrorKind::NotReplicated) => {
                    let is_worse = error.kind() == ErrorKind::Postponed;
                    if is_worse || shortcoming.is_none() {
                        shortcoming = Some(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        shortcoming.map_or(Ok(answers), Err)
    }

    /// Makes invalidations, and waits for replicas if asked for.
    async fn make(
        &self,
        request: InvalidateRequest<'_>,
        wait: Option<WaitReplicas>,
    ) -> Result<Vec<Epoch>, Error> {
        let doing = match (request.keys.len(), request.expired.len(), request.tags.keys.len()) {
            (0, 0, 0) => return Ok(Vec::new()),
            (1, 0, 0) => "invalidating an entry in Redis",
            (0, 1, 0) => "expiring an entry in Redis",
            (0, 0, _) => "invalidating tags in Redis",
            _ => "invalidating in Redis",
        };
        let mut answers = self.invalidating_all(doing, self.invalidate_commands(&request), wait).await?;
        let tags = answers.split_off(answers.len().saturating_sub(request.tags.keys.len()));
        let failures = answers.into_iter().filter_map(|answer| reply::is_done(answer).err());
        let mut worst = failures.map(|failure| self.failed(doing, failure)).reduce(worse);
        let mut epochs = Vec::with_capacity(tags.len());
        for answer in tags {
            match reply::scripted_epoch(answer) {
                Ok(epoch) => epochs.push(epoch),
                Err(failure) => {
                    let error = self.failed(doing, failure);
                    worst = worst.into_iter().chain([error]).reduce(worse);
                }
            }
        }
        worst.map_or(Ok(epochs), Err)
    }

    /// One command for each change. Those of the tags come last, and answer their epochs.
    fn invalidate_commands(&self, request: &InvalidateRequest<'_>) -> Vec<Command> {
        let channel = self.channel();
        let names = |key: &EntryKey| (names::entry(&self.prefix, key), names::lease(&self.prefix, key));
        let expire = |(key, keep): &(EntryKey, Duration)| {
            let (entry, lease) = names(key);
            self.script(&script::EXPIRE, &[&entry, &lease])
                .arg(millis(*keep))
                .arg(&channel)
                .arg(message::of_key(self.origin, OfKey::Expired, key))
        };
        let remove = |key: &EntryKey| {
            let (entry, lease) = names(key);
            self.script(&script::INVALIDATE, &[&entry, &lease]).arg(&channel).arg(message::of_key(
                self.origin,
                OfKey::Invalidated,
                key,
            ))
        };
        let life = millis(request.tags.life).max(1);
        let move_on = |tag: &TagKey| {
            self.script(&script::INVALIDATE_TAG, &[&names::tag(&self.prefix, tag)])
                .arg(life)
                .arg(&chance::bits().to_be_bytes())
                .arg(&channel)
                .arg(message::of_tag(self.origin, tag))
        };
        let entries = request.expired.iter().map(expire).chain(request.keys.iter().map(remove));
        entries.chain(request.tags.keys.iter().map(move_on)).collect()
    }

    /// One command for each tag, that answers its epoch.
    fn epoch_commands(&self, tags: Tags<'_>) -> Vec<Command> {
        let life = millis(tags.life).max(1);
        let command = |tag: &TagKey| {
            let name = names::tag(&self.prefix, tag);
            self.script(&script::EPOCH, &[&name]).arg(life).arg(&chance::bits().to_be_bytes())
        };
        tags.keys.iter().map(command).collect()
    }

    fn lease_command(&self, request: &LeaseRequest<'_>, entry: &str, lease: &str) -> Command {
        let command = self
            .script(&script::LEASE, &[entry, lease])
            .arg(&request.token.to_bytes())
            .arg(millis(request.life).max(1))
            .arg(u64::try_from(self.shared.servers.clock_difference().as_micros()).unwrap_or(0));
        match request.claim {
            Claim::Absent => command.arg("absent"),
            Claim::Replace(seen) => command.arg("replace").arg(seen.len()).arg(&seen[..seen.len().min(HEAD)]),
            Claim::Take => command.arg("take"),
        }
    }

    fn channel(&self) -> String {
        names::channel(&self.prefix)
    }

    /// Remembers how large what was found is.
    pub(crate) fn has_found(&self, name: &str, frame: &FrameBytes) {
        self.shared.traffic.has_size(name, frame.len());
    }
}

impl Backend for Redis {
    fn view(&self, prefix: &Prefix) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix: prefix.clone(), origin: Origin::random() }
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        let doing = "reading an entry from Redis";
        let failed = |failure| self.failed(doing, failure);
        let entry = names::entry(&self.prefix, key);
        let lane = self.shared.traffic.stored(&entry);
        let of_tags: Vec<String> = tags.iter().map(|tag| names::tag(&self.prefix, tag)).collect();
        let mut all = Vec::new();
        let names = match &of_tags[..] {
            [] => &[&*entry][..],
            of_tags => {
                all.reserve_exact(1 + of_tags.len());
                all.push(&*entry);
                all.extend(of_tags.iter().map(String::as_str));
                &all
            }
        };

        let (stored, epochs) = match self.shared.servers.get(lane, names, doing).await? {
            Got::AtOnce(answer) if tags.is_empty() => (reply::stored(answer).map_err(failed)?, Vec::new()),
            got => {
                let answers = got.each(names.len()).map_err(failed)?;
                let mut stored = answers.into_iter().map(reply::stored);
                let mut next = || stored.next().unwrap_or(Err(Failure::Misfit)).map_err(failed);
                let first = next()?;
                let epochs = tags.iter().map(|_| Ok(next()?.and_then(|bytes| reply::epoch(&bytes))));
                (first, epochs.collect::<Result<_, Error>>()?)
            }
        };
        let found = stored.and_then(reply::entry);
        if let Some(found) = &found {
            self.has_found(&entry, &found.frame);
        }
        Ok(Read { found, epochs })
    }

    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        self.read_each(keys, tags).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        let doing = "asking Redis for a lease";
        let (entry, lease) =
            (names::entry(&self.prefix, request.key), names::lease(&self.prefix, request.key));
        let mut commands = self.epoch_commands(request.tags);
        commands.push(self.lease_command(&request, &entry, &lease));

        // What is stored meanwhile comes with the answer.
        let bytes = self.traffic().size_of(&entry);
        let mut answers = self.run_in_turn(bytes, doing, &commands).await?;
        let failed = |failure| self.failed(doing, failure);
        let granted = answers.pop().map_or(Err(Failure::Misfit), reply::lease).map_err(failed)?;
        let epochs =
            answers.into_iter().map(reply::scripted_epoch).collect::<Result<_, _>>().map_err(failed)?;
        Ok(match granted {
            LeaseReply::Granted(granted_at) => {
                Lease::Granted { grant: Grant { token: request.token, granted_at }, epochs }
            }
            LeaseReply::Held { remaining_ms } => {
                Lease::Held { remaining: Duration::from_millis(remaining_ms) }
            }
            LeaseReply::Filled(found) => {
                self.has_found(&entry, &found.frame);
                Lease::Filled { found, epochs }
            }
        })
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        let lease = names::lease(&self.prefix, key);
        let command =
            self.script(&script::RENEW, &[&lease]).arg(&grant_bytes(grant)).arg(millis(life).max(1));
        let lane = self.shared.traffic.small();
        let is_renewed = self.one(lane, "renewing a lease in Redis", command, reply::is_done).await?;
        Ok(if is_renewed { Renewal::Renewed } else { Renewal::Refused })
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        let lease = names::lease(&self.prefix, key);
        let command = self
            .script(&script::RELEASE, &[&lease])
            .arg(&token.to_bytes())
            .arg(self.channel())
            .arg(message::of_key(self.origin, OfKey::Released, key));
        let doing = "giving a lease back to Redis";
        let answer = self.run_in_turn(0, doing, &[command]).await?.pop();
        let released = answer.map_or(Err(Failure::Misfit), reply::is_done);
        released.map(drop).map_err(|failure| self.failed(doing, failure))
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        let doing = "storing an entry in Redis";
        let (entry, lease) =
            (names::entry(&self.prefix, request.key), names::lease(&self.prefix, request.key));
        let command = self
            .script(&script::FILL, &[&entry, &lease])
            .arg(&grant_bytes(request.grant))
            .arg(Marked(request.frame))
            .arg(millis(request.life))
            .arg(self.channel())
            .arg(message::of_key(self.origin, OfKey::Filled, request.key));
        let mut commands = self.epoch_commands(request.tags);
        commands.push(command);

        let mut answers = self.run_in_turn(request.frame.len(), doing, &commands).await?;
        let failed = |failure| self.failed(doing, failure);
        let is_stored = answers.pop().map_or(Err(Failure::Misfit), reply::is_done).map_err(failed)?;
        for answer in answers {
            reply::scripted_epoch(answer).map_err(failed)?;
        }
        self.has_found(&entry, request.frame);
        Ok(if is_stored { Fill::Stored } else { Fill::Refused })
    }

    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        let doing = "renewing an entry in Redis";
        let (entry, lease) =
            (names::entry(&self.prefix, request.key), names::lease(&self.prefix, request.key));
        let seen = request.seen;
        let command = self
            .script(&script::REFILL, &[&entry, &lease])
            .arg(&grant_bytes(request.grant))
            .arg(seen.len())
            .arg(&seen[..seen.len().min(HEAD)])
            .arg(request.head)
            .arg(request.size)
            .arg(millis(request.life))
            .arg(self.channel())
            .arg(message::of_key(self.origin, OfKey::Filled, request.key));
        let mut commands = self.epoch_commands(request.tags);
        commands.push(command);

        // Small, whatever the value: it stays where it is.
        let mut answers = self.run_in_turn(0, doing, &commands).await?;
        let failed = |failure| self.failed(doing, failure);
        let refilled = answers.pop().map_or(Err(Failure::Misfit), reply::count).map_err(failed)?;
        for answer in answers {
            reply::scripted_epoch(answer).map_err(failed)?;
        }
        match refilled {
            0 => Ok(Refill::Refused),
            1 => Ok(Refill::Stored),
            2 => Ok(Refill::Other),
            _ => Err(failed(Failure::Misfit)),
        }
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        if tags.keys.is_empty() {
            return Ok(Vec::new());
        }
        let doing = "reading epochs from Redis";
        let answers = self.run(self.shared.traffic.small(), doing, &self.epoch_commands(tags)).await?;
        let epochs = answers.into_iter().map(reply::scripted_epoch).collect::<Result<_, _>>();
        epochs.map_err(|failure| self.failed(doing, failure))
    }

    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        self.make(request, self.shared.config.wait_replicas).await
    }

    async fn repeat_many(&self, request: InvalidateRequest<'_>) -> Result<(), Error> {
        self.make(request, None).await.map(drop)
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        let channel = names::own_channel(&self.prefix, self.origin);
        self.shared.bus.beat(&channel);
        let command = Command::plain("PUBLISH").arg(channel).arg(message::heartbeat(self.origin, nonce));
        let (lane, doing) = (self.shared.traffic.small(), "sending a heartbeat through Redis");
        let answer = self.shared.servers.publish(lane, command, doing).await?;
        let answer = answer.map_or(Err(Failure::Misfit), reply::count);
        answer.map(drop).map_err(|failure| self.failed(doing, failure))
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        self.shared.bus.subscribe(&self.prefix, self.origin).await
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        let (lane, doing) = (self.shared.traffic.small(), "asking Redis for its time");
        let answer = self.shared.servers.anywhere(lane, Command::plain("TIME"), doing).await?;
        answer.map_or(Err(Failure::Misfit), reply::time).map_err(|failure| self.failed(doing, failure))
    }
}

/// Of two errors the one that leaves something for the caller to repeat: what is postponed is repeated here.
fn worse(one: Error, other: Error) -> Error {
    if one.kind() == ErrorKind::Postponed { other } else { one }
}

/// Whole ms, rounded up, as the contract counts.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(LONGEST)
}

/// The token and the time of the grant, as a lease begins with them.
fn grant_bytes(grant: &Grant) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&grant.token.to_bytes());
    bytes[16..].copy_from_slice(&grant.granted_at.micros().to_be_bytes());
    bytes
}

/// Without the password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.prefix)
            .field("origin", &self.origin)
            .field("shared", &self.shared)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_here_hides_nothing_that_is_not() {
        let of = |kind| Error::new(kind, "told");
        let (here, there) = (ErrorKind::Postponed, ErrorKind::Unreachable);

        for (one, other) in [(here, there), (there, here), (there, there)] {
            assert_eq!(worse(of(one), of(other)).kind(), there);
        }
        assert_eq!(worse(of(here), of(here)).kind(), here);
    }
}
