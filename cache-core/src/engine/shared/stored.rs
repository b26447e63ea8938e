//! Values to frames and back.

use std::time::Duration;

use super::{Question, Shared};
use crate::backend::{Epoch, Found, ServerTime};
use crate::codec::Codec;
use crate::entry::MissReason;
use crate::entry::frame::{Frame, FrameView};
use crate::storage::Storage;

/// A value as it was found in the shared tier, usable.
#[derive(Debug)]
pub(in crate::engine) struct Stored<V> {
    pub(in crate::engine) value: V,
    /// How long it is fresh yet.
    pub(in crate::engine) fresh: Duration,
    /// How long ago it was computed.
    pub(in crate::engine) age: Duration,
    /// The bytes of its encoded form.
    pub(in crate::engine) size: usize,
}

/// Reads the value out of what was found, if it may be used: `current` are the epochs of its tags, combined; `None` if
/// one is absent, which equals nothing.
pub(super) fn read<V, S: Storage<V>>(
    question: &Question<'_, S>,
    found: &Found,
    current: Option<Epoch>,
    now: ServerTime,
) -> Result<Stored<V>, MissReason> {
    let view = FrameView::parse(&found.frame).map_err(|_| MissReason::Undecodable)?;
    let codec = question.shared.codec;
    if view.fingerprint() != question.fingerprint || view.codec() != codec.id() {
        return Err(MissReason::Version);
    }
    // One epoch that stands for all; tags that only the value knows are not written yet.
    if view.declared().len() != 1 || view.named().next().is_some() {
        return Err(MissReason::Version);
    }
    if view.declared().next() != current {
        return Err(MissReason::Invalidated);
    }
    let age = Duration::from_millis((now.micros() / 1000).saturating_sub(view.created_millis()));
    let fresh = view.fresh_for().saturating_sub(age);
    if found.is_expired || fresh.is_zero() {
        return Err(MissReason::Expired);
    }
    let value = question.storage.decode(codec, view.payload()).map_err(|_| MissReason::Undecodable)?;
    Ok(Stored { value, fresh, age, size: view.payload().len() })
}

/// A value on its way to the shared tier.
pub(in crate::engine) struct Unstored<'v, V> {
    pub(in crate::engine) value: &'v V,
    pub(in crate::engine) fresh: Duration,
    pub(in crate::engine) cost: Duration,
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
pub(in crate::engine) fn frame_of<V, S: Storage<V>>(
    shared: &Shared,
    storage: S,
    fingerprint: u64,
    unstored: &Unstored<'_, V>,
    epochs: &[Epoch],
    now: ServerTime,
) -> Result<Vec<u8>, Unframed> {
    let mut payload = Vec::new();
    storage.encode(shared.codec, unstored.value, &mut payload).map_err(|_| Unframed::NotEncodable)?;
    if payload.len() > shared.max_value_bytes {
        return Err(Unframed::TooLarge);
    }
    let frame = Frame {
        codec: shared.codec.id(),
        fingerprint,
        created_millis: now.micros() / 1000,
        fresh_for: unstored.fresh,
        grace: Duration::ZERO,
        cost: unstored.cost,
        declared: &[Epoch::combined(epochs.iter().copied())],
        named: &[],
        payload: &payload,
    };
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    Ok(bytes)
}
