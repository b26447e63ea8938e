//! A deserializer that notes what it is asked for.

use std::any::type_name;

use serde::de::value::Error;
use serde::de::{Deserializer, Visitor};

use super::access::{Chosen, Elements, Fields, Pairs};
use super::record::Record;

/// How many other answers a type gets after refusing one.
pub(super) const ANSWERS: usize = TEXTS.len() - 1;

/// Texts that checked types like to see.
const TEXTS: &[&str] = &[
    "",
    "a",
    "1",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01",
    "00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
    "http://localhost/",
    "UTC",
    "1.0.0",
    "a@localhost.localdomain",
];

/// Lengths that checked bytes like to have: of none, a UUID, an object id, an address, a digest.
const LENGTHS: &[usize] = &[0, 16, 12, 4, 8, 20, 24, 32, 64];

/// Notes what it is asked for, and answers with made-up values.
pub(super) struct Probe<'a> {
    pub(super) record: &'a mut Record,
}

impl<'a> Probe<'a> {
    pub(super) fn new(record: &'a mut Record) -> Self {
        Self { record }
    }

    /// The answer of this turn from `all`; types that refuse one get the next.
    fn choose<T: Copy>(&self, all: &[T]) -> T {
        all[self.record.answer() % all.len()]
    }
}

/// Answers with a number: 1, as zero may be refused, then others.
macro_rules! numbers {
    ($($method:ident, $visit:ident, $name:literal, $type:ty);+ $(;)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.record.ask($name, &[])?;
            visitor.$visit(self.choose::<$type>(&[1 as $type, 0 as $type, 2 as $type, 100 as $type]))
        }
    )+};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    numbers! {
        deserialize_i8, visit_i8, "i8", i8;
        deserialize_i16, visit_i16, "i16", i16;
        deserialize_i32, visit_i32, "i32", i32;
        deserialize_i64, visit_i64, "i64", i64;
        deserialize_i128, visit_i128, "i128", i128;
        deserialize_u8, visit_u8, "u8", u8;
        deserialize_u16, visit_u16, "u16", u16;
        deserialize_u32, visit_u32, "u32", u32;
        deserialize_u64, visit_u64, "u64", u64;
        deserialize_u128, visit_u128, "u128", u128;
        deserialize_f32, visit_f32, "f32", f32;
        deserialize_f64, visit_f64, "f64", f64;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("bool", &[])?;
        visitor.visit_bool(self.choose(&[false, true]))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("char", &[])?;
        visitor.visit_char(self.choose(&['a', '0', 'A']))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("text", &[])?;
        visitor.visit_str(self.choose(TEXTS))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("bytes", &[])?;
        visitor.visit_bytes(&vec![0; self.choose(LENGTHS)])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("option", &[])?;
        self.record.within::<V::Value, _, _>(|record| {
            if record.is_recursive() { visitor.visit_none() } else { visitor.visit_some(Probe::new(record)) }
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("unit", &[])?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record.ask("unit struct", &[name])?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record.ask("newtype", &[name])?;
        self.record.within::<V::Value, _, _>(|record| visitor.visit_newtype_struct(Probe::new(record)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("list", &[])?;
        let count = if self.record.is_recursive() { 0 } else { 1 };
        visitor.visit_seq(Elements::new(self.record, count))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("tuple", &[&length.to_string()])?;
        visitor.visit_seq(Elements::new(self.record, length))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record.ask("tuple struct", &[name, &length.to_string()])?;
        visitor.visit_seq(Elements::new(self.record, length))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("map", &[])?;
        let count = if self.record.is_recursive() { 0 } else { 1 };
        visitor.visit_map(Pairs::new(self.record, count))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record.ask("struct", &[name])?;
        self.record.ask("fields", fields)?;
        // Derived types take their fields in order; one written by hand may want their names.
        if self.record.answer().is_multiple_of(2) {
            visitor.visit_seq(Elements::new(self.record, fields.len()))
        } else {
            visitor.visit_map(Fields::new(self.record, fields))
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.record.ask("enum", &[name])?;
        self.record.ask("variants", variants)?;
        let type_name = type_name::<V::Value>();
        self.record.within::<V::Value, _, _>(|record| {
            let index = record.open_variant(type_name, variants.len());
            let name = variants.get(index).copied().unwrap_or_default();
            let value = visitor.visit_enum(Chosen::new(record, name));
            if value.is_ok() {
                record.close_variant(type_name);
            }
            value
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("anything", &[])?;
        self.record.stand_in();
        match self.record.answer() % 6 {
            0 => visitor.visit_unit(),
            1 => visitor.visit_u64(1),
            2 => visitor.visit_str("a"),
            3 => visitor.visit_bool(true),
            4 => visitor.visit_f64(1.0),
            _ => visitor.visit_seq(Elements::new(self.record, 0)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record.ask("ignored", &[])?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
