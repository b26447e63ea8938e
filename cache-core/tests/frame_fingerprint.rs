//! Fingerprints of value types: another shape is another number, the same shape the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use cache_core::entry::fingerprint::fingerprint;
use serde::{Deserialize, Deserializer};

fn of<T: for<'de> Deserialize<'de>>() -> u64 {
    fingerprint::<T>(0)
}

/// Declares a type in a module of its own, so that types of one name can differ.
macro_rules! shape {
    ($module:ident, $($item:tt)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            #[derive(Deserialize)]
            #[allow(dead_code)]
            $($item)*
        }
    };
}

shape!(
    base,
    pub(crate) struct Menu {
        id: u64,
        name: String,
    }
);
shape!(
    again,
    pub(crate) struct Menu {
        id: u64,
        name: String,
    }
);
shape!(
    field_renamed,
    pub(crate) struct Menu {
        id: u64,
        title: String,
    }
);
shape!(
    field_typed,
    pub(crate) struct Menu {
        id: u32,
        name: String,
    }
);
shape!(
    field_optional,
    pub(crate) struct Menu {
        id: u64,
        name: Option<String>,
    }
);
shape!(
    field_added,
    pub(crate) struct Menu {
        id: u64,
        name: String,
        place: u8,
    }
);
shape!(
    field_removed,
    pub(crate) struct Menu {
        id: u64,
    }
);
shape!(
    reordered,
    pub(crate) struct Menu {
        name: String,
        id: u64,
    }
);
shape!(
    renamed,
    pub(crate) struct Card {
        id: u64,
        name: String,
    }
);
shape!(tuple, pub(crate) struct Menu(u64, String););

#[test]
fn the_same_shape_gives_the_same_number() {
    assert_eq!(of::<base::Menu>(), of::<base::Menu>());
    assert_eq!(of::<base::Menu>(), of::<again::Menu>());
    assert_eq!(of::<base::Menu>(), of::<Arc<base::Menu>>());
    assert_eq!(of::<Vec<base::Menu>>(), of::<Vec<again::Menu>>());
}

#[test]
fn every_change_of_a_struct_gives_another_number() {
    let all = [
        of::<base::Menu>(),
        of::<field_renamed::Menu>(),
        of::<field_typed::Menu>(),
        of::<field_optional::Menu>(),
        of::<field_added::Menu>(),
        of::<field_removed::Menu>(),
        of::<reordered::Menu>(),
        of::<renamed::Card>(),
        of::<tuple::Menu>(),
    ];

    assert_eq!(BTreeSet::from(all).len(), all.len());
}

#[test]
fn a_change_deep_inside_gives_another_number() {
    assert_ne!(of::<Vec<base::Menu>>(), of::<Vec<field_typed::Menu>>());
    assert_ne!(of::<Option<Box<base::Menu>>>(), of::<Option<Box<field_typed::Menu>>>());
    assert_ne!(of::<HashMap<u8, base::Menu>>(), of::<HashMap<u8, field_typed::Menu>>());
    assert_ne!(of::<(u8, [base::Menu; 2])>(), of::<(u8, [field_typed::Menu; 2])>());
    assert_ne!(of::<Result<u8, base::Menu>>(), of::<Result<u8, field_typed::Menu>>());
    assert_ne!(of::<Vec<Vec<Option<(u8, u8)>>>>(), of::<Vec<Vec<Option<(u8, u16)>>>>());
}

#[test]
fn the_version_counts() {
    assert_ne!(fingerprint::<u8>(0), fingerprint::<u8>(1));
}

#[test]
fn primitives_and_collections_are_told_apart() {
    let all = [
        of::<()>(),
        of::<bool>(),
        of::<u8>(),
        of::<i8>(),
        of::<u64>(),
        of::<i64>(),
        of::<f32>(),
        of::<f64>(),
        of::<char>(),
        of::<String>(),
        of::<Option<u8>>(),
        of::<Option<Option<u8>>>(),
        of::<Vec<u8>>(),
        of::<[u8; 2]>(),
        of::<[u8; 3]>(),
        of::<BTreeMap<u8, u8>>(),
        of::<BTreeMap<u8, u16>>(),
        of::<Result<u8, u8>>(),
    ];

    assert_eq!(BTreeSet::from(all).len(), all.len());
}

