//! Reads a frame where it lies.

use std::time::Duration;

use super::number::Cursor;
use super::{CREATED_LENGTH, CodecId, FORMAT, FrameError, MAGIC, VERSION};
use crate::entry::epoch::Epoch;

/// A stored frame, read where it lies. All of it has been checked; nothing is copied.
#[derive(Debug, Clone)]
pub struct FrameView<'a> {
    codec: CodecId,
    fingerprint: u64,
    created_millis: u64,
    fresh_for: Duration,
    grace: Duration,
    cost: Duration,
    /// Whole epochs, one after the other.
    declared: &'a [u8],
    named: Cursor<'a>,
    named_count: usize,
    payload: &'a [u8],
}

/// A tag that only the value knew, with its epoch before the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedTag<'a> {
    /// The name of the tag.
    pub name: &'a str,
    /// Its epoch.
    pub epoch: Epoch,
}

impl<'a> FrameView<'a> {
    /// Reads a frame. See [`Frame`](super::Frame) for an example.
    ///
    /// Takes bytes of whatever origin: it never panics, allocates nothing, and its time is bounded by their number.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(bytes);
        read_version(&mut cursor)?;
        let codec = CodecId(cursor.byte()?);
        let fingerprint = u64::from_le_bytes(cursor.array()?);
        let created_millis = read_created(&mut cursor)?;
        let (fresh_for, grace) = (cursor.span()?, cursor.span()?);
        let cost = cursor.short_float()?;
        let (declared, has_named) = read_declared(&mut cursor)?;
        let (named, named_count) = if has_named { read_named(&mut cursor)? } else { (Cursor::new(&[]), 0) };
        let length = cursor.count(1)?;
        let payload = cursor.take(length)?;
        if !cursor.rest().is_empty() {
            return Err(FrameError::Trailing);
        }
        Ok(Self {
            codec,
            fingerprint,
            created_millis,
            fresh_for,
            grace,
            cost,
            declared,
            named,
            named_count,
            payload,
        })
    }

    /// Which codec wrote the payload.
    pub fn codec(&self) -> CodecId {
        self.codec
    }

    /// The fingerprint of the value type.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// When the computation ended, in milliseconds since 1970.
    pub fn created_millis(&self) -> u64 {
        self.created_millis
    }

    /// How long after its creation the value is fresh.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    /// How long beyond that it may stand in.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// How long after its creation the value is fresh or may stand in.
    pub fn usable_for(&self) -> Duration {
        self.fresh_for.saturating_add(self.grace)
    }

    /// What computing the value took.
    pub fn cost(&self) -> Duration {
        self.cost
    }

    /// The epochs of the declared tags. Fewer or more than the reader declares: its tags changed, and this is a miss.
    pub fn declared(&self) -> impl ExactSizeIterator<Item = Epoch> + 'a {
        let (epochs, _) = self.declared.as_chunks();
        epochs.iter().copied().map(Epoch::from_bytes)
    }

    /// The tags that only the value knew.
    pub fn named(&self) -> impl Iterator<Item = NamedTag<'a>> + 'a {
        let mut cursor = self.named.clone();
        // `parse` has read them all once, so none fails.
        (0..self.named_count).map_while(move |_| read_tag(&mut cursor).ok())
    }

    /// The encoded value.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<(), FrameError> {
    // What is too short to tell is no frame of ours either.
    let [magic, format] = cursor.array().map_err(|_| FrameError::NotAFrame)?;
    match (magic, format & 0xF0, format & 0x0F) {
        (MAGIC, FORMAT, VERSION) => Ok(()),
        (MAGIC, FORMAT, other) => Err(FrameError::Version(other)),
        _ => Err(FrameError::NotAFrame),
    }
}

fn read_created(cursor: &mut Cursor<'_>) -> Result<u64, FrameError> {
    let mut bytes = [0; 8];
    bytes[..CREATED_LENGTH].copy_from_slice(cursor.take(CREATED_LENGTH)?);
    Ok(u64::from_le_bytes(bytes))
}

fn read_declared<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], bool), FrameError> {
    let number = cursor.number()?;
    let count = cursor.fitting(number >> 1, Epoch::LENGTH)?;
    Ok((cursor.take(count * Epoch::LENGTH)?, number & 1 == 1))
}

fn read_named<'a>(cursor: &mut Cursor<'a>) -> Result<(Cursor<'a>, usize), FrameError> {
    let count = cursor.count(Epoch::LENGTH + 1)?;
    if count == 0 {
        return Err(FrameError::BadNumber);
    }
    let named = cursor.clone();
    for _ in 0..count {
        read_tag(cursor)?;
    }
    Ok((named, count))
}

fn read_tag<'a>(cursor: &mut Cursor<'a>) -> Result<NamedTag<'a>, FrameError> {
    let epoch = Epoch::from_bytes(cursor.array()?);
    let length = cursor.count(1)?;
    let name = std::str::from_utf8(cursor.take(length)?).map_err(|_| FrameError::BadTag)?;
    Ok(NamedTag { name, epoch })
}
