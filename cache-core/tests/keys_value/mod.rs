//! Any value that serde can describe, and a parser of the text of keys that gives it back.

#![allow(dead_code, reason = "not every test that includes this module needs all of it")]

use proptest::prelude::*;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleVariant, Serializer,
};

/// A value. Derived equality is the equality that keys promise, once [`Value::normal`] has been applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unit,
    None,
    Some(Box<Value>),
    Bool(bool),
    Char(char),
    F32(f32),
    F64(f64),
    Unsigned(u128),
    Signed(i128),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Newtype(Box<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Vec<(&'static str, Value)>),
    UnitVariant(&'static str),
    NewtypeVariant(&'static str, Box<Value>),
    TupleVariant(&'static str, Vec<Value>),
    StructVariant(&'static str, Vec<(&'static str, Value)>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => serializer.serialize_unit(),
            Self::None => serializer.serialize_none(),
            Self::Some(value) => serializer.serialize_some(value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::F32(value) => serializer.serialize_f32(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            // The narrowest type that fits, so that all are met.
            Self::Unsigned(value) => {
                if let Ok(value) = u8::try_from(*value) {
                    serializer.serialize_u8(value)
                } else if let Ok(value) = u32::try_from(*value) {
                    serializer.serialize_u32(value)
                } else if let Ok(value) = u64::try_from(*value) {
                    serializer.serialize_u64(value)
                } else {
                    serializer.serialize_u128(*value)
                }
            }
            Self::Signed(value) => {
                if let Ok(value) = i8::try_from(*value) {
                    serializer.serialize_i8(value)
                } else if let Ok(value) = i32::try_from(*value) {
                    serializer.serialize_i32(value)
                } else if let Ok(value) = i64::try_from(*value) {
                    serializer.serialize_i64(value)
                } else {
                    serializer.serialize_i128(*value)
                }
            }
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(None)?;
                values.iter().try_for_each(|value| list.serialize_element(value))?;
                list.end()
            }
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::Newtype(value) => serializer.serialize_newtype_struct("Newtype", value),
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(None)?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut structure = serializer.serialize_struct("Struct", fields.len())?;
                fields.iter().try_for_each(|(name, value)| structure.serialize_field(name, value))?;
                structure.end()
            }
            Self::UnitVariant(name) => serializer.serialize_unit_variant("Enum", 0, name),
            Self::NewtypeVariant(name, value) => serializer.serialize_newtype_variant("Enum", 0, name, value),
            Self::TupleVariant(name, values) => {
                let mut tuple = serializer.serialize_tuple_variant("Enum", 0, name, values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::StructVariant(name, fields) => {
                let mut structure = serializer.serialize_struct_variant("Enum", 0, name, fields.len())?;
                fields.iter().try_for_each(|(name, value)| structure.serialize_field(name, value))?;
                structure.end()
            }
        }
    }
}

impl Value {
    /// What is left when all that keys take for the same is written in one way.
    pub(crate) fn normal(&self) -> Value {
        let all = |values: &[Value]| values.iter().map(Value::normal).collect::<Vec<_>>();
        let fields = |fields: &[(&'static str, Value)]| {
            fields.iter().map(|(name, value)| (*name, value.normal())).collect::<Vec<_>>()
        };
        match self {
            Self::Some(value) => Self::Some(value.normal().into()),
            // Equal bits are one value; `NaN` has to equal itself here.
            Self::F32(value) => Self::F64(f64::from(*value)).normal(),
            Self::F64(value) if value.is_nan() => Self::Text("the float NaN".into()).in_variant("float"),
            Self::F64(value) => Self::F64(value + 0.0),
            Self::Unsigned(value) => i128::try_from(*value).map_or_else(|_| self.clone(), Self::Signed),
            Self::List(values) | Self::Tuple(values) => Self::List(all(values)),
            Self::Newtype(value) => value.normal(),
            Self::Map(pairs) => {
                let mut pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| (key.normal(), value.normal())).collect();
                pairs.sort_by_key(|(key, _)| format!("{key:?}"));
                Self::Map(pairs)
            }
            Self::Struct(pairs) => Self::Struct(fields(pairs)),
            Self::NewtypeVariant(name, value) => value.normal().in_variant(name),
            Self::TupleVariant(name, values) => Self::TupleVariant(name, all(values)),
            Self::StructVariant(name, pairs) => Self::StructVariant(name, fields(pairs)),
            _ => self.clone(),
        }
    }

    fn in_variant(self, name: &'static str) -> Value {
        Self::NewtypeVariant(name, self.into())
    }
}

/// Names that look like syntax.
pub(crate) const NAMES: &[&str] = &["", "a", "b", "ab", "none", "a=1", "é", ":", "a,b", "true"];

/// Any value, from a small alphabet, so that two of them are often alike.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let name = || proptest::sample::select(NAMES);
    let text = prop_oneof![
        4 => r#"[ab"',:(%\]=<>\[\\{} ]{0,3}"#,
        1 => any::<String>(),
        1 => r"[a-z]{60,70}",
    ];
    let leaf = prop_oneof![
        Just(Value::Unit),
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<char>().prop_map(Value::Char),
        proptest::sample::select(&['a', '\'', '"', ','][..]).prop_map(Value::Char),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        proptest::sample::select(&[0.0, -0.0, 1.0, f64::NAN, -f64::NAN, f64::INFINITY][..])
            .prop_map(Value::F64),
        (0..3_u128).prop_map(Value::Unsigned),
        (-2..3_i128).prop_map(Value::Signed),
        any::<u64>().prop_map(|value| Value::Unsigned(value.into())),
        any::<u128>().prop_map(Value::Unsigned),
        any::<i128>().prop_map(Value::Signed),
        text.prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        name().prop_map(Value::UnitVariant),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let values = proptest::collection::vec(inner.clone(), 0..4);
        let fields = proptest::collection::vec((name(), inner.clone()), 0..4);
        // Keys that differ: the order of equal ones counts, and `normal` cannot see which are equal.
        let map = proptest::collection::btree_map("[ab:]{0,2}", inner.clone(), 0..4).prop_map(|map| {
            Value::Map(map.into_iter().rev().map(|(key, value)| (Value::Text(key), value)).collect())
        });
        prop_oneof![
            inner.clone().prop_map(|value| Value::Some(value.into())),
            inner.clone().prop_map(|value| Value::Newtype(value.into())),
            values.clone().prop_map(Value::List),
            values.clone().prop_map(Value::Tuple),
            map,
            fields.clone().prop_map(Value::Struct),
            (name(), inner).prop_map(|(name, value)| Value::NewtypeVariant(name, value.into())),
            (name(), values).prop_map(|(name, values)| Value::TupleVariant(name, values)),
            (name(), fields).prop_map(|(name, fields)| Value::StructVariant(name, fields)),
        ]
    })
}
