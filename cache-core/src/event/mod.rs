//! What the cache tells about itself.

mod counter;
mod histogram;
mod report;
pub(crate) mod stats;

pub use report::{FunctionStats, Misses, Stats, Timing};
