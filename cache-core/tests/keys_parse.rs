//! Reads keys back from their text.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod keys_value;

use cache_core::key::{Identity, Key, KeyWriter, SecretKey, render};
use keys_value::{Value, any_value};
use proptest::prelude::*;

fn key(parts: &[Value]) -> Key {
    let mut writer = KeyWriter::new(Identity::intern("parsed", &["u8", "a b"], 7));
    for part in parts {
        writer.part(part);
    }
    writer.finish().unwrap()
}

/// The text must be refused, or be that of the key it gives. Answers whether it was that of a known function.
fn refused_or_its_own(text: &str) -> Result<bool, TestCaseError> {
    match Key::parse(text) {
        Ok(Some(key)) => {
            prop_assert_eq!(key.to_string(), text);
            Ok(true)
        }
        Ok(None) => Ok(false),
        Err(malformed) => {
            prop_assert!(malformed.position() <= text.len());
            Ok(false)
        }
    }
}

/// Values whose text is much longer than their bytes.
fn dense_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => any::<bool>().prop_map(Value::Bool),
        4 => Just(Value::None),
        4 => Just(Value::Some(Value::Bool(false).into())),
        1 => proptest::sample::select(&['\u{FF}', '\u{10000}', 'a'][..]).prop_map(Value::Char),
        1 => "[a\u{7}é]{0,4}".prop_map(Value::Text),
        1 => any::<i8>().prop_map(|number| Value::Signed(number.into())),
        1 => proptest::collection::vec(any::<bool>().prop_map(Value::Bool), 0..30).prop_map(Value::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_of_a_key_gives_that_key(parts in proptest::collection::vec(any_value(), 0..3)) {
        let key = key(&parts);

        prop_assert_eq!(Key::parse(&key.to_string()), Ok(Some(key)));
    }

    #[test]
    fn the_text_of_a_key_gives_that_key_around_the_longest_text(
        parts in proptest::collection::vec(dense_value(), 20..50)
    ) {
        let key = key(&parts);
        let text = key.to_string();

        // The digest stands in the key exactly where it stands in the text.
        prop_assert_eq!(text.contains('#'), key.arguments().first() == Some(&0x51));
        let rendered = render(&key.arguments()).ok();
        prop_assert_eq!(rendered.as_deref(), text.strip_prefix("parsed(u8;a%20b):v7:"));
        prop_assert_eq!(Key::parse(&text), Ok(Some(key)));
    }

    #[test]
    fn any_text_is_refused_or_is_that_of_the_key_it_gives(text: String) {
        refused_or_its_own(&text)?;
        refused_or_its_own(&format!("parsed(u8;a%20b):v7:{text}"))?;
    }

    #[test]
    fn any_text_of_the_letters_of_keys_is_refused_or_is_that_of_the_key_it_gives(
        text in r#"([<>\[\](),=:."'%xm019afe-]|true|none|some\(|map<|NaN|inf|secret\(){0,12}"#
    ) {
        refused_or_its_own(&format!("parsed(u8;a%20b):v7:{text}"))?;
    }

    #[test]
    fn a_changed_text_is_refused_or_is_that_of_the_key_it_gives(
        parts in proptest::collection::vec(any_value(), 1..3),
        at: prop::sample::Index,
        with in r#"[<>\[\](),=:."'%xm019afe-]?"#,
        is_inserted: bool
    ) {
        let mut text = key(&parts).to_string();
        let at = at.index(text.len());

        text.replace_range(at..if is_inserted { at } else { at + 1 }, &with);

        refused_or_its_own(&text)?;
    }

    #[test]
    fn names_and_types_are_read_back(
        name in r"([a-z:%();<> ]|::|:v1|é){0,8}",
        types in proptest::collection::vec(r"([a-z:%();<> ]|::|:v1|é){0,4}", 0..3),
        version: u32,
        with_part: bool
    ) {
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let identity = Identity::intern(&name, &types, version);
        let mut writer = KeyWriter::new(identity);
        if with_part {
            writer.part(&1);
        }
        let key = writer.finish().unwrap();

        prop_assert_eq!(Identity::find(&identity.to_string()), Some(identity));
        prop_assert_eq!(Key::parse(&key.to_string()), Ok(Some(key)));
    }

    #[test]
    fn names_that_nothing_bears_are_told_from_texts_that_no_name_has(
        name in r"([a-z:%;<>() ]|::|%3A|%2|%41|v1|é){0,6}",
        version in "(v|)(0|1|01|4294967295|4294967296|-1|)"
    ) {
        let text = format!("unknown{name}:{version}");

        let parsed = Key::parse(&text);

        // Not one of them is interned by reading it, so all that can be known is whether one has the text.
        if let Ok(key) = parsed {
            prop_assert_eq!(key, None);
            prop_assert_eq!(Identity::find(&text), None);
        }
    }
}

