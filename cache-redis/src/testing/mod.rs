//! What tests use: a server of their own, and a proxy that breaks connections.
//!
//! For tests alone: what fails here panics. Needs `redis-server` on the path (`apt-get install redis-server`).

mod proxy;
mod server;
mod stage;

pub use proxy::{Proxy, Traffic};
pub use server::{Reply, Server};
pub use stage::RedisStage;
