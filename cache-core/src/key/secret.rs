//! The key of the digests that stand for secret arguments.

use std::fmt;

/// The key under which secret arguments are digested: 32 bytes, never shown.
///
/// Whoever has it can test guesses of a secret against a key seen in Redis; whoever lacks it learns nothing. Processes
/// that share entries of functions with secret arguments must share it. Where it comes from is the
/// caller's choice; random bytes per process will do for a local tier alone.
///
/// ```
/// use cache_core::key::SecretKey;
/// let key = SecretKey::from([7; 32]);
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// ```
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    pub(super) fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes()
    }
}

impl From<[u8; 32]> for SecretKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}
