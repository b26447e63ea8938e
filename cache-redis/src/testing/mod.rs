//! What tests use: a server of their own, and a proxy that breaks connections.
//!
//! For tests alone: what fails here panics. Needs `redis-server` on the path (`apt-get install redis-server`), or
//! another server that the variable `LARDER_TEST_SERVER` names.

#[cfg(feature = "cluster")]
mod cluster;
mod proxy;
#[cfg(feature = "sentinel")]
mod sentinels;
mod server;
mod stage;

#[cfg(feature = "cluster")]
pub use cluster::Cluster;
pub use proxy::{Proxy, Traffic};
#[cfg(feature = "sentinel")]
pub use sentinels::Sentinels;
pub use server::{Reply, Server};
#[cfg(feature = "cluster")]
pub use stage::ClusterStage;
pub use stage::RedisStage;
