//! How a cache is made.

use std::sync::Arc;
use std::time::Duration;

use super::refreshing::Refreshing;
use super::shared::{MAX_LOCAL_STALENESS, MAX_VALUE_BYTES, Shared};
use super::trust::Trust;
use super::{Cache, Inner};
use crate::backend::dynamic::DynBackend;
use crate::backend::{Backend, Prefix};
use crate::chance::{Chance, entropy};
use crate::clock::{Clock, Sweep};
use crate::codec::AnyCodec;
use crate::error::{Error, ErrorKind};
use crate::event::subscribers::Subscribers;
use crate::key::SecretKey;
use crate::local::{Local, LocalTier};

/// The longest prefix, in bytes: it is part of every key in the shared tier.
const LONGEST_PREFIX: usize = 64;

/// Builds a [`Cache`].
///
/// ```
/// use cache_core::{Cache, Local};
///
/// let cache = Cache::builder().prefix("app").local(Local::bytes(256 << 20)).build()?;
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct CacheBuilder {
    prefix: Option<String>,
    local: Local,
    pub(super) shared: Option<Arc<dyn DynBackend>>,
    codec: AnyCodec,
    max_local_staleness: Option<Duration>,
    max_value_bytes: Option<usize>,
    clock: Clock,
    secret_key: Option<SecretKey>,
    max_refreshes: Option<usize>,
    seed: Option<u64>,
    /// Whether nothing is cached at all.
    pub(super) is_off: bool,
}

impl CacheBuilder {
    /// Names the cache: 1 to 64 of letters, digits, `_`, `-`, `.` and `/`. Default: `larder`.
    ///
    /// Within one process it shows in `Debug`; caches on one shared tier are kept apart by it.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sizes the local tier. Default: 64 MiB.
    #[must_use]
    pub fn local(mut self, local: Local) -> Self {
        self.local = local;
        self
    }

    /// Adds a shared tier: what several processes have in common. Default: none.
    ///
    /// The cache listens to it from the first call on, on the tokio runtime of that call. As long as it does not answer,
    /// calls go on without it.
    #[must_use]
    pub fn shared(mut self, backend: impl Backend) -> Self {
        self.shared = Some(Arc::new(backend));
        self
    }

    /// Sets the codec of values in the shared tier. Default: bincode. What another codec wrote is a miss.
    #[must_use]
    pub fn codec(mut self, codec: AnyCodec) -> Self {
        self.codec = codec;
        self
    }

    /// Bounds by how much the local tier may lag behind invalidations of other processes when their messages are lost,
    /// or this process is cut off. Default: 2 s. Otherwise it lags by the milliseconds that a message takes.
    ///
    /// A smaller bound costs more heartbeats: four within it, but none sooner than 25 ms after the last. So below 100 ms fewer may get
    /// lost before the local tier answers no more, and below 25 ms it mostly does not. Without a shared tier it means nothing.
    #[must_use]
    pub fn max_local_staleness(mut self, bound: Duration) -> Self {
        self.max_local_staleness = Some(bound);
        self
    }

    /// Bounds the encoded values in the shared tier, in bytes. Larger ones are returned and kept in the local tier
    /// alone. Default: 8 MiB.
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// Sets the clock. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the key of the digests that `secret(..)` arguments enter keys as. Default: drawn at random for
    /// this cache, so that its keys mean nothing elsewhere.
    ///
    /// With a shared tier it must be set, alike in all processes, for functions that have secret arguments; without it
    /// these are computed each time, and their handles answer an error.
    #[must_use]
    pub fn secret_key(mut self, key: [u8; 32]) -> Self {
        self.secret_key = Some(SecretKey::from(key));
        self
    }

    /// Bounds how many values are recomputed at once in the background (`refresh`); at least 1. Default: twice the number of
    /// cores. More wait in a queue: by priority, then by what they save.
    #[must_use]
    pub fn max_refreshes(mut self, at_once: usize) -> Self {
        self.max_refreshes = Some(at_once);
        self
    }

    /// Seeds the random numbers behind `stagger`, early refreshes and the jitter of rests, so that a test repeats.
    /// Default: the operating system's randomness.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    ///
    /// `Configuration`, when the prefix is empty, too long, or has other characters than it may.
    pub fn build(self) -> Result<Cache, Error> {
        let prefix = self.prefix.unwrap_or_else(|| "larder".to_owned());
        check_prefix(&prefix)?;
        if self.is_off {
            return Ok(Cache::disabled());
        }
        let subscribers = Arc::<Subscribers>::default();
        let shared = match &self.shared {
            Some(backend) => {
                let view = backend.view(&Prefix::new(&prefix)?);
                let limit = self.max_value_bytes.unwrap_or(MAX_VALUE_BYTES);
                Some(Box::new(Shared::new(view, self.codec, limit, subscribers.clone())))
            }
            None => None,
        };
        let staleness = self.max_local_staleness.unwrap_or(MAX_LOCAL_STALENESS);
        let inner = Arc::new(Inner {
            prefix,
            is_disabled: false,
            tier: LocalTier::new(&self.local),
            trust: if shared.is_some() { Trust::none_yet(staleness) } else { Trust::unlimited() },
            limit: self.local,
            has_common_secret: shared.is_none() || self.secret_key.is_some(),
            clock: self.clock,
            secret_key: self.secret_key.unwrap_or_else(random_secret),
            chance: self.seed.map_or_else(Chance::random, Chance::seeded),
            shared,
            subscribers,
            refreshing: Refreshing::new(self.max_refreshes.unwrap_or_else(twice_the_cores)),
            ..Inner::empty()
        });
        let weak = Arc::downgrade(&inner);
        inner.clock.sweep_regularly(weak as std::sync::Weak<dyn Sweep>);
        Ok(Cache(inner))
    }
}

fn twice_the_cores() -> usize {
    2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub(super) fn check_prefix(prefix: &str) -> Result<(), Error> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if !prefix.is_empty() && prefix.len() <= LONGEST_PREFIX && prefix.chars().all(is_fine) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "use the prefix {prefix:?}: write 1 to {LONGEST_PREFIX} of letters, digits, `_`, `-`, `.` and `/`"
        ),
    ))
}

fn random_secret() -> SecretKey {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&entropy().to_ne_bytes());
    }
    SecretKey::from(bytes)
}

impl Cache {
    /// Starts building a cache.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// Builds a cache after the environment: `LARDER_URL`, `LARDER_PREFIX` and `LARDER_SECRET_KEY`, as
    /// [`CacheBuilder::env`] reads them. Without them it has a local tier of 64 MiB.
    ///
    /// # Errors
    ///
    /// Those of [`CacheBuilder::env`].
    pub fn from_env() -> Result<Cache, Error> {
        Self::builder().env()?.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_prefix_is_an_error_that_ends_with_the_fix() {
        for prefix in ["", "a b", "a{b}", "ä", &"x".repeat(65)] {
            let error = Cache::builder().prefix(prefix).build().unwrap_err();

            assert!(error.to_string().ends_with("write 1 to 64 of letters, digits, `_`, `-`, `.` and `/`"));
        }
    }
}
