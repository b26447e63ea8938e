//! Where canonical bytes are collected: on the stack while they are few.

use super::Identity;
use super::arguments::{INLINE, Inline, last_word};
use super::limit;
use super::view::{ArgumentsView, ShortKey};

/// Words for [`INLINE`] bytes, and one that takes what is shifted out of the last.
const WORDS: usize = INLINE.div_ceil(8) + 1;

/// More than fits, so that who looks at the length finds out that the bytes are not here.
const SPILLED: usize = INLINE + 1;

/// Bytes on the stack that move to the heap when they outgrow [`INLINE`].
#[derive(Clone)]
pub(super) struct Buffer {
    /// Lowest byte first; beyond `length` all zero, so that a finished key can be compared by words.
    words: [u64; WORDS],
    /// At most [`INLINE`]; [`SPILLED`] once that was exceeded.
    length: usize,
    /// Boxed to keep the buffer small: it is moved about on the hot path.
    #[expect(clippy::box_collection, reason = "one word instead of three on the hot path")]
    spilled: Option<Box<Vec<u8>>>,
}

impl Buffer {
    #[inline]
    pub(super) fn new() -> Self {
        Self { words: [0; WORDS], length: 0, spilled: None }
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.push_word(u64::from(byte), 1);
    }

    /// Appends a tag and the lowest `count` bytes of `word`, lowest first; the others must be zero, `count` at most 8.
    #[inline(always)]
    pub(super) fn push_tagged(&mut self, tag: u8, word: u64, count: usize) {
        // What comes first needs no shifting. So short, it is inlined down from the caller's `serialize`, where the
        // length is known to be zero.
        if self.length == 0 {
            self.words[0] = u64::from(tag) | word << 8;
            self.words[1] = word >> 56;
            self.length = count + 1;
        } else {
            self.push_tagged_behind(tag, word, count);
        }
    }

    #[inline(never)]
    fn push_tagged_behind(&mut self, tag: u8, word: u64, count: usize) {
        let tagged = u64::from(tag) | word << 8;
        // Whole words, and no length that both branches share: then the compiler knows where each store goes.
        if count < 8 {
            self.push_word(tagged, count + 1);
        } else {
            self.push_word(tagged, 8);
            self.push_word(word >> 56, 1);
        }
    }

    /// Appends the lowest `count` bytes of `word`, lowest first; the others must be zero, `count` at most 8.
    #[inline(always)]
    pub(super) fn push_word(&mut self, word: u64, count: usize) {
        let (at, shift) = (self.length / 8, self.length % 8 * 8);
        if self.length + count <= INLINE && at + 1 < WORDS {
            self.words[at] |= word << shift;
            // Nothing is shifted out of a word that begins here, and shifting by all 64 bits is not defined.
            if shift > 0 {
                self.words[at + 1] |= word >> (64 - shift);
            }
            self.length += count;
        } else {
            self.spill(&word.to_le_bytes()[..count.min(8)]);
        }
    }

    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.length + bytes.len() > INLINE {
            return self.spill(bytes);
        }
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.push_word(u64::from_le_bytes(*word), 8);
        }
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.push_word(last, rest.len());
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.spilled.is_none() {
            let mut all = Vec::with_capacity((self.length + bytes.len()).max(128));
            all.extend(self.to_bytes());
            self.spilled = Some(Box::new(all));
            self.length = SPILLED;
        }
        if let Some(all) = &mut self.spilled {
            all.extend_from_slice(bytes);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.spilled.as_ref().map_or(self.length, |all| all.len())
    }

    /// A copy of the bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.bytes_from(0)
    }

    /// What was appended since `start`.
    pub(super) fn bytes_from(&self, start: usize) -> Vec<u8> {
        if let Some(all) = &self.spilled {
            return all[start..].to_vec();
        }
        let mut bytes: Vec<u8> = self.words.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.truncate(self.length);
        bytes.split_off(start)
    }

    /// Replaces what was appended since `start` with `bytes`, which must be as many.
    pub(super) fn replace_from(&mut self, start: usize, bytes: &[u8]) {
        if let Some(all) = &mut self.spilled {
            return all[start..].copy_from_slice(bytes);
        }
        let before = self.to_bytes();
        *self = Self::new();
        self.extend(&before[..start]);
        self.extend(bytes);
    }

    /// The bytes where they lie, if they fit inline and it needs no closer look to know that they are the key.
    #[inline]
    pub(super) fn view(&self) -> Option<ArgumentsView<'_>> {
        let [words @ .., last, _] = &self.words;
        if self.length > INLINE || limit::is_doubtful(words, self.length) {
            return None;
        }
        let [first, rest @ ..] = words;
        Some(ArgumentsView::Inline { first: *first, rest, last: last_word(*last, self.length) })
    }

    /// The key of `identity`, if it is so short that it needs no look at the bytes to know that they are the key.
    #[inline(always)]
    pub(super) fn short(&self, identity: Identity) -> Option<ShortKey<'_>> {
        let [first, rest @ .., last, _] = &self.words;
        let last = last_word(*last, self.length);
        (self.length <= limit::SAFE).then_some(ShortKey { identity, first: *first, rest, last })
    }

    /// Gives up what was collected: it is no key.
    pub(super) fn spoil(&mut self) {
        self.spill(&[]);
    }

    /// The bytes if they fit inline, else all of them on the heap.
    #[inline]
    #[expect(clippy::box_collection, reason = "it is boxed already")]
    pub(super) fn into_inline(self) -> Result<Inline, Box<Vec<u8>>> {
        if let Some(all) = self.spilled {
            return Err(all);
        }
        let [one, two, three, four, five, _] = self.words;
        Ok(Inline::new([one, two, three, four, five], self.length))
    }
}
