//! What the cache tells about itself.

mod counter;
mod histogram;
pub(crate) mod log;
mod report;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod subscribers;
mod told;
pub(crate) mod unheard;
pub(crate) mod watch;

pub use report::{FunctionStats, Misses, RefreshStats, SharedStats, Stats, Timing};
pub use subscribers::Events;
pub use told::{Event, Invalidated, Invalidator, Tier};
