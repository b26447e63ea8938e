//! Random bits: for epochs, and for the pauses between attempts to connect.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// 64 bits that neither this process nor another one has drawn before, for all practical purposes.
///
/// SipHash of a counter, under a key that the operating system drew for this process.
pub(crate) fn bits() -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    static COUNTER: AtomicU64 = AtomicU64::new(0);

    let draw = COUNTER.fetch_add(1, Ordering::Relaxed);
    KEY.get_or_init(RandomState::new).hash_one(draw)
}

/// A number of at least 0 and less than 1.
pub(crate) fn unit() -> f64 {
    // 53 bits: all that a double holds.
    (bits() >> 11) as f64 / (1_u64 << 53) as f64
}
