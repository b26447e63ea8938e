//! What tests of cached code use.

pub use crate::clock::ManualClock;
