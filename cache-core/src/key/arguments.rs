//! Where the canonical bytes of a key lie: inline, or shared on the heap.

use std::hash::Hasher;
use std::sync::Arc;

use super::buffer::Buffer;
use super::canonical;

/// The longest arguments that need no heap: what is left of 48 bytes beside pointer, length and kind.
pub(super) const INLINE: usize = 38;

/// Canonical bytes. The length decides the variant, so equal bytes are equal values.
#[derive(Clone)]
pub(super) enum Arguments {
    /// Up to [`INLINE`] bytes; those past the end are zero, so that comparing and hashing take whole words.
    Inline { length: u8, bytes: [u8; INLINE] },
    /// More than [`INLINE`] bytes.
    Shared(Arc<[u8]>),
}

impl Arguments {
    /// Takes what was collected; more than [`canonical::LIMIT`] bytes become their digest.
    #[inline]
    pub(super) fn from_buffer(buffer: Buffer) -> Self {
        match buffer.into_inline() {
            Ok((length, bytes)) => Self::Inline { length, bytes },
            Err(bytes) => Self::from_long(&bytes),
        }
    }

    #[cold]
    fn from_long(bytes: &[u8]) -> Self {
        if bytes.len() <= canonical::LIMIT {
            return Self::Shared(bytes.into());
        }
        let mut digest = [0; INLINE];
        digest[0] = canonical::DIGEST;
        digest[1..=canonical::DIGEST_LENGTH].copy_from_slice(blake3::hash(bytes).as_bytes());
        Self::Inline {
            length: 1 + canonical::DIGEST_LENGTH as u8,
            bytes: digest,
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => &bytes[..usize::from(*length).min(INLINE)],
            Self::Shared(bytes) => bytes,
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            // The two counters of the `Arc` lie before the bytes.
            Self::Shared(bytes) => bytes.len() + 2 * size_of::<usize>(),
        }
    }

    /// Feeds `address` and the bytes to a hasher, in as few writes as their length allows.
    #[inline]
    pub(super) fn hash_with<H: Hasher>(&self, address: usize, state: &mut H) {
        match self {
            Self::Inline { length, bytes } => {
                // The length tells trailing zeros from padding; a pointer's upper bits are free for it.
                state.write_u64(address as u64 ^ (u64::from(*length) << 56));
                state.write_u64(word(bytes, 0));
                if *length > 8 {
                    state.write_u64(word(bytes, 8));
                }
                if *length > 16 {
                    state.write_u64(word(bytes, 16));
                    state.write_u64(word(bytes, 24));
                    // Overlaps the word before; what counts is that no byte is left out.
                    state.write_u64(word(bytes, INLINE - 8));
                }
            }
            Self::Shared(bytes) => {
                state.write_u64(address as u64);
                state.write(bytes);
            }
        }
    }
}

impl PartialEq for Arguments {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Inline { length, bytes },
                Self::Inline {
                    length: other_length,
                    bytes: other_bytes,
                },
            ) => length == other_length && bytes == other_bytes,
            (Self::Shared(bytes), Self::Shared(other)) => bytes == other,
            _ => false,
        }
    }
}

impl Eq for Arguments {}

#[inline]
fn word(bytes: &[u8; INLINE], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
