//! Where the canonical bytes of a key lie: inline, or shared on the heap.

use std::sync::Arc;

use super::buffer::Buffer;
use super::canonical;
use super::view::ArgumentsView;

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

    #[inline]
    pub(super) fn view(&self) -> ArgumentsView<'_> {
        match self {
            Self::Inline { length, bytes } => ArgumentsView::Inline { length: *length, bytes },
            Self::Shared(bytes) => ArgumentsView::Shared(bytes),
        }
    }
}
