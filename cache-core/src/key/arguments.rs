//! Where the canonical bytes of a key lie: inline, or shared on the heap.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::buffer::Buffer;
use super::canonical;
use super::limit;
use super::view::ArgumentsView;

/// The longest arguments that need no heap: what is left of 48 bytes beside the identity and the length.
pub(super) const INLINE: usize = 38;

/// Canonical bytes. The length decides the variant, so equal bytes are equal values.
#[derive(Clone)]
pub(super) enum Arguments {
    Inline(Inline),
    /// More than [`INLINE`] bytes.
    Shared(Arc<[u8]>),
}

/// Up to [`INLINE`] bytes, in words, lowest byte first; those past the end are zero.
///
/// Words and not bytes, as 38 bytes are copied in pieces that overlap, and reading across two stores stalls the
/// processor for longer than all the rest takes. The upper byte of `last` is the length plus one: never
/// zero, and that is what tells the variants apart.
///
/// In this order: the words that all keys have come last, beside what lies behind a key.
#[derive(Clone, Copy, PartialEq)]
#[repr(C)]
pub(super) struct Inline {
    rest: [u64; 3],
    first: u64,
    last: NonZeroU64,
}

impl Inline {
    /// `length` is at most [`INLINE`], and bytes of `words` past it are zero.
    #[inline]
    pub(super) fn new(words: [u64; 5], length: usize) -> Self {
        let [first, two, three, four, last] = words;
        // Never zero, as the length plus one is not.
        let last = NonZeroU64::new(last_word(last, length)).unwrap_or(NonZeroU64::MIN);
        Self { first, rest: [two, three, four], last }
    }

    #[inline]
    fn length(&self) -> usize {
        ((self.last.get() >> 56) as usize).saturating_sub(1)
    }

    /// All but the last.
    #[inline]
    fn words(&self) -> [u64; 4] {
        let [two, three, four] = self.rest;
        [self.first, two, three, four]
    }

    /// Hands the bytes on, put together on the stack.
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        let mut bytes = [0; 8 * 5];
        let words = self.words().into_iter().chain([self.last.get()]);
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        read(&bytes[..self.length()])
    }

    #[inline]
    fn is_doubtful(&self) -> bool {
        limit::is_doubtful(&self.words(), self.length())
    }
}

/// The last word of a key, with the length in it.
#[inline(always)]
pub(super) fn last_word(word: u64, length: usize) -> u64 {
    (length as u64 + 1) << 56 | word
}

impl Arguments {
    /// Takes what was collected; more than [`canonical::LIMIT`] bytes, or bytes with a longer text, become their digest.
    #[inline]
    pub(super) fn from_buffer(buffer: Buffer) -> Self {
        match buffer.into_inline() {
            Ok(inline) if !inline.is_doubtful() => Self::Inline(inline),
            Ok(inline) => Self::from_doubtful(inline),
            Err(bytes) => Self::from_long(&bytes),
        }
    }

    #[cold]
    fn from_doubtful(inline: Inline) -> Self {
        inline.with_bytes(
            |bytes| {
                if limit::is_exceeded(bytes) { Self::digest(bytes) } else { Self::Inline(inline) }
            },
        )
    }

    #[cold]
    fn from_long(bytes: &[u8]) -> Self {
        if limit::is_exceeded(bytes) { Self::digest(bytes) } else { Self::Shared(bytes.into()) }
    }

    fn digest(bytes: &[u8]) -> Self {
        let mut digest = Buffer::new();
        digest.push(canonical::DIGEST);
        digest.extend(blake3::hash(bytes).as_bytes());
        Self::from_buffer(digest)
    }

    pub(super) fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Inline(inline) => inline.with_bytes(read),
            Self::Shared(bytes) => read(bytes),
        }
    }

    pub(super) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Inline(inline) => inline.with_bytes(<[u8]>::to_vec).into(),
            Self::Shared(bytes) => (&**bytes).into(),
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        match self {
            Self::Inline(_) => 0,
            // The two counters of the `Arc` lie before the bytes.
            Self::Shared(bytes) => bytes.len() + 2 * size_of::<usize>(),
        }
    }

    #[inline(always)]
    pub(super) fn view(&self) -> ArgumentsView<'_> {
        match self {
            Self::Inline(Inline { first, rest, last }) => {
                ArgumentsView::Inline { first: *first, rest, last: last.get() }
            }
            Self::Shared(bytes) => ArgumentsView::Shared(bytes),
        }
    }
}
