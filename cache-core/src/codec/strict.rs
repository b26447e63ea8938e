//! Refuses to write what would be read back as something else.
//!
//! A broken round trip is worse than none: it serves a wrong value. serde's data model is richer than the formats:
//!
//! - Without the names of fields, a skipped field shifts all that follow (`skip_serializing_if` in bincode and
//!   postcard); mostly that fails to decode, but bytes can be found where it does not.
//! - Where `None` and `()` are both the one nothing of the format, `Some(None)` comes back as `None`.
//! - JSON writes `null` for `NaN`, so `Some(NaN)` comes back as `None`.
//!
//! Levels are counted as in [`bounded`](super::bounded), so that nothing is stored that would not be read.

use std::cell::RefCell;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// What a format can tell apart.
#[derive(Debug)]
pub(super) struct Rules {
    /// Fields have their names, so that some can be missing.
    pub(super) names_fields: bool,
    /// `Some` of nothing is not nothing.
    pub(super) tells_some_from_none: bool,
    /// Floats that are not finite have a form.
    pub(super) writes_all_floats: bool,
    /// How deep values may nest, so that the format's own limit does not refuse to read them.
    pub(super) depth: usize,
}

/// The rules of a format, and what broke them.
#[derive(Debug)]
pub(super) struct Watch {
    rules: &'static Rules,
    /// Kept here as well, since postcard's error drops the message.
    refusal: RefCell<Option<Box<str>>>,
}

impl Watch {
    pub(super) fn new(rules: &'static Rules) -> Self {
        Self { rules, refusal: RefCell::new(None) }
    }

    #[cold]
    fn refuse<E: Error>(&self, why: String) -> Result<(), E> {
        let error = E::custom(&why);
        self.refusal.replace(Some(why.into()));
        Err(error)
    }

    /// The error to return where `error` ended the encoding of a `T`.
    #[cold]
    pub(super) fn error<T: ?Sized>(&self, format: &str, error: impl Into<super::Source>) -> crate::Error {
        match self.refusal.take() {
            Some(refusal) => super::encode_error::<T>(format, refusal.into_string()),
            None => super::encode_error::<T>(format, error),
        }
    }
}

/// A value, serializer or compound, under watch.
pub(super) struct Strict<'r, T> {
    inner: T,
    watch: &'r Watch,
    depth: usize,
    /// The value is the content of a `Some`.
    in_some: bool,
}

impl<'r, T> Strict<'r, T> {
    pub(super) fn new(inner: T, watch: &'r Watch) -> Self {
        Self { inner, watch, depth: 0, in_some: false }
    }

    /// The same place, around something else.
    fn around<U>(&self, inner: U) -> Strict<'r, U> {
        Strict { inner, watch: self.watch, depth: self.depth, in_some: self.in_some }
    }

    /// One level down.
    fn within<U>(&self, inner: U) -> Strict<'r, U> {
        Strict { inner, watch: self.watch, depth: self.depth + 1, in_some: false }
    }

    fn check_depth<E: Error>(&self) -> Result<(), E> {
        let limit = self.watch.rules.depth;
        if self.depth < limit {
            return Ok(());
        }
        self.watch
            .refuse(format!("it nests deeper than {limit} levels; flatten it, or keep it in the local tier"))
    }

    fn check_nothing<E: Error>(&self) -> Result<(), E> {
        if self.watch.rules.tells_some_from_none || !self.in_some {
            return Ok(());
        }
        self.watch.refuse("`Some` of nothing would be read back as `None`; use the codec bincode".into())
    }

    fn check_float<E: Error>(&self, is_finite: bool) -> Result<(), E> {
        if self.watch.rules.writes_all_floats || is_finite {
            return Ok(());
        }
        self.watch.refuse("a number that is not finite has no form in this codec; use another one".into())
    }

    fn check_skipped<E: Error>(&self, field: &str) -> Result<(), E> {
        if self.watch.rules.names_fields {
            return Ok(());
        }
        self.watch.refuse(format!(
            "without the skipped field `{field}` the others would be misread; \
             remove `skip_serializing_if` from it, or use the codec MessagePack or JSON"
        ))
    }
}

impl<T: Serialize> Serialize for Strict<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(self.around(serializer))
    }
}

macro_rules! leaves {
    ($($method:ident: $type:ty),+ $(,)?) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )+};
}

/// Wraps what writes the inner values.
macro_rules! compounds {
    ($($method:ident($($argument:ident: $type:ty),*) -> $compound:ident),+ $(,)?) => {$(
        #[inline]
        fn $method(self, $($argument: $type),*) -> Result<Self::$compound, S::Error> {
            self.check_depth()?;
            let (watch, depth) = (self.watch, self.depth + 1);
            let inner = self.inner.$method($($argument),*)?;
            Ok(Strict { inner, watch, depth, in_some: false })
        }
    )+};
}

impl<'r, S: Serializer> Serializer for Strict<'r, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<'r, S::SerializeSeq>;
    type SerializeTuple = Strict<'r, S::SerializeTuple>;
    type SerializeTupleStruct = Strict<'r, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<'r, S::SerializeTupleVariant>;
    type SerializeMap = Strict<'r, S::SerializeMap>;
    type SerializeStruct = Strict<'r, S::SerializeStruct>;
    type SerializeStructVariant = Strict<'r, S::SerializeStructVariant>;

    leaves! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        self.inner.serialize_bytes(value)
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.check_float(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.check_float(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        self.check_nothing()?;
        self.inner.serialize_none()
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.check_nothing()?;
        self.inner.serialize_unit()
    }

    #[inline]
    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        self.check_nothing()?;
        self.inner.serialize_unit_struct(name)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        let mut value = self.within(value);
        value.in_some = true;
        self.inner.serialize_some(&value)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        let mut value = self.within(value);
        value.in_some = self.in_some;
        self.inner.serialize_newtype_struct(name, &value)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.check_depth()?;
        let value = self.within(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    compounds! {
        serialize_seq(length: Option<usize>) -> SerializeSeq,
        serialize_tuple(length: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct,
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant,
        serialize_map(length: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct,
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant,
    }

    #[inline]
    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! values {
    ($($trait:ident::$method:ident),+ $(,)?) => {$(
        impl<C: $trait> $trait for Strict<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.around(value);
                self.inner.$method(&value)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}
values!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

macro_rules! fields {
    ($($trait:ident),+) => {$(
        impl<C: $trait> $trait for Strict<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.around(value);
                self.inner.serialize_field(name, &value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.check_skipped(name)?;
                self.inner.skip_field(name)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}
fields!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Strict<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = self.around(key);
        self.inner.serialize_key(&key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.around(value);
        self.inner.serialize_value(&value)
    }

    #[inline]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
