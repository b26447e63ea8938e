//! Tries to refute that two different calls never share a key.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod keys_value;
#[path = "keys_value/parse.rs"]
mod parse;

use std::collections::HashMap;

use cache_core::key::{Identity, Key, KeyWriter, render};
use keys_value::{NAMES, Value, any_value};
use proptest::prelude::*;

fn key(parts: &[Value]) -> Key {
    let mut writer = KeyWriter::new(Identity::intern("injective", &[], 0));
    for part in parts {
        writer.part(part);
    }
    writer.finish().unwrap()
}

fn normal(parts: &[Value]) -> Vec<Value> {
    parts.iter().map(Value::normal).collect()
}

/// The text behind `injective:v0`, without the colon.
fn text(key: &Key) -> String {
    let text = key.to_string();
    let rest = text.strip_prefix("injective:v0").unwrap();
    rest.strip_prefix(':').unwrap_or(rest).into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_can_be_taken_apart_into_the_values_it_was_made_of(
        parts in proptest::collection::vec(any_value(), 0..3)
    ) {
        let key = key(&parts);

        let text = text(&key);
        let parsed = parse::parse(&text);

        if text.starts_with('#') {
            prop_assert_eq!(text.len(), 65);
        } else {
            prop_assert_eq!(parsed.map(|parts| normal(&parts)), Some(normal(&parts)), "{}", text);
        }
    }

    #[test]
    fn text_holds_no_brace_whitespace_or_control_character(
        parts in proptest::collection::vec(any_value(), 0..3)
    ) {
        let text = key(&parts).to_string();

        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}'), "{}", text);
        prop_assert!(text.len() <= "injective:v0:".len() + 200);
    }

    #[test]
    fn bytes_are_equal_exactly_where_values_are(
        one in proptest::collection::vec(any_value(), 0..3),
        other in proptest::collection::vec(any_value(), 0..3)
    ) {
        let (one_key, other_key) = (key(&one), key(&other));

        let are_equal = normal(&one) == normal(&other);

        prop_assert_eq!(one_key == other_key, are_equal);
        prop_assert_eq!(one_key.arguments() == other_key.arguments(), are_equal);
        prop_assert_eq!(one_key.to_string() == other_key.to_string(), are_equal);
    }

    #[test]
    fn bytes_of_whatever_origin_are_refused_or_are_those_of_the_text_they_give(bytes: Vec<u8>) {
        refused_or_canonical(&bytes)?;
    }

    #[test]
    fn changed_bytes_are_refused_or_are_those_of_the_text_they_give(
        parts in proptest::collection::vec(any_value(), 1..3),
        at: prop::sample::Index,
        byte: u8,
        cut: bool
    ) {
        let mut bytes = key(&parts).arguments().to_vec();
        let at = at.index(bytes.len());

        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }

        refused_or_canonical(&bytes)?;
    }
}

/// What the reader accepts, the serializer writes in the same bytes: so there is one form of each value.
fn refused_or_canonical(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(text) = render(bytes)
        && !text.starts_with('#')
        && !text.contains("secret(")
    {
        let parts = parse::parse(&text);
        prop_assert!(parts.is_some(), "{}", text);
        let again = key(&parts.unwrap_or_default());
        prop_assert_eq!(&*again.arguments(), bytes, "{}", text);
    }
    Ok(())
}

/// All values of up to `depth` levels over a tiny alphabet, the letters being what the text form is made of.
fn all_values(depth: usize) -> Vec<Value> {
    let mut values = vec![
        Value::Unit,
        Value::None,
        Value::Bool(true),
        Value::Unsigned(0),
        Value::Unsigned(1),
        Value::Signed(-1),
        Value::F64(0.0),
        Value::F64(1.0),
        Value::Char('a'),
        Value::Char('"'),
        Value::Bytes(vec![]),
        Value::Bytes(vec![0xFF]),
    ];
    let texts = ["", "a", "b", "ab", "\"", "\",\"", ",", ":", "none", "()", "\u{10}", "\0", "0", "%22", "#"];
    values.extend(texts.map(|text| Value::Text(text.into())));
    values.extend(NAMES.iter().map(|name| Value::UnitVariant(name)));
    if depth == 0 {
        return values;
    }
    let inner = all_values(depth - 1);
    let lists: Vec<Vec<Value>> = std::iter::once(vec![])
        .chain(inner.iter().map(|value| vec![value.clone()]))
        .chain(inner.iter().flat_map(|one| inner.iter().map(|other| vec![one.clone(), other.clone()])))
        .collect();
    for value in &inner {
        values.push(Value::Some(value.clone().into()));
        for name in ["", "a", "b"] {
            values.push(Value::NewtypeVariant(name, value.clone().into()));
            values.push(Value::Struct(vec![(name, value.clone())]));
            values.push(Value::StructVariant(name, vec![(name, value.clone())]));
        }
    }
    for list in lists {
        values.push(Value::TupleVariant("a", list.clone()));
        if let [one, other] = &list[..] {
            values.push(Value::Map(vec![(one.clone(), other.clone())]));
            values.push(Value::Struct(vec![("a", one.clone()), ("b", other.clone())]));
        }
        values.push(Value::List(list));
    }
    values
}

#[test]
fn no_two_of_all_small_calls_share_bytes_or_text() {
    // given: all values of two levels alone, and all pairs of those of one
    let leaves = all_values(0);
    let mut calls: Vec<Vec<Value>> = all_values(1).into_iter().map(|value| vec![value]).collect();
    calls.extend(leaves.iter().flat_map(|one| leaves.iter().map(|other| vec![one.clone(), other.clone()])));
    calls.push(vec![]);

    // when
    let mut by_bytes = HashMap::new();
    let mut by_text = HashMap::new();
    for call in &calls {
        let key = key(call);
        let before = by_bytes.insert(key.arguments().to_vec(), call);
        let before_in_text = by_text.insert(key.to_string(), call);

        // then
        assert_eq!(before, None, "{call:?}");
        assert_eq!(before_in_text, None, "{call:?}");
    }
    assert!(calls.len() > 5_000);
}
