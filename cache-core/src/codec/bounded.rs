//! Keeps decoding within bounds, whatever the bytes say.
//!
//! The formats check a length when they come to the bytes, which is too late in four cases:
//!
//! - bincode allocates an owned text of 2^60 bytes before it looks whether they are there (`vec![0; len]`), and
//!   its `Limit` is a constant. So texts and bytes are always asked for as borrowed ones, which are checked first.
//! - A `Vec<()>` of 2^60 elements takes up no bytes, so nothing ends it. So elements are counted.
//! - A visitor may reserve room for as many elements as it is told will come. So hints are cut to the number of bytes.
//! - Of the formats only JSON ends a recursive type before the stack does. So levels are counted.
//!
//! A deserializer, its visitors and accesses are wrapped, all the way down; what has no inner values passes through.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// How deep values may nest.
pub(super) const DEPTH: usize = 128;

/// How many elements may take up no bytes at all.
const EMPTY_ELEMENTS: usize = 1 << 16;

/// What decoding one value may cost.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    elements: Cell<usize>,
}

impl Budget {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len(), elements: Cell::new(bytes.len().saturating_add(EMPTY_ELEMENTS)) }
    }

    fn element<E: Error>(&self) -> Result<(), E> {
        let left = self.elements.get().checked_sub(1).ok_or_else(too_many)?;
        self.elements.set(left);
        Ok(())
    }

    fn hint(&self, hint: Option<usize>) -> Option<usize> {
        hint.map(|hint| hint.min(self.bytes))
    }
}

#[cold]
fn too_many<E: Error>() -> E {
    E::custom("it has more elements than its bytes can hold")
}

#[cold]
fn too_deep<E: Error>() -> E {
    E::custom(format_args!("it nests deeper than {DEPTH} levels"))
}

/// A deserializer, visitor, seed or access, with what is left to spend.
pub(super) struct Bounded<'a, T> {
    inner: T,
    budget: &'a Budget,
    depth: usize,
}

impl<'a, T> Bounded<'a, T> {
    pub(super) fn new(inner: T, budget: &'a Budget) -> Self {
        Self { inner, budget, depth: 0 }
    }

    /// The same bounds around something else.
    fn around<U>(&self, inner: U) -> Bounded<'a, U> {
        Bounded { inner, budget: self.budget, depth: self.depth }
    }

    /// One level down.
    fn within<U, E: Error>(&self, inner: U) -> Result<Bounded<'a, U>, E> {
        if self.depth >= DEPTH {
            return Err(too_deep());
        }
        Ok(Bounded { inner, budget: self.budget, depth: self.depth + 1 })
    }
}

/// Passes values through that hold no others.
macro_rules! leaves {
    ($($method:ident => $inner:ident),+ $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$inner(visitor)
        }
    )+};
}

/// Wraps the visitor of values that hold others.
macro_rules! nests {
    ($($method:ident($($argument:ident: $type:ty),*)),+ $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.within(visitor)?;
            self.inner.$method($($argument,)* visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    leaves! {
        deserialize_bool => deserialize_bool,
        deserialize_i8 => deserialize_i8,
        deserialize_i16 => deserialize_i16,
        deserialize_i32 => deserialize_i32,
        deserialize_i64 => deserialize_i64,
        deserialize_i128 => deserialize_i128,
        deserialize_u8 => deserialize_u8,
        deserialize_u16 => deserialize_u16,
        deserialize_u32 => deserialize_u32,
        deserialize_u64 => deserialize_u64,
        deserialize_u128 => deserialize_u128,
        deserialize_f32 => deserialize_f32,
        deserialize_f64 => deserialize_f64,
        deserialize_char => deserialize_char,
        deserialize_str => deserialize_str,
        deserialize_string => deserialize_str,
        deserialize_unit => deserialize_unit,
        deserialize_identifier => deserialize_identifier,
    }

    nests! {
        deserialize_any(),
        deserialize_bytes(),
        deserialize_option(),
        deserialize_seq(),
        deserialize_map(),
        deserialize_ignored_any(),
        deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str),
        deserialize_tuple(length: usize),
        deserialize_tuple_struct(name: &'static str, length: usize),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_bytes(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visits {
    ($($method:ident: $type:ty),+ $(,)?) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visits! {
        visit_bool: bool,
        visit_i8: i8,
        visit_i16: i16,
        visit_i32: i32,
        visit_i64: i64,
        visit_i128: i128,
        visit_u8: u8,
        visit_u16: u16,
        visit_u32: u32,
        visit_u64: u64,
        visit_u128: u128,
        visit_f32: f32,
        visit_f64: f64,
        visit_char: char,
        visit_str: &str,
        visit_borrowed_str: &'de str,
        visit_string: String,
        visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8],
        visit_byte_buf: Vec<u8>,
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.visit_some(deserializer)
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.around(access);
        self.inner.visit_seq(access)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.around(access);
        self.inner.visit_map(access)
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.around(access);
        self.inner.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.budget.element()?;
        let seed = self.around(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.budget.hint(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.budget.element()?;
        let seed = self.around(seed);
        self.inner.next_key_seed(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.budget.hint(self.inner.size_hint())
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'a, A> {
    type Error = A::Error;
    type Variant = Bounded<'a, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (budget, depth) = (self.budget, self.depth);
        let seed = self.around(seed);
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Bounded { inner: variant, budget, depth }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.newtype_variant_seed(seed)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.around(visitor);
        self.inner.tuple_variant(length, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.around(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
