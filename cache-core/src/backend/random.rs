//! Random bits for tokens, epochs and origins.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// 64 bits that neither this process nor another one has drawn before, for all practical purposes.
///
/// SipHash of a counter under a key that the operating system drew for this process: a pseudo-random
/// function, so outputs of different processes are as unrelated as their keys.
pub(super) fn bits() -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    static COUNTER: AtomicU64 = AtomicU64::new(0);

    let draw = COUNTER.fetch_add(1, Ordering::Relaxed);
    KEY.get_or_init(RandomState::new).hash_one(draw)
}
