//! What is kept of one computation.

pub mod epoch;
pub mod fingerprint;
pub mod frame;