shape!(
    enum_base,
    pub(crate) enum Place {
        Nowhere,
        Named(String),
        At(f64, f64),
        In { city: String },
    }
);
shape!(
    enum_again,
    pub(crate) enum Place {
        Nowhere,
        Named(String),
        At(f64, f64),
        In { city: String },
    }
);
shape!(
    enum_renamed,
    pub(crate) enum Place {
        Nowhere,
        Called(String),
        At(f64, f64),
        In { city: String },
    }
);
shape!(
    enum_added,
    pub(crate) enum Place {
        Nowhere,
        Named(String),
        At(f64, f64),
        In { city: String },
        Far,
    }
);
shape!(
    enum_order,
    pub(crate) enum Place {
        Named(String),
        Nowhere,
        At(f64, f64),
        In { city: String },
    }
);
shape!(
    enum_unit,
    pub(crate) enum Place {
        Nowhere(u8),
        Named(String),
        At(f64, f64),
        In { city: String },
    }
);
shape!(
    enum_newtype,
    pub(crate) enum Place {
        Nowhere,
        Named(u8),
        At(f64, f64),
        In { city: String },
    }
);
shape!(
    enum_tuple,
    pub(crate) enum Place {
        Nowhere,
        Named(String),
        At(f64, f32),
        In { city: String },
    }
);
shape!(
    enum_field,
    pub(crate) enum Place {
        Nowhere,
        Named(String),
        At(f64, f64),
        In { town: String },
    }
);
shape!(
    enum_last,
    pub(crate) enum Place {
        Nowhere,
        Named(String),
        At(f64, f64),
        In { city: u8 },
    }
);

#[test]
fn every_change_of_an_enum_gives_another_number() {
    let all = [
        of::<enum_base::Place>(),
        of::<enum_renamed::Place>(),
        of::<enum_added::Place>(),
        of::<enum_order::Place>(),
        of::<enum_unit::Place>(),
        of::<enum_newtype::Place>(),
        of::<enum_tuple::Place>(),
        of::<enum_field::Place>(),
        of::<enum_last::Place>(),
    ];

    assert_eq!(BTreeSet::from(all).len(), all.len());
    assert_eq!(of::<enum_base::Place>(), of::<enum_again::Place>());
}

shape!(
    beside,
    pub(crate) struct Both {
        one: enum_base::Place,
        other: Vec<enum_base::Place>,
        id: u8,
    }
);
shape!(
    beside_last,
    pub(crate) struct Both {
        one: enum_base::Place,
        other: Vec<enum_last::Place>,
        id: u8,
    }
);
shape!(
    beside_id,
    pub(crate) struct Both {
        one: enum_base::Place,
        other: Vec<enum_base::Place>,
        id: u16,
    }
);

#[test]
fn enums_beside_other_fields_are_seen_whole() {
    assert_ne!(of::<beside::Both>(), of::<beside_last::Both>());
    assert_ne!(of::<beside::Both>(), of::<beside_id::Both>());
}

shape!(
    list,
    pub(crate) struct Node {
        value: u8,
        next: Option<Box<Node>>,
    }
);
shape!(
    list_typed,
    pub(crate) struct Node {
        value: u16,
        next: Option<Box<Node>>,
    }
);
shape!(
    tree,
    pub(crate) enum Tree {
        Node { left: Box<Tree>, right: Box<Tree> },
        List(Vec<Tree>),
        Leaf(u8),
    }
);
shape!(
    tree_leaf,
    pub(crate) enum Tree {
        Node { left: Box<Tree>, right: Box<Tree> },
        List(Vec<Tree>),
        Leaf(u16),
    }
);
shape!(
    endless,
    pub(crate) enum Endless {
        Again(Box<Endless>),
    }
);
#[derive(Deserialize)]
#[allow(dead_code)]
struct Nest(Option<Box<Nest>>);

shape!(
    children,
    pub(crate) struct Item {
        children: Vec<Item>,
        by_name: HashMap<String, Item>,
        size: u8,
    }
);
shape!(
    children_typed,
    pub(crate) struct Item {
        children: Vec<Item>,
        by_name: HashMap<String, Item>,
        size: u16,
    }
);

#[test]
fn recursive_types_end_and_are_told_apart() {
    assert_ne!(of::<list::Node>(), of::<list_typed::Node>());
    assert_ne!(of::<tree::Tree>(), of::<tree_leaf::Tree>());
    assert_ne!(of::<children::Item>(), of::<children_typed::Item>());
    assert_ne!(of::<Nest>(), of::<Option<Nest>>());
    assert_eq!(of::<endless::Endless>(), of::<endless::Endless>());
}

