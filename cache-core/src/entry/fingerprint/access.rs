//! Hands a type its made-up elements, fields, pairs and variants.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::probe::Probe;
use super::record::Record;

/// Reads one inner value, under its type's name.
fn read<'de, S: DeserializeSeed<'de>>(record: &mut Record, seed: S) -> Result<S::Value, Error> {
    record.named::<S::Value, _, _>(|record| seed.deserialize(Probe::new(record)))
}

/// Elements of a list, tuple or struct.
pub(super) struct Elements<'a> {
    record: &'a mut Record,
    left: usize,
}

impl<'a> Elements<'a> {
    pub(super) fn new(record: &'a mut Record, count: usize) -> Self {
        Self { record, left: count }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        match self.left.checked_sub(1) {
            None => Ok(None),
            Some(left) => {
                self.left = left;
                read(self.record, seed).map(Some)
            }
        }
    }
}

/// Pairs of a map.
pub(super) struct Pairs<'a> {
    record: &'a mut Record,
    left: usize,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(record: &'a mut Record, count: usize) -> Self {
        Self { record, left: count }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        match self.left.checked_sub(1) {
            None => Ok(None),
            Some(left) => {
                self.left = left;
                read(self.record, seed).map(Some)
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        read(self.record, seed)
    }
}

/// Fields of a struct, by name.
pub(super) struct Fields<'a> {
    record: &'a mut Record,
    names: std::slice::Iter<'static, &'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(record: &'a mut Record, names: &'static [&'static str]) -> Self {
        Self { record, names: names.iter() }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(name) = self.names.next() else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Error> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        read(self.record, seed)
    }
}

/// A variant, by name.
pub(super) struct Chosen<'a> {
    record: &'a mut Record,
    name: &'static str,
}

impl<'a> Chosen<'a> {
    pub(super) fn new(record: &'a mut Record, name: &'static str) -> Self {
        Self { record, name }
    }
}

impl<'de> EnumAccess<'de> for Chosen<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        self.record.ask("variant", &[self.name])?;
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.record.ask("without content", &[])
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        self.record.ask("with one value", &[])?;
        read(self.record, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("with values", &[&length.to_string()])?;
        visitor.visit_seq(Elements::new(self.record, length))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record.ask("with fields", fields)?;
        visitor.visit_seq(Elements::new(self.record, fields.len()))
    }
}
