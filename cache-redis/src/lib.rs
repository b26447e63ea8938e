//! Redis as the shared tier of Larder.
//!
//! [`Redis`] keeps the contract of a [`Backend`](cache_core::backend::Backend) on a Redis or Valkey server, on a cluster of
//! them (feature `cluster`), or on the primary that sentinels name (`sentinel`), encrypted if asked for (`tls`). Programs use it
//! through the facade, `larder`, with the feature `redis` and `redis-cluster` and so on. `docs/shared-tier.md` in the repository
//! tells how: the protocol, the settings of the server, and what happens when something fails.
//!
//! # What is stored
//!
//! | name | value |
//! |---|---|
//! | `prefix:e:{key}` | an entry: a mark, 0 or 1 (made stale), and the frame |
//! | `prefix:l:{key}` | a lease: token, time of the grant, whether anyone waits |
//! | `prefix:t:{tag}` | the epoch of a tag: the server's time in µs and 8 random bytes |
//! | `prefix:f:{function}`, `prefix:a-:{-}` | the epochs of a function, and of everything under the prefix |
//!
//! All of it expires by itself. Messages go through the channel `prefix:b`, heartbeats through
//! `prefix:b:` and 16 hex digits. On `prefix:invalidate` programs that are not Larder ask for invalidations, see
//! [`OUTSIDE_SCRIPT`].
//!
//! # What a user of the server must be allowed
//!
//! ```text
//! ACL SETUSER app on >password resetchannels ~PREFIX:* &PREFIX:* +get +mget +set +del +getrange +setrange +strlen +pttl
//!     +pexpire +time +publish +subscribe +unsubscribe +ping +eval +evalsha +select +client|setname +info
//! ```
//!
//! and `+wait` where invalidations wait for replicas, `+cluster|slots +asking` in a cluster.

mod address;
mod backend;
mod bus;
mod chance;
mod clock;
#[cfg(feature = "cluster")]
mod cluster;
mod command;
mod config;
mod connection;
mod credentials;
mod error;
mod join;
mod many;
mod message;
mod names;
mod outside;
mod recent;
mod scheme;
#[cfg(feature = "sentinel")]
mod sentinel;
mod servers;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
mod url;

pub use backend::Redis;
pub use config::RedisBuilder;
pub use credentials::Credentials;
pub use outside::OUTSIDE_SCRIPT;
#[cfg(feature = "tls")]
pub use tls::Tls;
