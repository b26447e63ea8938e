//! What keeps old values from being served, asked for in one call.

use std::time::Duration;

use super::{EntryKey, Tags};

/// What is to be invalidated, all of it in one call.
///
/// Anything may be named twice. What is both removed and expired is removed.
#[derive(Debug, Clone, Copy)]
pub struct InvalidateRequest<'a> {
    /// The entries to remove.
    pub keys: &'a [EntryKey],
    /// The entries to make stale, and for how long each stays readable (its grace) at most.
    pub expired: &'a [(EntryKey, Duration)],
    /// The tags to give new epochs.
    pub tags: Tags<'a>,
}

impl InvalidateRequest<'_> {
    /// Nothing at all.
    pub const NOTHING: Self = Self { keys: &[], expired: &[], tags: Tags::NONE };
}
