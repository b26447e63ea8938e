//! Which server a connection is made to.

use std::fmt;
#[cfg(feature = "sentinel")]
use std::sync::Arc;

use crate::address::Address;
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinels;

/// Which server a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one at an address.
    At(Address),
    /// Whichever sentinels say is the primary, asked again for each connection.
    #[cfg(feature = "sentinel")]
    Primary(Arc<Sentinels>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            #[cfg(feature = "sentinel")]
            Self::Primary(sentinels) => sentinels.fmt(f),
        }
    }
}
