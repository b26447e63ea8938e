//! A key with its hash, which is taken once and serves several looks.

use std::hash::{BuildHasher, Hash, Hasher};

/// A key with its hash.
#[derive(Clone)]
pub(crate) struct Hashed<K> {
    hash: u64,
    pub(crate) key: K,
}

impl<K: Hash> Hashed<K> {
    pub(crate) fn new(key: K, hash: &impl BuildHasher) -> Self {
        Self { hash: hash.hash_one(&key), key }
    }

    /// Which of `count` parts of a table it belongs to. By bits that the map inside does not use.
    pub(crate) fn part(&self, count: usize) -> usize {
        self.hash.rotate_right(32) as usize % count
    }
}

impl<K> Hash for Hashed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: PartialEq> PartialEq for Hashed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K: Eq> Eq for Hashed<K> {}

/// Passes the hash on that a [`Hashed`] carries.
#[derive(Clone, Copy, Default)]
pub(crate) struct TakenHash;

/// Takes what is a hash already for the hash.
#[derive(Default)]
pub(crate) struct Taken(u64);

impl BuildHasher for TakenHash {
    type Hasher = Taken;
    fn build_hasher(&self) -> Taken {
        Taken::default()
    }
}

impl Hasher for Taken {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    fn write(&mut self, bytes: &[u8]) {
        // Not reached: what is hashed is one u64. Still a hash, should that change.
        for byte in bytes {
            self.0 = self.0.rotate_left(5) ^ u64::from(*byte);
        }
    }
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
