//! JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::{Bounded, Budget, DEPTH};
use super::strict::{Rules, Strict, Watch};
use super::{Codec, CodecId, decode_error};
use crate::Error;

const NAME: &str = "JSON";

/// Encodes as JSON: text that people read, the largest of the four.
///
/// It has one nothing only, and no number that is not finite: `Some(None)`, `Some(())`, `NaN` and infinities are
/// refused, as are maps whose keys are not texts, numbers or unit variants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json;

/// A variant with content takes two of the 128 levels that serde_json reads.
const RULES: Rules =
    Rules { names_fields: true, tells_some_from_none: false, writes_all_floats: false, depth: DEPTH / 2 - 1 };

impl Codec for Json {
    fn id(&self) -> CodecId {
        CodecId(4)
    }

    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), Error> {
        let watch = Watch::new(&RULES);
        serde_json::to_writer(into, &Strict::new(value, &watch))
            .map_err(|error| watch.error::<T>(NAME, error))
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Error> {
        let budget = Budget::new(bytes);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = T::deserialize(Bounded::new(&mut deserializer, &budget));
        let read_whole = value.and_then(|value| deserializer.end().map(|()| value));
        read_whole.map_err(|error| decode_error::<T>(NAME, error))
    }
}