#[test]
fn every_golden_key_is_read_back() {
    let golden = include_str!("golden/keys.txt");
    let lines: Vec<&str> = golden.lines().collect();
    Identity::intern("menu_of", &[], 2);
    Identity::intern("menu", &[], 0);
    Identity::intern("session", &[], 0);
    Identity::intern("menu::Repo::find", &[], 0);
    Identity::intern("menu::find", &["u64", "alloc::string::String"], 3);
    Identity::intern("menu::Repo<alloc::vec::Vec<u8>>::find", &[], 0);
    Identity::intern("a b:c::d{e}%f(g)", &["(u8, [&str; 2])"], 0);

    let mut count = 0;
    for lines in lines.chunks(3) {
        let [what, bytes, text] = lines else { panic!("three lines a key") };
        let key = Key::parse(text.trim()).unwrap().unwrap();

        let hex: String = key.arguments().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, bytes.trim().trim_matches('-'), "{what}");
        assert_eq!(key.to_string(), text.trim(), "{what}");
        count += 1;
    }
    assert!(count > 70);
}

#[test]
fn a_key_of_one_text_is_one_key_whichever_way_it_is_made() {
    let long = "é".repeat(35);
    let made = Key::of("long", long.as_str()).unwrap();
    let mut writer = KeyWriter::new(Identity::intern("long", &[], 0));
    writer.part(&long);
    let written = writer.finish().unwrap();

    let parsed = Key::parse(&made.to_string()).unwrap().unwrap();

    assert_eq!(made, written);
    assert_eq!(made, parsed);
    assert!(made.to_string().starts_with("long:v0:#"));
    assert_eq!(made.heap_size(), 0);
}

#[test]
fn arguments_are_spelled_out_up_to_200_bytes_of_text_and_of_bytes() {
    let is_digest = |parts: &[Value]| key(parts).to_string().contains('#');
    let no = Value::Bool(false);

    // 33 times `false` and 32 colons are 197 bytes; one more is 203, in 34 bytes that would lie inline.
    assert!(!is_digest(&vec![no.clone(); 33]));
    assert!(is_digest(&vec![no.clone(); 34]));
    // In the form of a list, two brackets more: 199, in 35 bytes.
    assert!(!is_digest(&[Value::List(vec![no.clone(); 33])]));
    assert!(is_digest(&[Value::List(vec![no; 34])]));
    // Six times 32, and four, are 196; and 202.
    let nested = |depth| (0..depth).fold(Value::None, |value, _| Value::Some(Box::new(value)));
    assert!(!is_digest(&[nested(32)]));
    assert!(is_digest(&[nested(33)]));
    // Two quotes, and each byte three times: 200, and 203.
    assert!(!is_digest(&[Value::Text("\n".repeat(66))]));
    assert!(is_digest(&[Value::Text("\n".repeat(67))]));
    // Of the text 200, of the bytes 201: and the other way round.
    assert!(is_digest(&[Value::Text("t".repeat(198))]));
    assert!(!is_digest(&[Value::Text("t".repeat(197))]));
    assert!(is_digest(&vec![Value::F64(1.0); 23]));
    assert!(!is_digest(&vec![Value::F64(1.0); 22]));
}

