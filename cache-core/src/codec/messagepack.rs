//! MessagePack.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::{Bounded, Budget, DEPTH};
use super::strict::{Rules, Strict, Watch};
use super::{Codec, CodecId, decode_error, trailing_error};
use crate::Error;

const NAME: &str = "MessagePack";

/// Encodes with MessagePack: binary, read by every language, with the names of fields.
///
/// With the names, fields may be skipped and types may ask what comes. It has one nothing only: `Some(None)` and
/// `Some(())` are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessagePack;

const RULES: Rules =
    Rules { names_fields: true, tells_some_from_none: false, writes_all_floats: true, depth: DEPTH };

impl Codec for MessagePack {
    fn id(&self) -> CodecId {
        CodecId(3)
    }

    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), Error> {
        let watch = Watch::new(&RULES);
        let mut serializer = rmp_serde::Serializer::new(into).with_struct_map();
        Strict::new(value, &watch).serialize(&mut serializer).map_err(|error| watch.error::<T>(NAME, error))
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        let budget = Budget::new(bytes);
        // As a reader and not as a slice, since only then it tells what is left.
        let mut rest = bytes;
        let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
        let value = T::deserialize(Bounded::new(&mut deserializer, &budget))
            .map_err(|error| decode_error::<T>(NAME, error))?;
        if rest.is_empty() { Ok(value) } else { Err(trailing_error::<T>(NAME, rest.len())) }
    }
}
