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
