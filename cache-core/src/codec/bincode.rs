//! The default codec. This is a format: `tests/golden/codecs.txt` pins it.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use ::bincode::config::{Configuration, standard};
use ::bincode::enc::write::{SizeWriter, Writer};
use ::bincode::error::EncodeError;

use super::bounded::{Bounded, Budget, DEPTH};
use super::strict::{Rules, Strict, Watch};
use super::{Codec, CodecId, decode_error, encode_error, trailing_error};
use crate::Error;

const NAME: &str = "bincode";

/// Encodes with bincode 2: compact, fast, the default.
///
/// Little endian, integers of variable length; fields and variants have no names in the bytes, so it is read only by
/// the type that wrote it. It cannot hold types that ask the format what comes (`untagged`, `flatten`, internally
/// tagged enums, `serde_json::Value`) or skip fields: for those, use `MessagePack` or `Json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bincode;

/// Spelled out, as the stored form depends on it. The limits are those of [`Bounded`]: bincode's own `Limit`
/// is a constant of the type, where the limit that matters is the number of bytes at hand.
const CONFIGURATION: Configuration = standard();

const RULES: Rules =
    Rules { names_fields: false, tells_some_from_none: true, writes_all_floats: true, depth: DEPTH };

impl Codec for Bincode {
    fn id(&self) -> CodecId {
        CodecId(1)
    }

    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), Error> {
        let watch = Watch::new(&RULES);
        ::bincode::serde::encode_into_writer(Strict::new(value, &watch), Appender(into), CONFIGURATION)
            .map_err(|error| watch.error::<T>(NAME, error))
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        let budget = Budget::new(bytes);
        let seed = BoundedSeed { budget: &budget, of: std::marker::PhantomData };
        let (value, read) = ::bincode::serde::seed_decode_from_slice(seed, bytes, CONFIGURATION)
            .map_err(|error| decode_error::<T>(NAME, error))?;
        match bytes.len() - read {
            0 => Ok(value),
            count => Err(trailing_error::<T>(NAME, count)),
        }
    }
}

/// See [`super::encoded_size`].
pub(super) fn encoded_size<T: Serialize + ?Sized>(value: &T) -> Result<usize, Error> {
    let mut counter = SizeWriter::default();
    ::bincode::serde::encode_into_writer(value, &mut counter, CONFIGURATION)
        .map_err(|error| encode_error::<T>(NAME, error))?;
    Ok(counter.bytes_written)
}

struct Appender<'a>(&'a mut Vec<u8>);

impl Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The way to a bincode deserializer to wrap: it is not public.
struct BoundedSeed<'a, T> {
    budget: &'a Budget,
    of: std::marker::PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for BoundedSeed<'_, T> {
    type Value = T;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(Bounded::new(deserializer, self.budget))
    }
}
