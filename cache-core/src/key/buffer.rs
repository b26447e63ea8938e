//! Where canonical bytes are collected: on the stack while they are few.

use super::arguments::INLINE;
use super::view::ArgumentsView;

/// Room behind [`INLINE`], so that a whole word can be stored at any place within.
const ROOM: usize = INLINE + 10;

/// Bytes on the stack that move to the heap when they outgrow [`INLINE`].
#[derive(Clone)]
pub(super) struct Buffer {
    /// Beyond `length` all zero, so that a finished key can be compared by words.
    bytes: [u8; ROOM],
    /// At most [`INLINE`] while `spilled` is `None`; unused afterwards.
    length: usize,
    /// Boxed to keep the buffer small: it is moved about on the hot path.
    #[expect(clippy::box_collection, reason = "one word instead of three on the hot path")]
    spilled: Option<Box<Vec<u8>>>,
}

impl Buffer {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            length: 0,
            spilled: None,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.push_word(u64::from(byte), 1);
    }

    /// Appends the lowest `count` bytes of `word`, lowest first; the others must be zero, `count` at most 8.
    #[inline]
    pub(super) fn push_word(&mut self, word: u64, count: usize) {
        let end = self.length + count;
        if self.spilled.is_none()
            && end <= INLINE
            && let Some(room) = self.bytes.get_mut(self.length..self.length + 8)
        {
            room.copy_from_slice(&word.to_le_bytes());
            self.length = end;
        } else {
            self.spill(&word.to_le_bytes()[..count.min(8)]);
        }
    }

    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if self.spilled.is_none()
            && end <= INLINE
            && let Some(room) = self.bytes.get_mut(self.length..end)
        {
            room.copy_from_slice(bytes);
            self.length = end;
        } else {
            self.spill(bytes);
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let head = &self.bytes[..self.length];
        let all = self.spilled.get_or_insert_with(|| {
            let mut all = Vec::with_capacity((head.len() + bytes.len()).max(128));
            all.extend_from_slice(head);
            Box::new(all)
        });
        all.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.spilled.as_ref().map_or(self.length, |all| all.len())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.spilled {
            Some(all) => all,
            None => &self.bytes[..self.length],
        }
    }

    /// Replaces what was appended since `start` with `bytes`, which must be as many.
    pub(super) fn replace_from(&mut self, start: usize, bytes: &[u8]) {
        match &mut self.spilled {
            Some(all) => all[start..].copy_from_slice(bytes),
            None => self.bytes[start..self.length].copy_from_slice(bytes),
        }
    }

    /// The bytes where they lie, if they fit inline.
    #[inline]
    pub(super) fn view(&self) -> Option<ArgumentsView<'_>> {
        if self.spilled.is_some() {
            return None;
        }
        let bytes = self.bytes.first_chunk()?;
        Some(ArgumentsView::Inline { length: self.length as u8, bytes })
    }

    /// The bytes with their number if they fit inline, else all of them.
    #[inline]
    #[expect(clippy::box_collection, reason = "it is boxed already")]
    pub(super) fn into_inline(self) -> Result<(u8, [u8; INLINE]), Box<Vec<u8>>> {
        if let Some(all) = self.spilled {
            return Err(all);
        }
        let mut bytes = [0; INLINE];
        bytes.copy_from_slice(&self.bytes[..INLINE]);
        Ok((self.length as u8, bytes))
    }
}
