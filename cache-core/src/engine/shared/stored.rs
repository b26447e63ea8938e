//! Values to frames and back.

use std::time::Duration;

use super::{Question, Shared};
use crate::backend::{Epoch, Found, FrameBytes, ServerTime};
use crate::codec::Codec;
use crate::engine::value::AnyValue;
use crate::entry::frame::{Frame, FrameView};
use crate::entry::{Lifetime, MissReason};
use crate::key::Tag;

/// A value as it was found in the shared tier: fresh, or at least one that may stand in.
#[derive(Debug)]
pub(in crate::engine) struct Stored {
    pub(in crate::engine) value: AnyValue,
    /// How long it is fresh yet; zero for a stale one.
    pub(in crate::engine) fresh: Duration,
    /// How long it may stand in beyond that.
    pub(in crate::engine) grace: Duration,
    /// How long ago it was computed.
    pub(in crate::engine) age: Duration,
    /// What computing it took.
    pub(in crate::engine) cost: Duration,
    /// The bytes of its encoded form.
    pub(in crate::engine) size: usize,
    /// When it was created, in ms by the server's clock: what tells it from the values before and after.
    pub(in crate::engine) version: u64,
    /// The tags that only the value knows, with the epochs that it bears of them: not compared yet.
    pub(super) named: Vec<(Tag, Epoch)>,
    pub(in crate::engine) frame: FrameBytes,
}

impl Stored {
    /// To be kept: as what was seen, and as what may stand in.
    pub(in crate::engine) fn kept(self) -> Self {
        Self { frame: self.frame.shared(), ..self }
    }
}

/// Reads the value out of what was found, if it may be used or stand in: `current` are the epochs of its declared tags,
/// combined; `None` if one is absent, which equals nothing.
pub(super) fn read(
    question: &Question<'_>,
    found: Found,
    current: Option<Epoch>,
    now: ServerTime,
) -> Result<Stored, (MissReason, FrameBytes)> {
    match judge(question, &found, current, now) {
        Ok(judged) => Ok(judged(found.frame)),
        Err(reason) => Err((reason, found.frame.shared())),
    }
}

/// Judges what was found without taking it: what makes the value of the frame, if it is of use.
fn judge(
    question: &Question<'_>,
    found: &Found,
    current: Option<Epoch>,
    now: ServerTime,
) -> Result<impl FnOnce(FrameBytes) -> Stored + use<>, MissReason> {
    let view = FrameView::parse(&found.frame).map_err(|_| MissReason::Undecodable)?;
    let codec = question.shared.codec;
    if view.fingerprint() != question.fingerprint || view.codec() != codec.id() {
        return Err(MissReason::Version);
    }
    // One epoch that stands for all.
    if view.declared().len() != 1 {
        return Err(MissReason::Version);
    }
    if view.declared().next() != current {
        return Err(MissReason::Invalidated);
    }
    let age = Duration::from_millis((now.micros() / 1000).saturating_sub(view.created_millis()));
    let fresh = if found.is_expired { Duration::ZERO } else { view.fresh_for().saturating_sub(age) };
    let grace = view.usable_for().saturating_sub(age).saturating_sub(fresh);
    // Its grace began when it was made stale, which the frame does not tell.
    let grace = if found.is_expired { grace.min(question.remember.grace) } else { grace };
    let stands_in = !question.remember.grace.is_zero() && !grace.is_zero();
    if fresh.is_zero() && !stands_in {
        return Err(MissReason::Expired);
    }
    let value = question.kind.decode(codec, view.payload()).map_err(|_| MissReason::Undecodable)?;
    let (size, cost, version) = (view.payload().len(), view.cost(), view.created_millis());
    question.function.has_size(size);
    let named = view.named().map(|named| (Tag::from(named.name), named.epoch)).collect();
    Ok(move |frame| Stored { value, fresh, grace, age, cost, size, version, named, frame })
}

/// A value on its way to the shared tier.
pub(in crate::engine) struct Unstored<'v> {
    pub(in crate::engine) value: &'v AnyValue,
    pub(in crate::engine) lifetime: Lifetime,
    pub(in crate::engine) cost: Duration,
    /// The tags that only the value knows.
    pub(in crate::engine) named: &'v [(Tag, Epoch)],
}

/// Why a value does not become a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Unframed {
    /// It is larger than the limit.
    TooLarge,
    /// It cannot be encoded so that it is read back as it is.
    NotEncodable,
}

/// Makes the frame of a value that was computed under `epochs` and is created at `now`.
pub(in crate::engine) fn frame_of(
    shared: &Shared,
    fingerprint: u64,
    unstored: &Unstored<'_>,
    epochs: &[Epoch],
    now: ServerTime,
) -> Result<Vec<u8>, Unframed> {
    let mut payload = Vec::new();
    unstored.value.encode(shared.codec, &mut payload).map_err(|_| Unframed::NotEncodable)?;
    if payload.len() > shared.max_value_bytes {
        return Err(Unframed::TooLarge);
    }
    let mut bytes = Vec::new();
    Frame { payload: &payload, ..unstored.head(shared, fingerprint, &combined(epochs), now) }
        .encode(&mut bytes);
    Ok(bytes)
}

/// Makes the head of a frame for a payload of `length` bytes that is there already.
pub(in crate::engine) fn head_of(
    shared: &Shared,
    fingerprint: u64,
    unstored: &Unstored<'_>,
    epochs: &[Epoch],
    now: ServerTime,
    length: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    unstored.head(shared, fingerprint, &combined(epochs), now).encode_head(length, &mut bytes);
    bytes
}

fn combined(epochs: &[Epoch]) -> [Epoch; 1] {
    [Epoch::combined(epochs.iter().copied())]
}

impl Unstored<'_> {
    /// A frame that has no payload yet.
    fn head<'f>(
        &'f self,
        shared: &Shared,
        fingerprint: u64,
        declared: &'f [Epoch],
        now: ServerTime,
    ) -> Frame<'f> {
        Frame {
            codec: shared.codec.id(),
            fingerprint,
            created_millis: now.micros() / 1000,
            fresh_for: self.lifetime.fresh,
            grace: self.lifetime.grace,
            cost: self.cost,
            declared,
            named: self.named,
            payload: &[],
        }
    }
}
