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

/// Whether a value within was left half written, so that the bytes mean nothing.
///
/// A `Serialize` gets to know, and may go on all the same: then two values could have the same bytes.
struct Broken(bool);

impl Broken {
    #[inline]
    fn write<T: Serialize + ?Sized>(
        &mut self,
        out: &mut Buffer,
        depth: usize,
        value: &T,
    ) -> Result<(), Failure> {
        let written = Canonical::at_depth(out, depth).and_then(|canonical| value.serialize(canonical));
        self.0 |= written.is_err();
        written
    }

    /// Refuses what does not fit here.
    #[cold]
    fn refuse(&mut self, failure: Failure) -> Failure {
        self.0 = true;
        failure
    }

    #[inline]
    fn check(&self) -> Result<(), Failure> {
        if self.0 { Err(Failure::ignored()) } else { Ok(()) }
    }
}

/// Writes values one after the other: sequences, arrays, tuples.
pub(super) struct ValuesWriter<'a> {
    out: &'a mut Buffer,
    depth: usize,
    /// Parts of the key stand side by side, without an end.
    of_parts: bool,
    broken: Broken,
}

impl<'a> ValuesWriter<'a> {
    pub(super) fn new(out: &'a mut Buffer, depth: usize) -> Self {
        Self { out, depth, of_parts: false, broken: Broken(false) }
    }

    pub(super) fn of_parts(out: &'a mut Buffer) -> Self {
        Self { out, depth: 0, of_parts: true, broken: Broken(false) }
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.broken.write(self.out, self.depth, value)
    }

    fn finish(self) -> Result<(), Failure> {
        self.broken.check()?;
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
    broken: Broken,
}

impl<'a> StructWriter<'a> {
    pub(super) fn new(out: &'a mut Buffer, depth: usize) -> Self {
        Self { out, depth, broken: Broken(false) }
    }
}

macro_rules! fields {
    ($($trait:ident),+) => {$(
        impl $trait for StructWriter<'_> {
            type Ok = ();
            type Error = Failure;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Failure> {
                write_text(self.out, name);
                self.broken.write(self.out, self.depth, value)
            }

            fn end(self) -> Result<(), Failure> {
                self.broken.check()?;
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
    broken: Broken,
}

/// Where one pair lies, from the start of the map.
struct Pair {
    key: Range<usize>,
    all: Range<usize>,
}

impl<'a> MapWriter<'a> {
    pub(super) fn new(out: &'a mut Buffer, depth: usize) -> Self {
        let start = out.len();
        Self { out, depth, start, key: None, pairs: Vec::new(), broken: Broken(false) }
    }

    fn position(&self) -> usize {
        self.out.len() - self.start
    }

    /// Sorts by key. Stable, as the order of equal keys is all that tells `{a: 1, a: 2}` from `{a: 2, a: 1}`.
    fn sort(&mut self) {
        if self.pairs.len() < 2 {
            return;
        }
        let bytes = self.out.bytes_from(self.start);
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
            return Err(self.broken.refuse(Failure::key_without_value()));
        }
        let start = self.position();
        self.broken.write(self.out, self.depth, key)?;
        self.key = Some(start..self.position());
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let Some(key) = self.key.take() else {
            return Err(self.broken.refuse(Failure::key_without_value()));
        };
        self.broken.write(self.out, self.depth, value)?;
        self.pairs.push(Pair { all: key.start..self.position(), key });
        Ok(())
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.key.is_some() {
            return Err(Failure::key_without_value());
        }
        self.broken.check()?;
        self.sort();
        self.out.push(canonical::END);
        Ok(())
    }
}
