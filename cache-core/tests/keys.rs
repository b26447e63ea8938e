//! Keys, as those who call cached functions see them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use cache_core::ErrorKind;
use cache_core::key::{Identity, Key, KeyWriter, MalformedText, SecretKey};
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer};

fn key<T: Serialize + ?Sized>(value: &T) -> Key {
    let mut writer = KeyWriter::new(Identity::intern("f", &[], 0));
    writer.part(value);
    writer.finish().unwrap()
}

fn secret<T: Serialize + ?Sized>(secret: [u8; 32], value: &T) -> Key {
    let mut writer = KeyWriter::new(Identity::intern("f", &[], 0));
    writer.secret(&SecretKey::from(secret), value);
    writer.finish().unwrap()
}

#[test]
fn texts_divided_elsewhere_are_other_keys() {
    assert_ne!(Key::of("f", ("a", "bc")).unwrap(), Key::of("f", ("ab", "c")).unwrap());
    assert_ne!(Key::of("f", ("a", "")).unwrap(), Key::of("f", ("", "a")).unwrap());
    assert_ne!(key("a\",\"b"), Key::of("f", ("a", "b")).unwrap());
}

#[test]
fn nothing_an_empty_text_and_some_empty_text_are_three_keys() {
    assert_ne!(key(&None::<&str>), key(&Some("")));
    assert_ne!(key(&Some("")), key(""));
    assert_ne!(key(&None::<&str>), key(""));
    assert_ne!(key(&None::<u8>), key(&()));
}

#[test]
fn integers_of_all_widths_are_one_class_and_texts_another() {
    let five = key(&5_u8);

    assert_eq!(five, key(&5_u16));
    assert_eq!(five, key(&5_u32));
    assert_eq!(five, key(&5_u64));
    assert_eq!(five, key(&5_usize));
    assert_eq!(five, key(&5_u128));
    assert_eq!(five, key(&5_i8));
    assert_eq!(five, key(&5_i64));
    assert_eq!(five, key(&5_i128));
    assert_eq!(key(&-5_i8), key(&-5_i128));
    assert_ne!(five, key("5"));
    assert_ne!(five, key(&5.0));
    assert_ne!(five, key(&'5'));
}

#[test]
fn minus_zero_is_zero_and_every_nan_is_one() {
    let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);

    assert_eq!(key(&0.0), key(&-0.0));
    assert_eq!(key(&f64::NAN), key(&-f64::NAN));
    assert_eq!(key(&f64::NAN), key(&other_nan));
    assert_eq!(key(&f32::NAN), key(&f64::NAN));
    assert_eq!(key(&0.5_f32), key(&0.5_f64));
}

#[test]
fn a_map_is_one_key_in_whatever_order_it_is_written() {
    let pairs: Vec<(u32, String)> = (0..100).map(|number| (number * 7919, format!("{number}"))).collect();
    let sorted: BTreeMap<_, _> = pairs.iter().cloned().collect();
    let expected = key(&sorted);

    for _ in 0..10 {
        let hashed: HashMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(key(&hashed), expected);
        assert_eq!(key(&vec![&hashed]), key(&vec![&sorted]));
    }
}

#[test]
fn untagged_variants_with_other_field_names_are_other_keys() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Lookup {
        ById { id: u64 },
        ByPlace { place: u64 },
    }

    assert_ne!(key(&Lookup::ById { id: 1 }), key(&Lookup::ByPlace { place: 1 }));
}

#[test]
fn fields_that_skip_in_turn_are_other_keys() {
    #[derive(Serialize)]
    struct Range {
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<u8>,
    }

    assert_ne!(key(&Range { from: Some(1), to: None }), key(&Range { from: None, to: Some(1) }));
}

#[test]
fn functions_types_and_versions_are_told_apart() {
    let of = |name: &str, types: &[&str], version| Identity::intern(name, types, version);

    let all = [
        of("f", &[], 0),
        of("f", &[], 1),
        of("m::f", &[], 0),
        of("f", &["u8"], 0),
        of("f", &["u8", "u8"], 0),
        of("f", &["u8;u8"], 0),
        of("f", &[""], 0),
        of("f(u8)", &[], 0),
        of("f<u8>", &[], 0),
        of("f:v0", &[], 0),
        of("f:", &[], 0),
        of("f::", &[], 0),
        of("f%3A", &[], 0),
    ];

    for (index, one) in all.iter().enumerate() {
        for other in &all[..index] {
            assert_ne!(one, other);
            assert_ne!(one.id(), other.id());
            assert_ne!(one.address(), other.address());
            assert_ne!(one.to_string(), other.to_string());
        }
    }
}

#[test]
fn identities_interned_by_many_threads_are_one() {
    let intern = || Identity::intern("by_many_threads", &["u8"], 3).address();

    let addresses: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(intern)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    assert!(addresses.iter().all(|address| *address == addresses[0]));
}

#[test]
fn equal_keys_have_equal_hashes_at_every_length() {
    let hasher = RandomState::new();
    for length in 0..300 {
        let text = "x".repeat(length);

        let (one, other) = (key(&text), key(text.as_str()));

        assert_eq!(one, other);
        assert_eq!(hasher.hash_one(&one), hasher.hash_one(&other));
        assert_ne!(hasher.hash_one(&one), hasher.hash_one(key(&"x".repeat(length + 1))));
    }
}

#[test]
fn a_hash_and_a_comparison_count_every_byte() {
    let hasher = RandomState::new();
    for length in [1, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 37, 38, 100] {
        let text = "x".repeat(length);
        for at in 0..length {
            let changed = format!("{}y{}", &text[..at], &text[at + 1..]);

            let (one, other) = (key(&text), key(&changed));

            assert_ne!(one, other, "byte {at} of {length}");
            assert_ne!(hasher.hash_one(&one), hasher.hash_one(&other), "byte {at} of {length}");
        }
    }
}

