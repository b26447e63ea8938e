//! The codec that a cache was built with.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Bincode, Codec, CodecId};
use crate::Error;

/// The codec that a cache was built with: one of those that are compiled in. Bincode by default.
///
/// ```
/// use cache_core::codec::{AnyCodec, Bincode, Codec};
/// assert_eq!(AnyCodec::default().id(), Bincode.id());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnyCodec {
    /// Compact and fast.
    #[default]
    Bincode,
    /// Compact.
    #[cfg(feature = "postcard")]
    Postcard,
    /// Binary, with the names of fields.
    #[cfg(feature = "messagepack")]
    MessagePack,
    /// Text.
    #[cfg(feature = "json")]
    Json,
}

/// Runs `$call` with the codec that `$any` stands for.
macro_rules! dispatch {
    ($any:expr, $codec:ident => $call:expr) => {
        match $any {
            AnyCodec::Bincode => {
                let $codec = Bincode;
                $call
            }
            #[cfg(feature = "postcard")]
            AnyCodec::Postcard => {
                let $codec = super::Postcard;
                $call
            }
            #[cfg(feature = "messagepack")]
            AnyCodec::MessagePack => {
                let $codec = super::MessagePack;
                $call
            }
            #[cfg(feature = "json")]
            AnyCodec::Json => {
                let $codec = super::Json;
                $call
            }
        }
    };
}

impl Codec for AnyCodec {
    fn id(&self) -> CodecId {
        dispatch!(self, codec => codec.id())
    }

    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), Error> {
        dispatch!(self, codec => codec.encode(value, into))
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        dispatch!(self, codec => codec.decode(bytes))
    }
}
