//! Postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::{Bounded, Budget, DEPTH};
use super::strict::{Rules, Strict, Watch};
use super::{Codec, CodecId, decode_error, trailing_error};
use crate::Error;

const NAME: &str = "postcard";

/// Encodes with postcard: as compact as bincode, and a documented format that other languages read.
///
/// The same types as with bincode cannot be held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Postcard;

const RULES: Rules =
    Rules { names_fields: false, tells_some_from_none: true, writes_all_floats: true, depth: DEPTH };

impl Codec for Postcard {
    fn id(&self) -> CodecId {
        CodecId(2)
    }

    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), Error> {
        let watch = Watch::new(&RULES);
        ::postcard::to_io(&Strict::new(value, &watch), into)
            .map_err(|error| watch.error::<T>(NAME, error))?;
        Ok(())
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        let budget = Budget::new(bytes);
        let mut deserializer = ::postcard::Deserializer::from_bytes(bytes);
        let value = T::deserialize(Bounded::new(&mut deserializer, &budget))
            .map_err(|error| decode_error::<T>(NAME, error))?;
        let rest = deserializer.finalize().map_err(|error| decode_error::<T>(NAME, error))?;
        if rest.is_empty() { Ok(value) } else { Err(trailing_error::<T>(NAME, rest.len())) }
    }
}
