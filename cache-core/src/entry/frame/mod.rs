//! The stored form of an entry. This is a format: `tests/golden/frames.txt` pins it.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `4C`, the letter L |
//! | 1 | `D0` plus the version of the format, 1 to 15 |
//! | 1 | codec of the payload |
//! | 8 | fingerprint of the value type, lowest byte first |
//! | 6 | created, milliseconds since 1970, lowest byte first |
//! | 1 to 9 | fresh for, a span |
//! | 1 to 9 | grace, a span: how long it is usable beyond that |
//! | 2 | compute cost, a short float in microseconds |
//! | 1 to 3 | number of declared tags, times two, plus one if there are named ones; LEB128 |
//! | 16 each | epochs of the declared tags, in the order of the declaration |
//! | 1 to 3 | number of named tags, if any |
//! | 16 + 1 to 3 + n each | epoch, length of the name, and name of each named tag |
//! | 1 to 9 | length of the payload |
//! | the rest | payload |
//!
//! A *span* is LEB128 of a number of seconds times two, or of milliseconds times two plus one where it is not whole
//! seconds. A *short float* has 11 bits of mantissa and above them 5 bits of exponent: it is off by 1/1024 at most,
//! which is plenty for weighing when to recompute. Each number has one form; another one is an error.
//!
//! There is no checksum. TCP and Redis have theirs; what reaches a frame's key in practice is a whole value of
//! another program, type or version, and for those magic, version and fingerprint are 80 bits of difference. A cut
//! or extended value is found by the lengths. A checksum would cost a pass over the payload at each hit to
//! find what does not occur.

mod error;
mod number;
mod view;

use std::time::Duration;

pub use error::FrameError;
pub use view::{FrameView, NamedTag};

use super::epoch::Epoch;
use crate::key::Tag;

/// Which codec wrote a payload.
///
/// 0 to 127 are Larder's: 1 bincode, 2 postcard, 3 MessagePack, 4 JSON. The others are free for codecs of your own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecId(pub u8);

/// An entry on its way to the shared tier.
///
/// ```
/// use std::time::Duration;
/// use cache_core::entry::epoch::Epoch;
/// use cache_core::entry::frame::{CodecId, Frame, FrameView};
///
/// let frame = Frame {
///     codec: CodecId(1),
///     fingerprint: 0x1234_5678_9abc_def0,
///     created_millis: 1_700_000_000_000,
///     fresh_for: Duration::from_secs(3600),
///     grace: Duration::from_secs(600),
///     cost: Duration::from_millis(12),
///     declared: &[Epoch::new(1_699_999_999_000_000, 7)],
///     named: &[],
///     payload: b"menu",
/// };
/// let mut bytes = Vec::new();
/// frame.encode(&mut bytes);
///
/// let view = FrameView::parse(&bytes)?;
/// assert_eq!(view.payload(), b"menu");
/// assert_eq!(view.usable_for(), Duration::from_secs(4200));
/// # Ok::<(), cache_core::entry::frame::FrameError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Which codec wrote the payload.
    pub codec: CodecId,
    /// The fingerprint of the value type.
    pub fingerprint: u64,
    /// When the computation ended, in milliseconds since 1970; 48 bits are kept.
    pub created_millis: u64,
    /// How long after that the value is fresh: the ttl. Kept in whole milliseconds, rounded down.
    pub fresh_for: Duration,
    /// How long beyond that it may stand in. Kept in whole milliseconds, rounded down.
    pub grace: Duration,
    /// What computing it took. Kept to a tenth of a percent, from 0 to 50 days.
    pub cost: Duration,
    /// The epochs of the tags that the reader knows from the call, in its order.
    pub declared: &'a [Epoch],
    /// The tags that only the value knows.
    pub named: &'a [(Tag, Epoch)],
    /// The encoded value.
    pub payload: &'a [u8],
}

const MAGIC: u8 = b'L';
const FORMAT: u8 = 0xD0;
const VERSION: u8 = 1;
/// 48 bits of milliseconds last until the year 10889.
const CREATED_LENGTH: usize = 6;

impl Frame<'_> {
    /// Appends the stored form.
    pub fn encode(&self, into: &mut Vec<u8>) {
        self.encode_head(self.payload.len(), into);
        into.extend(self.payload);
    }

    /// Appends all of it that comes before the payload, for one of `length` bytes.
    pub fn encode_head(&self, length: usize, into: &mut Vec<u8>) {
        let names: usize = self.named.iter().map(|(tag, _)| Epoch::LENGTH + 3 + tag.as_str().len()).sum();
        into.reserve(64 + self.declared.len() * Epoch::LENGTH + names + length);
        into.extend([MAGIC, FORMAT | VERSION, self.codec.0]);
        into.extend(self.fingerprint.to_le_bytes());
        into.extend(&self.created_millis.to_le_bytes()[..CREATED_LENGTH]);
        number::write_span(into, self.fresh_for);
        number::write_span(into, self.grace);
        number::write_short_float(into, self.cost);
        number::write(into, (self.declared.len() as u64) << 1 | u64::from(!self.named.is_empty()));
        for epoch in self.declared {
            into.extend(epoch.to_bytes());
        }
        if !self.named.is_empty() {
            number::write(into, self.named.len() as u64);
        }
        for (tag, epoch) in self.named {
            into.extend(epoch.to_bytes());
            number::write(into, tag.as_str().len() as u64);
            into.extend(tag.as_str().as_bytes());
        }
        number::write(into, length as u64);
    }
}