/// A text that has to be a date, as those of time crates are.
struct Date;

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_date = text.len() == 10 && text.split('-').count() == 3;
        if is_date { Ok(Self) } else { Err(serde::de::Error::custom("not a date")) }
    }
}

/// A text that has to be what nobody guesses.
struct Password;

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "xyzzy" { Ok(Self) } else { Err(serde::de::Error::custom("no")) }
    }
}

shape!(
    dated,
    pub(crate) struct Dated {
        on: Date,
        at: std::net::IpAddr,
        count: NonZeroU32,
        id: u8,
    }
);
shape!(
    dated_typed,
    pub(crate) struct Dated {
        on: Date,
        at: std::net::IpAddr,
        count: NonZeroU32,
        id: u16,
    }
);
shape!(
    in_variant,
    pub(crate) enum Event {
        At(Date),
        Secret(Password),
        Other { date: Date, id: u8 },
    }
);
shape!(
    in_variant_typed,
    pub(crate) enum Event {
        At(Date),
        Secret(Password),
        Other { date: Date, id: u16 },
    }
);

#[test]
fn what_follows_a_checked_type_is_seen() {
    assert_ne!(of::<dated::Dated>(), of::<dated_typed::Dated>());
    assert_ne!(of::<in_variant::Event>(), of::<in_variant_typed::Event>());
}

shape!(
    locked,
    pub(crate) struct Locked {
        password: Password,
        id: u8,
    }
);
shape!(
    locked_other,
    pub(crate) struct Locked {
        password: Date,
        id: u8,
    }
);
shape!(
    locked_renamed,
    pub(crate) struct Locked {
        password: Password,
        number: u8,
    }
);

#[test]
fn a_type_that_cannot_be_probed_is_known_by_its_name() {
    assert_eq!(of::<locked::Locked>(), of::<locked::Locked>());
    assert_ne!(of::<locked::Locked>(), of::<locked_other::Locked>());
    assert_ne!(of::<locked::Locked>(), of::<locked_renamed::Locked>());
}

#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code)]
enum Untagged {
    One { a: u8 },
    Other(String),
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[test]
fn types_that_ask_what_comes_have_a_number() {
    assert_eq!(of::<Untagged>(), of::<Untagged>());
    assert_eq!(of::<Flat>(), of::<Flat>());
    assert_ne!(of::<Untagged>(), of::<Flat>());
}

/// Reads fields by name only.
struct ByName;

impl<'de> Deserialize<'de> for ByName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl<'de> serde::de::Visitor<'de> for Named {
            type Value = ByName;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("named fields")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<ByName, A::Error> {
                while let Some(name) = access.next_key::<String>()? {
                    assert_eq!(name, "only");
                    access.next_value::<u8>()?;
                }
                Ok(ByName)
            }
        }
        deserializer.deserialize_struct("ByName", &["only"], Named)
    }
}

shape!(
    by_name,
    pub(crate) struct Outer {
        inner: ByName,
        id: u8,
    }
);
shape!(
    by_name_typed,
    pub(crate) struct Outer {
        inner: ByName,
        id: u16,
    }
);

#[test]
fn a_type_that_wants_names_gets_them() {
    assert_ne!(of::<by_name::Outer>(), of::<by_name_typed::Outer>());
}

shape!(
    wide,
    pub(crate) struct Wide {
        a: tree::Tree,
        b: tree::Tree,
        c: [tree::Tree; 8],
        d: (tree::Tree, tree::Tree),
    }
);

#[test]
fn many_recursive_fields_do_not_take_for_ever() {
    assert_eq!(of::<wide::Wide>(), of::<wide::Wide>());
}

#[test]
fn numbers_stay_what_they_are_between_builds() {
    let all = [
        ("u64", of::<u64>()),
        ("text", of::<String>()),
        ("struct", of::<base::Menu>()),
        ("enum", of::<enum_base::Place>()),
        ("recursive struct", of::<list::Node>()),
        ("recursive enum", of::<tree::Tree>()),
        ("collections", of::<HashMap<String, Vec<Option<(u8, char)>>>>()),
    ];
    let lines: String = all.iter().map(|(what, number)| format!("{what} {number:016x}\n")).collect();

    golden::check("fingerprints.txt", &lines);
}

#[path = "golden/check.rs"]
mod golden;
