//! Values to bytes and back.
//!
//! What all codecs share lies in two guards around the serializers of the formats: `strict` refuses to
//! write what would be read back as something else, `bounded` refuses what would cost
//! more than its bytes are worth. A codec's own file says what is particular to its format.

mod any;
mod bincode;
mod bounded;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "messagepack")]
mod messagepack;
#[cfg(feature = "postcard")]
mod postcard;
mod strict;

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::any::AnyCodec;
pub use self::bincode::Bincode;
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "messagepack")]
pub use self::messagepack::MessagePack;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;
pub use crate::entry::frame::CodecId;
use crate::{Error, ErrorKind};

/// Turns values into bytes and back.
///
/// - What `decode` returns for bytes of `encode` equals the value, or `encode` refuses it with an error.
/// - `decode` takes bytes of whatever origin. It never panics, and refuses bytes that follow behind the value, values
///   that nest deeper than 128 levels (JSON writes 63), and lengths beyond the bytes there are: a length of 2^60 costs neither
///   memory nor time.
/// - `encode` appends: what `into` holds stays.
///
/// Not promised: that `into` is as before when `encode` fails, or that bytes of one version of a type are refused
/// by another (the fingerprint in the frame is for that).
///
/// ```
/// use cache_core::codec::{Bincode, Codec};
///
/// let mut bytes = Vec::new();
/// Bincode.encode(&(42_u64, "en"), &mut bytes)?;
/// let value: (u64, String) = Bincode.decode(&bytes)?;
/// assert_eq!(value, (42, "en".into()));
/// # Ok::<(), cache_core::Error>(())
/// ```
pub trait Codec {
    /// What marks the bytes of this codec in a frame.
    fn id(&self) -> CodecId;

    /// Appends the bytes of `value`.
    ///
    /// # Errors
    ///
    /// Of kind [`Encode`](ErrorKind::Encode) when the value cannot be written so that it is read back as it is.
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), Error>;

    /// Reads a value that takes up all of `bytes`.
    ///
    /// # Errors
    ///
    /// Of kind [`Decode`](ErrorKind::Decode) when `bytes` are not those of one such value.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error>;
}

/// Counts the bytes of `value` in the default codec, without building them.
///
/// # Errors
///
/// Of kind [`Encode`](ErrorKind::Encode) when the value cannot be encoded.
pub fn encoded_size<T: Serialize + ?Sized>(value: &T) -> Result<usize, Error> {
    self::bincode::encoded_size(value)
}

type Source = Box<dyn std::error::Error + Send + Sync>;

#[cold]
fn encode_error<T: ?Sized>(format: &str, source: impl Into<Source>) -> Error {
    Error::new(ErrorKind::Encode, format!("could not encode a `{}` as {format}", type_name::<T>()))
        .with_source(source)
}

#[cold]
fn decode_error<T: ?Sized>(format: &str, source: impl Into<Source>) -> Error {
    Error::new(ErrorKind::Decode, format!("could not decode a `{}` from {format}", type_name::<T>()))
        .with_source(source)
}

#[cold]
fn trailing_error<T: ?Sized>(format: &str, count: usize) -> Error {
    decode_error::<T>(format, format!("{count} bytes follow behind the value"))
}
