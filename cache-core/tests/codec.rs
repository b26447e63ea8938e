//! Codecs: what is written is read as it was, and bytes of whatever origin cost little.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

#[path = "golden/check.rs"]
mod golden;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

#[allow(unused_imports, reason = "which are used depends on the features")]
use cache_core::codec::{AnyCodec, Bincode, Codec, encoded_size};
use cache_core::{Error, ErrorKind};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const CODECS: &[AnyCodec] = &[
    AnyCodec::Bincode,
    #[cfg(feature = "postcard")]
    AnyCodec::Postcard,
    #[cfg(feature = "messagepack")]
    AnyCodec::MessagePack,
    #[cfg(feature = "json")]
    AnyCodec::Json,
];

/// The formats without the names of fields.
const NAMELESS: &[AnyCodec] = &[
    AnyCodec::Bincode,
    #[cfg(feature = "postcard")]
    AnyCodec::Postcard,
];

/// The formats with them.
const NAMED: &[AnyCodec] = &[
    #[cfg(feature = "messagepack")]
    AnyCodec::MessagePack,
    #[cfg(feature = "json")]
    AnyCodec::Json,
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Menu {
    id: u64,
    name: String,
    dishes: Vec<Dish>,
    place: Option<Place>,
    prices: BTreeMap<String, f64>,
    extra: (i8, i128, u128, char, bool, f32),
    unit: (),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Dish(String, Option<u32>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Place {
    Nowhere,
    Named(String),
    At(f64, f64),
    In { city: String, floor: i16 },
}

fn menu() -> Menu {
    Menu {
        id: 42,
        name: "Café de Paris".into(),
        dishes: vec![Dish("soup".into(), Some(350)), Dish("bread".into(), None)],
        place: Some(Place::In { city: "Paris".into(), floor: -1 }),
        prices: BTreeMap::from([("large".into(), 0.1), ("small".into(), 1e23)]),
        extra: (-1, i128::MIN, u128::MAX, 'é', true, 0.1),
        unit: (),
    }
}

fn encoded<T: Serialize>(codec: AnyCodec, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    bytes
}

fn refused<T: Serialize>(codec: AnyCodec, value: &T) -> Error {
    let error = codec.encode(value, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    error
}

fn assert_refused<T: DeserializeOwned + Debug>(codec: AnyCodec, bytes: &[u8]) {
    let error = codec.decode::<T>(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode, "{codec:?}");
}

fn source(error: &Error) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

#[cfg(all(feature = "postcard", feature = "messagepack", feature = "json"))]
#[test]
fn codecs_have_the_bytes_that_the_golden_file_pins() {
    let values = [menu(), Menu { place: None, ..menu() }, Menu { place: Some(Place::Nowhere), ..menu() }];

    let mut lines = String::new();
    for codec in CODECS {
        for value in &values {
            lines += &format!("{codec:?} {}\n    {}\n", codec.id().0, golden::hex(&encoded(*codec, value)));
        }
    }

    golden::check("codecs.txt", &lines);
}

#[cfg(not(all(feature = "postcard", feature = "messagepack", feature = "json")))]
#[test]
fn bincode_has_the_bytes_that_the_golden_file_pins() {
    let expected = include_str!("golden/codecs.txt").lines().nth(1).unwrap().trim();

    assert_eq!(golden::hex(&encoded(AnyCodec::Bincode, &menu())), expected);
}

#[test]
fn a_value_is_read_as_it_was_written() {
    for codec in CODECS {
        for place in [None, Some(Place::Nowhere), Some(Place::Named("x".into())), Some(Place::At(1.5, -0.0))]
        {
            let value = Menu { place, ..menu() };

            let again: Menu = codec.decode(&encoded(*codec, &value)).unwrap();

            assert_eq!(again, value, "{codec:?}");
        }
    }
}

#[test]
fn encoding_appends() {
    for codec in CODECS {
        let mut bytes = b"head".to_vec();

        codec.encode(&42_u8, &mut bytes).unwrap();

        assert_eq!(bytes[..4], *b"head");
        assert_eq!(codec.decode::<u8>(&bytes[4..]).unwrap(), 42);
    }
}

#[test]
fn bytes_behind_the_value_are_refused() {
    for codec in CODECS {
        let mut bytes = encoded(*codec, &menu());

        bytes.push(b'0');

        assert_refused::<Menu>(*codec, &bytes);
    }
}

#[test]
fn every_shortened_value_is_refused() {
    for codec in CODECS {
        let bytes = encoded(*codec, &menu());
        for length in 0..bytes.len() {
            assert_refused::<Menu>(*codec, &bytes[..length]);
        }
    }
}

#[test]
fn the_size_is_counted_as_it_is_encoded() {
    assert_eq!(encoded_size(&menu()).unwrap(), encoded(AnyCodec::Bincode, &menu()).len());
    assert_eq!(encoded_size("text").unwrap(), 5);
    assert_eq!(encoded_size(&vec![0_u8; 1000]).unwrap(), 1003);
    assert_eq!(encoded_size(&()).unwrap(), 0);
}

/// All the ways the two compact formats have to write 2^60.
const LENGTHS: [&[u8]; 3] = [
    &[253, 0, 0, 0, 0, 0, 0, 0, 0x10],
    &[253, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
];

#[test]
fn a_length_of_two_to_the_sixty_costs_neither_memory_nor_time() {
    for codec in NAMELESS {
        for length in LENGTHS {
            assert_refused::<String>(*codec, length);
            assert_refused::<Vec<u8>>(*codec, length);
            assert_refused::<Vec<u64>>(*codec, length);
            assert_refused::<Vec<String>>(*codec, length);
            assert_refused::<HashMap<u64, u64>>(*codec, length);
            assert_refused::<Vec<Vec<Vec<u8>>>>(*codec, &[length, length, length].concat());
            assert_refused::<Bytes>(*codec, length);
        }
    }
}

#[test]
fn endless_elements_of_no_size_are_refused() {
    for codec in NAMELESS {
        for length in LENGTHS {
            assert_refused::<Vec<()>>(*codec, length);
            assert_refused::<HashMap<(), ()>>(*codec, length);
            assert_refused::<Vec<[(); 3]>>(*codec, length);
        }
    }
}

#[test]
fn some_elements_of_no_size_are_read() {
    for codec in CODECS {
        let value = vec![(); 1000];

        assert_eq!(codec.decode::<Vec<()>>(&encoded(*codec, &value)).unwrap(), value);
    }
}

#[test]
fn a_visitor_is_told_of_no_more_elements_than_there_are_bytes() {
    for codec in NAMELESS {
        for length in LENGTHS {
            assert_refused::<Reserving>(*codec, length);
        }
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn lengths_of_messagepack_that_lie_are_refused() {
    let huge = [0xFF, 0xFF, 0xFF, 0xFF];
    for marker in [0xDB_u8, 0xC6, 0xDD, 0xDF, 0xC9] {
        let bytes = [&[marker][..], &huge].concat();

        assert_refused::<String>(AnyCodec::MessagePack, &bytes);
        assert_refused::<Vec<()>>(AnyCodec::MessagePack, &bytes);
        assert_refused::<Vec<u8>>(AnyCodec::MessagePack, &bytes);
        assert_refused::<Bytes>(AnyCodec::MessagePack, &bytes);
        assert_refused::<HashMap<u64, u64>>(AnyCodec::MessagePack, &bytes);
        assert_refused::<Reserving>(AnyCodec::MessagePack, &bytes);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nest(Option<Box<Nest>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node { inner: Box<Tree> },
    List(Vec<Tree>),
}

#[test]
fn values_nested_without_end_are_refused_and_do_not_overflow_the_stack() {
    let deep = |bytes: &[u8]| bytes.repeat(1_000_000);
    for codec in NAMELESS {
        assert_refused::<Nest>(*codec, &deep(&[1]));
        assert_refused::<Tree>(*codec, &deep(&[1]));
        assert_refused::<Tree>(*codec, &deep(&[2, 1]));
    }
    #[cfg(feature = "messagepack")]
    {
        assert_refused::<Nest>(AnyCodec::MessagePack, &deep(&[0x91]));
        assert_refused::<Tree>(AnyCodec::MessagePack, &deep(b"\x81\xA4List\x91"));
        assert_refused::<Tree>(AnyCodec::MessagePack, &deep(b"\x81\xA4Node\x81\xA5inner"));
    }
    #[cfg(feature = "json")]
    {
        assert_refused::<Nest>(AnyCodec::Json, &deep(b"["));
        assert_refused::<Tree>(AnyCodec::Json, &deep(b"{\"List\":["));
        assert_refused::<Tree>(AnyCodec::Json, &deep(b"{\"Node\":{\"inner\":"));
    }
}

#[test]
fn what_is_written_at_the_deepest_can_be_read() {
    for codec in CODECS {
        let mut refusals = 0;
        let (mut nest, mut tree, mut list) = (Nest(None), Tree::Leaf, Tree::Leaf);
        for _ in 0..200 {
            nest = Nest(Some(nest.into()));
            tree = Tree::Node { inner: tree.into() };
            list = Tree::List(vec![list]);

            refusals += usize::from(!is_read_or_refused(*codec, &nest));
            refusals += usize::from(!is_read_or_refused(*codec, &tree));
            refusals += usize::from(!is_read_or_refused(*codec, &list));
        }
        assert!(refusals > 0);
    }
}

/// True where `value` is read as it was written, false where writing it was refused.
fn is_read_or_refused<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    codec: AnyCodec,
    value: &T,
) -> bool {
    let mut bytes = Vec::new();
    let is_written = codec.encode(value, &mut bytes).is_ok();
    if is_written {
        let again: T = codec.decode(&bytes).unwrap_or_else(|error| panic!("{codec:?}: {error:?}"));
        assert_eq!(again, *value, "{codec:?}");
    }
    is_written
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<u8>,
    id: u8,
}

#[test]
fn a_skipped_field_is_refused_where_the_others_would_be_misread() {
    for codec in NAMELESS {
        let error = refused(*codec, &Skipping { note: None, id: 1 });

        for expected in ["`note`", "skip_serializing_if", "JSON"] {
            assert!(source(&error).contains(expected), "{error:?}");
        }
        assert!(is_read_or_refused(*codec, &Skipping { note: Some(1), id: 1 }));
    }
}

#[test]
fn a_skipped_field_is_read_where_fields_have_names() {
    for codec in NAMED {
        assert!(is_read_or_refused(*codec, &Skipping { note: None, id: 1 }));
    }
}

#[test]
fn some_of_nothing_is_read_as_such_or_refused() {
    for codec in CODECS {
        is_read_or_refused(*codec, &Some(None::<u8>));
        is_read_or_refused(*codec, &Some(()));
        is_read_or_refused(*codec, &Some(Dish("x".into(), None)));
        is_read_or_refused(*codec, &vec![Some(None), None, Some(Some(1_u8))]);
        assert!(is_read_or_refused(*codec, &Some(vec![None, Some(1)])));
        assert!(is_read_or_refused(*codec, &Some((1, None::<u8>))));
    }
}

#[test]
fn floats_are_read_to_the_bit_or_refused() {
    for codec in CODECS {
        for value in
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, 5e-324, 1e23, 0.1 + 0.2]
        {
            let mut bytes = Vec::new();
            if codec.encode(&Some(value), &mut bytes).is_ok() {
                let again: Option<f64> = codec.decode(&bytes).unwrap();
                assert_eq!(again.map(f64::to_bits), Some(value.to_bits()), "{codec:?}");
            }
        }
    }
}

#[test]
fn types_that_ask_what_comes_are_read_where_fields_have_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Pair { a: u8, b: String },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        One { a: u8 },
        Other { b: String },
    }
    for codec in NAMED {
        assert!(is_read_or_refused(
            *codec,
            &vec![Untagged::Number(1), Untagged::Pair { a: 1, b: "x".into() }]
        ));
        assert!(is_read_or_refused(*codec, &vec![Tagged::One { a: 1 }, Tagged::Other { b: "x".into() }]));
    }
}

#[test]
fn the_types_of_std_are_read_as_they_were_written() {
    let address: std::net::SocketAddr = "[::1]:80".parse().unwrap();
    for codec in CODECS {
        assert!(is_read_or_refused(*codec, &Duration::from_millis(1500)));
        assert!(is_read_or_refused(*codec, &address));
        assert!(is_read_or_refused(*codec, &std::time::UNIX_EPOCH));
        assert!(is_read_or_refused(*codec, &Ok::<u8, String>(1)));
        assert!(is_read_or_refused(*codec, &std::sync::Arc::new(vec![Box::new("x".to_string())])));
        assert!(is_read_or_refused(*codec, &HashMap::from([(1_u64, 'x'), (2, 'y')])));
    }
}

#[test]
fn an_error_names_the_type_and_the_format() {
    let error = Bincode.decode::<Menu>(b"").unwrap_err();

    assert!(error.to_string().contains("Menu") && error.to_string().contains("bincode"), "{error}");
}

fn any_menu() -> impl Strategy<Value = Menu> {
    let place = prop_oneof![
        Just(Place::Nowhere),
        any::<String>().prop_map(Place::Named),
        any::<(f64, f64)>().prop_map(|(one, other)| Place::At(one, other)),
        any::<(String, i16)>().prop_map(|(city, floor)| Place::In { city, floor }),
    ];
    let dishes = proptest::collection::vec(any::<(String, Option<u32>)>(), 0..4);
    let prices = proptest::collection::btree_map(any::<String>(), any::<f64>(), 0..4);
    let extra = any::<(i8, i128, u128, char, bool, f32)>();
    (any::<u64>(), any::<String>(), dishes, proptest::option::of(place), prices, extra).prop_map(
        |(id, name, dishes, place, prices, extra)| Menu {
            id,
            name,
            dishes: dishes.into_iter().map(|(name, price)| Dish(name, price)).collect(),
            place,
            prices,
            extra,
            unit: (),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_is_read_as_it_was_written(value in any_menu()) {
        for codec in CODECS {
            prop_assert!(is_read_or_refused(*codec, &value));
            prop_assert_eq!(encoded_size(&value).unwrap(), encoded(AnyCodec::Bincode, &value).len());
        }
    }

    #[test]
    fn bytes_of_whatever_origin_end_in_a_value_or_an_error(bytes: Vec<u8>) {
        for codec in CODECS {
            let _ = codec.decode::<Menu>(&bytes);
            let _ = codec.decode::<Tree>(&bytes);
            let _ = codec.decode::<Vec<String>>(&bytes);
        }
    }

    #[test]
    fn changed_bytes_end_in_a_value_or_an_error(
        value in any_menu(),
        changes in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4)
    ) {
        for codec in CODECS {
            let mut bytes = encoded(*codec, &value);
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = codec.decode::<Menu>(&bytes);
        }
    }
}

/// Bytes that are asked for as such.
#[derive(Debug)]
struct Bytes;

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, _: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes)
            }
        }
        deserializer.deserialize_byte_buf(Any)
    }
}

/// A collection that trusts the number it is told, as some do.
#[derive(Debug)]
struct Reserving;

impl<'de> Deserialize<'de> for Reserving {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Trusting;
        impl<'de> serde::de::Visitor<'de> for Trusting {
            type Value = Reserving;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Reserving, A::Error> {
                let mut all = Vec::with_capacity(access.size_hint().unwrap_or(0));
                while let Some(number) = access.next_element::<u64>()? {
                    all.push(number);
                }
                Ok(Reserving)
            }
        }
        deserializer.deserialize_seq(Trusting)
    }
}
