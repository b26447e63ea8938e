// The examples of the README use everything there is; they are tested where all of it is compiled in.
#![cfg_attr(any(not(doctest), feature = "testing"), doc = include_str!("../README.md"))]

#[cfg(feature = "testing")]
pub use cache_core::testing;
pub use cache_core::{
    Cache, CacheBuilder, Clock, Entry, Error, ErrorKind, FunctionStats, Key, Local, Misses, Options, Peek,
    SharedStats, Stats, Tag, Timing, backend, codec, key,
};
pub use cache_macros::cached;

#[doc(hidden)]
pub use cache_core::__private;
