//! What a backend keeps under a key, and how it is read and filled.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::{EntryKey, Epoch, Grant, TagKey};
use crate::Error;

/// The bytes of a frame, opaque to a backend. Cheap to clone once they are [shared](Self::shared).
///
/// ```
/// use cache_core::backend::FrameBytes;
/// let stored = FrameBytes::from(vec![1, 2, 3]);
/// assert_eq!(&stored[..], [1, 2, 3]);
/// let kept = stored.skip(1).shared();
/// assert_eq!(&kept.clone()[..], [2, 3]);
/// ```
#[derive(Clone)]
pub struct FrameBytes {
    whole: Whole,
    start: usize,
}

/// A `Vec`, so that what a client library hands over is kept without copying it.
#[derive(Clone)]
enum Whole {
    Own(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl FrameBytes {
    /// The same bytes, so that clones refer to them instead of copying them: for a backend that keeps them.
    #[must_use]
    pub fn shared(self) -> Self {
        match self.whole {
            Whole::Own(bytes) => Self { whole: Whole::Shared(Arc::new(bytes)), ..self },
            Whole::Shared(_) => self,
        }
    }

    /// The same bytes without the first `count` (all of them, if there are fewer), without copying: for a
    /// backend that stores something of its own in front.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.start = self.start.saturating_add(count).min(self.whole().len());
        self
    }

    fn whole(&self) -> &[u8] {
        match &self.whole {
            Whole::Own(bytes) => bytes,
            Whole::Shared(bytes) => bytes,
        }
    }
}

impl Deref for FrameBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole()[self.start..]
    }
}

impl From<Vec<u8>> for FrameBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { whole: Whole::Own(bytes), start: 0 }
    }
}

impl From<&[u8]> for FrameBytes {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl PartialEq for FrameBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for FrameBytes {}

/// Tells the length alone: the bytes are the user's.
impl fmt::Debug for FrameBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameBytes({} bytes)", self.len())
    }
}

/// An entry as it was found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The frame, as it was filled. A backend that has it in memory hands out clones of a
    /// [`shared`](FrameBytes::shared) one.
    pub frame: FrameBytes,
    /// Whether the entry was made stale by [`expire`](super::Backend::expire) since it was filled. What its
    /// own age makes of it the frame tells.
    pub is_expired: bool,
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The entry; `None` if there is none.
    pub found: Option<Found>,
    /// The current epochs of the tags asked for, in their order; `None` where absent.
    pub epochs: Vec<Option<Epoch>>,
}

/// The answer to a read of many entries.
#[derive(Debug, Clone)]
pub struct ReadMany {
    /// The entries, in the order of the keys asked for: as in [`Read`], or why it could not be read.
    pub found: Vec<Result<Option<Found>, Error>>,
    /// The current epochs of the tags asked for, in their order; `None` where absent, or not to be read now.
    pub epochs: Vec<Option<Epoch>>,
}

/// Tags, and for how long their epochs are needed.
#[derive(Debug, Clone, Copy)]
pub struct Tags<'a> {
    /// The tags. None at all, or one twice, is fine.
    pub keys: &'a [TagKey],
    /// The store keeps their epochs for at least this long from now: twice the life of the entry, say. Too
    /// short costs misses, never a stale hit.
    pub life: Duration,
}

impl Tags<'_> {
    /// No tags.
    pub const NONE: Self = Self { keys: &[], life: Duration::ZERO };
}

/// A computed value on its way to the store.
#[derive(Debug, Clone, Copy)]
pub struct FillRequest<'a> {
    /// The key to fill.
    pub key: &'a EntryKey,
    /// The grant under which the value was computed.
    pub grant: &'a Grant,
    /// What to store. [`shared`](FrameBytes::shared) already: to keep a clone of it is cheap.
    pub frame: &'a FrameBytes,
    /// How long the store keeps it: the value's ttl and grace together. In ms, rounded up.
    pub life: Duration,
    /// Tags whose epochs must live longer than the lease asked for, because only the value knew its ttl.
    /// Mostly [`Tags::NONE`].
    pub tags: Tags<'a>,
}

/// A value that was computed again and is still the one that is stored: it gets another head, and is not sent.
#[derive(Debug, Clone, Copy)]
pub struct RefillRequest<'a> {
    /// The key to fill.
    pub key: &'a EntryKey,
    /// The grant under which the value was computed.
    pub grant: &'a Grant,
    /// The frame that was seen. A store may compare its first 64 bytes and its length alone: a frame begins with its own times.
    pub seen: &'a FrameBytes,
    /// What is to stand before the value.
    pub head: &'a [u8],
    /// How many bytes at the end of the frame are the value.
    pub size: usize,
    /// As for [`FillRequest::life`].
    pub life: Duration,
    /// As for [`FillRequest::tags`].
    pub tags: Tags<'a>,
}

/// The answer to a refill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refill {
    /// The entry is stored anew, and the lease has ended.
    Stored,
    /// The grant is not current: as [`Fill::Refused`].
    Refused,
    /// The frame that was seen is not there any more. The lease lives: fill instead.
    Other,
}

/// The answer to a fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The entry is stored, and the lease has ended.
    Stored,
    /// The grant is not current: nothing changed. It was voided, it ended, or an earlier sending of the same
    /// fill has used it up. It never means that the store failed.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_shared_frame_are_the_same_bytes() {
        let own = FrameBytes::from(vec![1, 2, 3]).skip(1);
        let shared = own.clone().shared();

        assert_eq!(own, shared);
        assert_eq!(shared.as_ptr(), shared.clone().as_ptr());
        assert_eq!(shared.as_ptr(), shared.clone().shared().as_ptr());
        assert_eq!(shared.clone().skip(1).as_ptr(), shared[1..].as_ptr());
    }
}
