//! Writes one value in canonical form.

use serde::{Serialize, Serializer};

use super::buffer::Buffer;
use super::canonical;
use super::compound::{MapWriter, StructWriter, ValuesWriter};
use super::failure::Failure;

/// Writes one value in canonical form. See [`canonical`] for the format.
pub(super) struct Canonical<'a> {
    pub(super) out: &'a mut Buffer,
    /// How many values this one lies in.
    depth: usize,
    /// The value is the list of all parts: a tuple is not wrapped.
    of_parts: bool,
}

impl<'a> Canonical<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut Buffer) -> Self {
        Self { out, depth: 0, of_parts: false }
    }

    #[inline]
    pub(super) fn of_parts(out: &'a mut Buffer) -> Self {
        Self { out, depth: 0, of_parts: true }
    }

    /// The serializer of a value `depth` levels down.
    #[inline]
    pub(super) fn at_depth(out: &'a mut Buffer, depth: usize) -> Result<Self, Failure> {
        if depth > canonical::DEPTH {
            return Err(Failure::too_deep());
        }
        Ok(Self { out, depth, of_parts: false })
    }

    #[inline]
    fn inner(self) -> Result<Self, Failure> {
        Self::at_depth(self.out, self.depth + 1)
    }

    #[inline(always)]
    fn word(self, tag: u8, value: u64) -> Result<(), Failure> {
        let count = (71 - (value.leading_zeros() as usize)) / 8;
        self.out.push_tagged(tag + count as u8, value, count);
        Ok(())
    }

    fn wide(self, tag: u8, value: u128) -> Result<(), Failure> {
        let (low, high) = (value as u64, (value >> 64) as u64);
        if high == 0 {
            return self.word(tag, low);
        }
        let count = (71 - (high.leading_zeros() as usize)) / 8;
        self.out.push(tag + 8 + count as u8);
        self.out.push_word(low, 8);
        self.out.push_word(high, count);
        Ok(())
    }
}

/// Appends a length as LEB128.
pub(super) fn write_length(out: &mut Buffer, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Appends text, or a name.
#[inline]
pub(super) fn write_text(out: &mut Buffer, text: &str) {
    if text.len() < canonical::SHORT_TEXT_END {
        out.push(canonical::SHORT_TEXT + text.len() as u8);
    } else {
        out.push(canonical::TEXT);
        write_length(out, text.len());
    }
    out.extend(text.as_bytes());
}

impl<'a> Serializer for Canonical<'a> {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = ValuesWriter<'a>;
    type SerializeTuple = ValuesWriter<'a>;
    type SerializeTupleStruct = ValuesWriter<'a>;
    type SerializeTupleVariant = ValuesWriter<'a>;
    type SerializeMap = MapWriter<'a>;
    type SerializeStruct = StructWriter<'a>;
    type SerializeStructVariant = StructWriter<'a>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Failure> {
        self.out.push(if value { canonical::TRUE } else { canonical::FALSE });
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Failure> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Failure> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Failure> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Failure> {
        // `!value` is `-1 - value`: never overflows.
        if value < 0 {
            self.word(canonical::BELOW_ZERO, !value as u64)
        } else {
            self.word(canonical::FROM_ZERO, value as u64)
        }
    }

    fn serialize_i128(self, value: i128) -> Result<(), Failure> {
        if value < 0 {
            self.wide(canonical::BELOW_ZERO, !value as u128)
        } else {
            self.wide(canonical::FROM_ZERO, value as u128)
        }
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Failure> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Failure> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Failure> {
        self.serialize_u64(value.into())
    }

    #[inline(always)]
    fn serialize_u64(self, value: u64) -> Result<(), Failure> {
        self.word(canonical::FROM_ZERO, value)
    }

    fn serialize_u128(self, value: u128) -> Result<(), Failure> {
        self.wide(canonical::FROM_ZERO, value)
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Failure> {
        self.serialize_f64(value.into())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Failure> {
        let one_of_its_kind = if value.is_nan() {
            f64::NAN
        } else if value == 0.0 {
            0.0
        } else {
            value
        };
        self.out.push(canonical::FLOAT);
        self.out.push_word(one_of_its_kind.to_bits(), 8);
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Failure> {
        self.out.push_word(u64::from(canonical::CHAR) | u64::from(u32::from(value)) << 8, 4);
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Failure> {
        write_text(self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Failure> {
        self.out.push(canonical::BYTES);
        write_length(self.out, value.len());
        self.out.extend(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Failure> {
        self.out.push(canonical::NONE);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        self.out.push(canonical::SOME);
        value.serialize(self.inner()?)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Failure> {
        if !self.of_parts {
            self.out.push(canonical::UNIT);
        }
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failure> {
        self.out.push(canonical::UNIT);
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Failure> {
        self.out.push(canonical::UNIT_VARIANT);
        write_text(self.out, variant);
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        value.serialize(self.inner()?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.out.push(canonical::NEWTYPE_VARIANT);
        write_text(self.out, variant);
        value.serialize(self.inner()?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ValuesWriter<'a>, Failure> {
        self.out.push(canonical::SEQUENCE);
        Ok(ValuesWriter::new(self.out, self.depth + 1))
    }

    fn serialize_tuple(self, length: usize) -> Result<ValuesWriter<'a>, Failure> {
        if self.of_parts {
            return Ok(ValuesWriter::of_parts(self.out));
        }
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<ValuesWriter<'a>, Failure> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ValuesWriter<'a>, Failure> {
        self.out.push(canonical::TUPLE_VARIANT);
        write_text(self.out, variant);
        Ok(ValuesWriter::new(self.out, self.depth + 1))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter<'a>, Failure> {
        self.out.push(canonical::MAP);
        Ok(MapWriter::new(self.out, self.depth + 1))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<StructWriter<'a>, Failure> {
        self.out.push(canonical::STRUCT);
        Ok(StructWriter::new(self.out, self.depth + 1))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<StructWriter<'a>, Failure> {
        self.out.push(canonical::STRUCT_VARIANT);
        write_text(self.out, variant);
        Ok(StructWriter::new(self.out, self.depth + 1))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
