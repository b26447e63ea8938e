//! A key as a lookup sees it: borrowed, so that a hit does not even assemble one.

use std::hash::{Hash, Hasher};

use super::Identity;

/// A key, or the writer that would make it.
#[derive(Clone, Copy)]
pub(crate) struct KeyView<'k> {
    pub(super) identity: Identity,
    pub(super) arguments: ArgumentsView<'k>,
}

/// A short key in parts, so that they can stay in registers on their way to the lookup.
#[derive(Clone, Copy)]
pub(crate) struct ShortKey<'k> {
    pub(crate) identity: Identity,
    pub(crate) first: u64,
    pub(crate) rest: &'k [u64; 3],
    pub(crate) last: u64,
}

impl<'k> ShortKey<'k> {
    #[inline(always)]
    pub(crate) fn view(&self) -> KeyView<'k> {
        let Self { identity, first, rest, last } = *self;
        KeyView { identity, arguments: ArgumentsView::Inline { first, rest, last } }
    }
}

/// Canonical bytes; as in `Arguments`, the length decides the variant.
#[derive(Clone, Copy)]
pub(super) enum ArgumentsView<'k> {
    /// Words past the length are zero; the last one has the length in its upper byte.
    Inline {
        first: u64,
        /// Those between. Most keys end before.
        rest: &'k [u64; 3],
        last: u64,
    },
    Shared(&'k [u8]),
}

impl PartialEq for KeyView<'_> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.arguments, &other.arguments) {
            (
                ArgumentsView::Inline { first, rest, last },
                ArgumentsView::Inline { first: other_first, rest: other_rest, last: other_last },
            ) => {
                // Word by word and not as arrays: a vector load of words that were just stored one by one
                // waits for all of them.
                let differs = |at: usize| rest[at] ^ other_rest[at];
                let is_begun_alike = (last ^ other_last) | (first ^ other_first) == 0;
                is_begun_alike && (!goes_beyond(*last, 1) || differs(0) | differs(1) | differs(2) == 0)
            }
            (ArgumentsView::Shared(one), ArgumentsView::Shared(other)) => one == other,
            _ => false,
        };
        is_same && self.identity == other.identity
    }
}

impl Hash for KeyView<'_> {
    /// Feeds whole words, so that a fast hasher stays fast. Differs between processes: a pointer is in it.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let address = self.identity.address() as u64;
        match &self.arguments {
            ArgumentsView::Inline { first, rest, last } => {
                // The last word has the length, which tells trailing zeros from padding.
                state.write_u64(address ^ last);
                state.write_u64(*first);
                if goes_beyond(*last, 1) {
                    state.write_u64(rest[0]);
                }
                if goes_beyond(*last, 2) {
                    state.write_u64(rest[1]);
                    state.write_u64(rest[2]);
                }
            }
            ArgumentsView::Shared(bytes) => {
                state.write_u64(address);
                state.write(bytes);
            }
        }
    }
}

/// Whether there are more bytes than so many words have, by the last word.
#[inline(always)]
fn goes_beyond(last: u64, words: u64) -> bool {
    // The length in the last word is one more than the bytes.
    last >> 56 > 8 * words + 1
}
