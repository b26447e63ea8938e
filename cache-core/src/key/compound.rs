//! Writes values that hold values.

use std::ops::Range;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::buffer::Buffer;
use super::canonical;
use super::failure::Failure;
use super::serializer::{Canonical, write_text};

/// Writes values one after the other: sequences, arrays, tuples.
pub(super) struct ValuesWriter<'a> {
    out: &'a mut Buffer,
    depth: usize,
    /// Parts of the key stand side by side, without an end.
    of_parts: bool,
}

impl<'a> ValuesWriter<'a> {
    pub(super) fn new(out: &'a mut Buffer, depth: usize) -> Self {
        Self { out, depth, of_parts: false }
    }

    pub(super) fn of_parts(out: &'a mut Buffer) -> Self {
        Self { out, depth: 0, of_parts: true }
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        value.serialize(Canonical::at_depth(self.out, self.depth)?)
    }

    fn finish(self) -> Result<(), Failure> {
        if !self.of_parts {
            self.out.push(canonical::END);
        }
        Ok(())
    }
}

macro_rules! values {
    ($($trait:ident::$method:ident),+) => {$(
        impl $trait for ValuesWriter<'_> {
            type Ok = ();
            type Error = Failure;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
                self.value(value)
            }

            fn end(self) -> Result<(), Failure> {
                self.finish()
            }
        }
    )+};
}
values!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// Writes names and values: structs. A skipped field leaves nothing: its name is missing.
pub(super) struct StructWriter<'a> {
    out: &'a mut Buffer,
    depth: usize,
}

impl<'a> StructWriter<'a> {
    pub(super) fn new(out: &'a mut Buffer, depth: usize) -> Self {
        Self { out, depth }
    }
}

macro_rules! fields {
    ($($trait:ident),+) => {$(
        impl $trait for StructWriter<'_> {
            type Ok = ();
            type Error = Failure;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Failure> {
                write_text(self.out, name);
                value.serialize(Canonical::at_depth(self.out, self.depth)?)
            }

            fn end(self) -> Result<(), Failure> {
                self.out.push(canonical::END);
                Ok(())
            }
        }
    )+};
}
fields!(SerializeStruct, SerializeStructVariant);

/// Writes the pairs of a map as they come and sorts them at the end.
pub(super) struct MapWriter<'a> {
    out: &'a mut Buffer,
    depth: usize,
    start: usize,
    /// Where the key of the current pair starts, and ends once its value is due.
    key: Option<Range<usize>>,
    pairs: Vec<Pair>,
}

/// Where one pair lies, from the start of the map.
struct Pair {
    key: Range<usize>,
    all: Range<usize>,
}

impl<'a> MapWriter<'a> {
    pub(super) fn new(out: &'a mut Buffer, depth: usize) -> Self {
        let start = out.len();
        Self { out, depth, start, key: None, pairs: Vec::new() }
    }

    fn position(&self) -> usize {
        self.out.len() - self.start
    }

    /// Sorts by key. Stable, as the order of equal keys is all that tells `{a: 1, a: 2}` from `{a: 2, a: 1}`.
    fn sort(&mut self) {
        let bytes = &self.out.to_bytes()[self.start..];
        if self.pairs.is_sorted_by(|one, other| bytes[one.key.clone()] <= bytes[other.key.clone()]) {
            return;
        }
        self.pairs.sort_by(|one, other| bytes[one.key.clone()].cmp(&bytes[other.key.clone()]));
        let sorted: Vec<u8> = self.pairs.iter().flat_map(|pair| &bytes[pair.all.clone()]).copied().collect();
        self.out.replace_from(self.start, &sorted);
    }
}

impl SerializeMap for MapWriter<'_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        if self.key.is_some() {
            return Err(Failure::key_without_value());
        }
        let start = self.position();
        key.serialize(Canonical::at_depth(self.out, self.depth)?)?;
        self.key = Some(start..self.position());
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let Some(key) = self.key.take() else {
            return Err(Failure::key_without_value());
        };
        value.serialize(Canonical::at_depth(self.out, self.depth)?)?;
        self.pairs.push(Pair { all: key.start..self.position(), key });
        Ok(())
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.key.is_some() {
            return Err(Failure::key_without_value());
        }
        self.sort();
        self.out.push(canonical::END);
        Ok(())
    }
}
