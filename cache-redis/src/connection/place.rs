//! Which server a connection is made to.

use std::fmt;

use crate::address::Address;

/// Which server a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one at an address.
    At(Address),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
        }
    }
}
