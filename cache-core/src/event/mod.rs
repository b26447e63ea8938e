//! What the cache tells about itself.

mod counter;
mod histogram;
pub(crate) mod log;
mod report;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod unheard;

pub use report::{FunctionStats, Misses, RefreshStats, SharedStats, Stats, Timing};
