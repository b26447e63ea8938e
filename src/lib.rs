//! Larder.

#[cfg(feature = "testing")]
pub use cache_core::testing;
pub use cache_core::{
    Cache, CacheBuilder, Clock, Entry, Error, ErrorKind, FunctionStats, Key, Local, Misses, Options, Peek,
    Stats, Tag, Timing, key,
};
pub use cache_macros::cached;

#[doc(hidden)]
pub use cache_core::__private;
