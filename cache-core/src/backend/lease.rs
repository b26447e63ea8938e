//! Leases: the right to fill one key.

use std::fmt;
use std::time::Duration;

use super::{EntryKey, Epoch, Found, FrameBytes, ServerTime, Tags, random};

/// 128 random bits that name one flight (not one process) towards the store.
///
/// ```
/// use cache_core::backend::LeaseToken;
/// assert_ne!(LeaseToken::random(), LeaseToken::random());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(u128);

impl LeaseToken {
    /// Draws a token.
    pub fn random() -> Self {
        Self((u128::from(random::bits()) << 64) | u128::from(random::bits()))
    }

    /// Sixteen bytes, big-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseToken({:032x})", self.0)
    }
}

/// Proof that a lease was granted: the flight's token and the server's time of the grant.
///
/// Both are compared. The token alone is not enough: a request for a lease that timed out can run after an
/// invalidation and be granted then, and the fill of the same flight, late as well, would find its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The token of the flight.
    pub token: LeaseToken,
    /// When the store granted it. The computation begins later; an epoch younger than this means
    /// invalidated meanwhile.
    pub granted_at: ServerTime,
}

/// What whoever asks for a lease knows of the entry.
#[derive(Debug, Clone, Copy)]
pub enum Claim<'a> {
    /// There was no entry. If there is one now, it is the answer.
    Absent,
    /// There was this frame, and it is not good enough (invalidated by tag, stale, not decodable, due for
    /// refresh). If there is another one now, it is the answer.
    ///
    /// A store may compare the first 64 bytes and the length alone: a frame begins with its own times.
    Replace(&'a FrameBytes),
    /// The value is known already (`put`). Grants whatever is there, and voids the lease of another.
    Take,
}

/// A request for a lease.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// The key to fill.
    pub key: &'a EntryKey,
    /// Who asks.
    pub token: LeaseToken,
    /// How long the lease lives unless renewed; how long a dead holder can delay others. In ms, rounded up.
    pub life: Duration,
    /// The tags of the entry to come.
    pub tags: Tags<'a>,
    /// What the asker knows of the entry.
    pub claim: Claim<'a>,
}

/// The answer to a request for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// The asker is the holder and may compute.
    Granted {
        /// What renews and fills.
        grant: Grant,
        /// The current epochs of the tags, in their order, created where absent.
        epochs: Vec<Epoch>,
    },
    /// Someone else holds it.
    Held {
        /// How long until it ends, if it is not renewed.
        remaining: Duration,
    },
    /// No lease is needed: the key was filled meanwhile.
    Filled {
        /// The entry.
        found: Found,
        /// The current epochs of the tags, in their order, created where absent.
        epochs: Vec<Epoch>,
    },
}

/// The answer to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lives for the time asked for, counted from now.
    Renewed,
    /// The grant is not current: it was voided, or it ended. Its fill will be refused.
    Refused,
}