#[test]
fn a_text_that_no_key_has_is_refused_where_it_goes_wrong() {
    Identity::intern("f", &[], 0);
    Identity::intern("f::g", &[], 0);
    for (text, position) in [
        ("", 0),
        ("f", 0),
        (":", 0),
        ("f:", 0),
        ("f:0", 0),
        ("f:v", 0),
        ("f:v00", 0),
        ("f:v+0", 0),
        ("f:v0:", 5),
        ("f::v0", 0),
        ("f:v0::1", 5),
        ("f:v0:1:", 7),
        ("f:v0:01", 5),
        ("f:v0:+1", 5),
        ("f:v0:-0", 5),
        ("f:v0:1 ", 6),
        ("f:v0: 1", 5),
        ("f:v0:1e5", 6),
        ("f:v0:1.", 7),
        ("f:v0:1.00", 8),
        ("f:v0:-0.0", 5),
        ("f:v0:nan", 5),
        ("f:v0:infinity", 8),
        ("f:v0:-NaN", 5),
        ("f:v0:340282366920938463463374607431768211456", 6),
        ("f:v0:-170141183460469231731687303715884105729", 7),
        ("f:v0:\"a", 5),
        ("f:v0:\"a\"b", 8),
        ("f:v0:\"é\"", 6),
        ("f:v0:\"a b\"", 7),
        ("f:v0:\"%41\"", 6),
        ("f:v0:\"%c3%a9\"", 7),
        ("f:v0:\"%C3\"", 5),
        ("f:v0:\"%2\"", 5),
        ("f:v0:'ab'", 5),
        ("f:v0:''", 5),
        ("f:v0:x\"0\"", 7),
        ("f:v0:x\"AB\"", 7),
        ("f:v0:[1,]", 8),
        ("f:v0:[1 2]", 7),
        ("f:v0:[1", 7),
        ("f:v0:map<2=0,1=0>", 14),
        ("f:v0:map<1>", 10),
        ("f:v0:<a=1,b>", 11),
        ("f:v0:<a%62=1>", 6),
        ("f:v0:.a(1", 9),
        ("f:v0:some()", 10),
        ("f:v0:nonE", 5),
        ("f:v0:secret(00)", 15),
        ("f:v0:#00", 8),
        ("f:v0:#", 6),
    ] {
        let malformed = Key::parse(text).unwrap_err();
        assert_eq!(malformed.position(), position, "{text}");
    }
}

#[test]
fn a_digest_stands_alone_and_in_lower_case() {
    Identity::intern("f", &[], 0);
    let digest = "a1".repeat(32);

    assert!(Key::parse(&format!("f:v0:#{digest}")).unwrap().is_some());
    assert!(Key::parse(&format!("f:v0:#{}", digest.to_uppercase())).is_err());
    assert!(Key::parse(&format!("f:v0:#{digest}:1")).is_err());
    assert!(Key::parse(&format!("f:v0:1:#{digest}")).is_err());
    assert!(Key::parse(&format!("f:v0:secret({digest}):1")).unwrap().is_some());
    assert!(Key::parse(&format!("f:v0:[secret({digest})]")).is_err());
}

#[test]
fn arguments_that_should_be_a_digest_are_refused() {
    Identity::intern("f", &[], 0);
    let zeros = |count: usize| format!("f:v0:[{}]", vec!["0.0"; count].join(","));

    // The bytes are too many, at less than 100 of text; then the text is too long.
    assert!(Key::parse(&zeros(22)).unwrap().is_some());
    assert!(Key::parse(&zeros(23)).is_err());
    assert!(Key::parse(&format!("f:v0:\"{}\"", "t".repeat(199))).is_err());
}

#[test]
fn secrets_are_read_back() {
    let mut writer = KeyWriter::new(Identity::intern("session", &["u8"], 1));
    writer.secret(&SecretKey::from([7; 32]), "correct horse");
    writer.part(&1);
    let key = writer.finish().unwrap();

    assert_eq!(Key::parse(&key.to_string()), Ok(Some(key)));
}

#[test]
fn a_function_that_nothing_called_is_none_and_stays_unknown() {
    for _ in 0..2 {
        assert_eq!(Key::parse("never_called:v0:1"), Ok(None));
        assert_eq!(Key::parse("never::called(u8;&str):v3"), Ok(None));
        assert_eq!(Identity::find("never_called:v0"), None);
    }
    for malformed in [
        "never_called:v0:01",
        "never_called:v00:1",
        "never called:v0:1",
        "never%5Fcalled:v0:1",
        "never_called(u8:v0",
        "never_called(u8)x:v0",
        "never_called(u8,(a)):v0",
        "never%3A%3Acalled:v0",
        "never%3a:v0",
        "never%C3:v0",
        "never_called:v4294967296",
    ] {
        assert!(Key::parse(malformed).is_err(), "{malformed}");
    }
    assert_eq!(Key::parse("never_called:v4294967295"), Ok(None));
}

#[test]
fn texts_of_great_length_and_depth_are_refused_without_harm() {
    Identity::intern("f", &[], 0);
    for open in ["[", "some(", "<a=", ".a(", "map<", "map<1=", "\"", "0", ":", "%", "#", "a::"] {
        let long = open.repeat(1 << 20);
        assert!(Key::parse(&format!("f:v0:{long}")).is_err());
        assert!(Key::parse(&long).is_err());
    }
    let nested = format!("f:v0:{}{}", "[".repeat(100), "]".repeat(100));
    let key = Key::parse(&nested).unwrap().unwrap();
    assert_eq!(key.to_string(), nested);
}
