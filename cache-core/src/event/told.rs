//! What a cache tells to who subscribed.

use std::sync::Arc;

use crate::backend::TagKey;
use crate::entry::MissReason;
use crate::key::Tag;

/// Something that happened in a cache, as [`Cache::subscribe`](crate::Cache::subscribe) tells it.
///
/// `function` is the name as in the statistics. `key` is the text of the key, `menu_of:v0:42`, in which secret arguments are
/// digests. One call is one of `Hit`, `Stale`, `Miss` and `Joined`, as it is counted; values are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A tier answered a call.
    Hit {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
        /// Which one.
        tier: Tier,
    },
    /// A stale value answered a call.
    Stale {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
    },
    /// A call had to compute.
    Miss {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
        /// Why.
        reason: MissReason,
    },
    /// A call joined a computation in flight.
    Joined {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
    },
    /// A computed value was stored.
    Fill {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
    },
    /// A computed value was not stored, because an invalidation came while it was computed.
    RefusedFill {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
    },
    /// A value is recomputed in the background, before it is stale.
    Refresh {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
    },
    /// That came to nothing: the old value goes on.
    FailedRefresh {
        /// The name of the function.
        function: Arc<str>,
        /// The text of the key.
        key: Arc<str>,
    },
    /// An invalidation took effect in this process.
    Invalidation {
        /// What was invalidated.
        of: Invalidated,
        /// Whether it is stale now, instead of removed.
        is_soft: bool,
        /// Whose invalidation it was.
        by: Invalidator,
    },
    /// The shared tier does not answer; calls go on without it.
    BreakerOpened,
    /// The shared tier answers again.
    BreakerClosed,
    /// Messages of other processes may have been missed: the local tier begins anew. The first is the beginning.
    Gap,
    /// So many events, older than the next, were lost: they came faster than they were taken.
    Lost(u64),
}

/// What an invalidation was about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidated {
    /// One entry, by the text of its key.
    Entry(Arc<str>),
    /// Every entry that bears this tag.
    Tag(Tag),
    /// Every entry of a function, by its path or `name`.
    Function(Arc<str>),
    /// Everything under the prefix.
    Everything,
}

impl From<&TagKey> for Invalidated {
    fn from(tag: &TagKey) -> Self {
        match tag {
            TagKey::Everything => Self::Everything,
            TagKey::Function(path) => Self::Function(path.clone()),
            TagKey::Tag(tag) => Self::Tag(tag.clone()),
        }
    }
}

/// Whose invalidation it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidator {
    /// This cache's.
    Here,
    /// That of another process, or of another cache in this one.
    Elsewhere,
    /// That of a program that is not Larder.
    Outside,
}

/// One of the two tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// In this process.
    Local,
    /// In Redis, say.
    Shared,
}
