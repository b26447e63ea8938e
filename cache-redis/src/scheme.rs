//! What `Cache::from_env` opens through this crate.

use cache_core::Error;
use cache_core::backend::{Opened, Scheme};

use crate::Redis;

fn open(url: &str) -> Result<Opened, Error> {
    Redis::builder().url(url).lazy().map(Opened::new)
}

cache_core::register_scheme!(Scheme::new("redis", open));
cache_core::register_scheme!(Scheme::new("valkey", open));
cache_core::register_scheme!(Scheme::new("unix", open));
#[cfg(feature = "cluster")]
cache_core::register_scheme!(Scheme::new("redis+cluster", open));
#[cfg(feature = "cluster")]
cache_core::register_scheme!(Scheme::new("valkey+cluster", open));
#[cfg(feature = "sentinel")]
cache_core::register_scheme!(Scheme::new("redis+sentinel", open));
#[cfg(feature = "sentinel")]
cache_core::register_scheme!(Scheme::new("valkey+sentinel", open));
#[cfg(feature = "tls")]
cache_core::register_scheme!(Scheme::new("rediss", open));
#[cfg(feature = "tls")]
cache_core::register_scheme!(Scheme::new("valkeys", open));
#[cfg(all(feature = "cluster", feature = "tls"))]
cache_core::register_scheme!(Scheme::new("rediss+cluster", open));
#[cfg(all(feature = "cluster", feature = "tls"))]
cache_core::register_scheme!(Scheme::new("valkeys+cluster", open));
#[cfg(all(feature = "sentinel", feature = "tls"))]
cache_core::register_scheme!(Scheme::new("rediss+sentinel", open));
#[cfg(all(feature = "sentinel", feature = "tls"))]
cache_core::register_scheme!(Scheme::new("valkeys+sentinel", open));
