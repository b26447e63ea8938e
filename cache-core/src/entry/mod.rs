//! What is remembered of an answer and how long, whether it may still be used, and the form in which it is stored.

pub mod epoch;
pub mod fingerprint;
pub mod frame;
mod freshness;
pub(crate) mod refresh;

pub use freshness::MissReason;
pub(crate) use freshness::{Currency, Freshness, LEASE, Lifetime, Remember, Remembered, freshness, lifetime};