#[test]
fn the_same_arguments_of_two_functions_are_two_keys() {
    for length in [0, 7, 20, 38, 100, 1_000] {
        let text = "x".repeat(length);
        let of = |name: &str, types: &[&str], version| {
            let mut writer = KeyWriter::new(Identity::intern(name, types, version));
            writer.part(&text);
            writer.finish().unwrap()
        };

        let one = of("one", &[], 0);

        assert_eq!(one, of("one", &[], 0));
        for other in [of("other", &[], 0), of("one", &["u8"], 0), of("one", &[], 1)] {
            assert_ne!(one, other, "{length} bytes");
        }
    }
}

#[test]
fn a_key_takes_48_bytes_and_short_arguments_no_heap() {
    assert_eq!(size_of::<Key>(), 48);
    assert_eq!(size_of::<Option<Key>>(), 48);
    assert_eq!(key(&"x".repeat(37)).heap_size(), 0);
    assert!(key(&"x".repeat(38)).heap_size() > 0);
    assert_eq!(key(&"x".repeat(1000)).heap_size(), 0);
}

#[test]
fn long_arguments_become_a_digest_that_tells_them_apart() {
    let (one, other) = ("x".repeat(10_000), "x".repeat(10_001));

    assert_ne!(key(&one), key(&other));
    assert_eq!(key(&one).to_string().len(), "f:v0:#".len() + 64);
    assert_ne!(key(&one), Key::of("f", key(&one).to_string()).unwrap());
}

#[test]
fn a_secret_shows_nothing_but_its_digest() {
    let one = secret([1; 32], "correct horse");

    assert!(!one.to_string().contains("horse"));
    assert!(!format!("{one:?}").contains("horse"));
    assert!(!one.arguments().windows(5).any(|window| window == b"horse"));
    assert_eq!(one, secret([1; 32], "correct horse"));
    assert_ne!(one, secret([2; 32], "correct horse"));
    assert_ne!(one, secret([1; 32], "correct horsf"));
    assert_ne!(secret([1; 32], ""), secret([1; 32], &None::<&str>));
}

#[test]
fn the_secret_key_does_not_show_itself() {
    let shown = format!("{:?}", SecretKey::from([0x41; 32]));

    assert_eq!(shown, "SecretKey(..)");
}

#[test]
fn values_nested_without_end_are_an_error_and_not_a_stack_overflow() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_some(self)
        }
    }

    let mut writer = KeyWriter::new(Identity::intern("f", &[], 0));
    writer.part(&Endless);
    let error = writer.finish().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(error.to_string().contains("deeper than 128"), "{error}");
}

#[test]
fn values_nested_to_the_limit_are_keys() {
    #[derive(Serialize)]
    struct Nest(Option<Box<Nest>>);
    let nest = |depth: usize| (0..depth).fold(Nest(None), |inner, _| Nest(Some(inner.into())));

    let at_the_limit = Key::of("f", Some(nest(63)));
    let beyond = Key::of("f", Some(nest(64)));

    assert!(at_the_limit.is_ok());
    assert_eq!(beyond.unwrap_err().kind(), ErrorKind::Key);
}

#[test]
fn a_failing_part_is_an_error_that_says_how_to_go_on() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("the flux is off"))
        }
    }
    let mut writer = KeyWriter::new(Identity::intern("menu_of", &[], 0));

    writer.part(&1);
    writer.part(&Broken);
    writer.part(&2);
    let error = writer.finish().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Key);
    for expected in ["menu_of", "Broken", "the flux is off", "skip(..)", "key = (..)"] {
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_part_that_goes_on_after_an_error_within_is_no_key() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(None)?;
            list.serialize_element(&1)?;
            Err(S::Error::custom("the flux is off"))
        }
    }
    enum Ignores {
        List,
        Tuple,
        Map,
        Struct,
    }
    impl Serialize for Ignores {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::List => {
                    let mut list = serializer.serialize_seq(None)?;
                    let _ = list.serialize_element(&Broken);
                    list.end()
                }
                Self::Tuple => {
                    let mut tuple = serializer.serialize_tuple(1)?;
                    let _ = tuple.serialize_element(&Broken);
                    tuple.end()
                }
                Self::Map => {
                    let mut map = serializer.serialize_map(None)?;
                    map.serialize_key(&1)?;
                    let _ = map.serialize_value(&Broken);
                    map.serialize_value(&2).and_then(|()| map.end())
                }
                Self::Struct => {
                    let mut structure = serializer.serialize_struct("Struct", 1)?;
                    let _ = structure.serialize_field("name", &Broken);
                    structure.end()
                }
            }
        }
    }

    for ignores in [Ignores::List, Ignores::Tuple, Ignores::Map, Ignores::Struct] {
        let mut writer = KeyWriter::new(Identity::intern("f", &[], 0));
        writer.part(&ignores);
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Key);
        assert!(Key::of("f", &ignores).is_err());
    }
}

#[test]
fn a_failing_secret_does_not_quote_it() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("bad token hunter2"))
        }
    }
    let mut writer = KeyWriter::new(Identity::intern("f", &[], 0));

    writer.secret(&SecretKey::from([0; 32]), &Broken);
    let error = writer.finish().unwrap_err();

    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn key_types_can_be_shared_between_threads() {
    fn assert_shared<T: Send + Sync + 'static>() {}

    assert_shared::<Key>();
    assert_shared::<Identity>();
    assert_shared::<KeyWriter>();
    assert_shared::<MalformedText>();
    assert_shared::<SecretKey>();
}
