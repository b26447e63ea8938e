//! Pins the bytes and the text of keys.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

#[path = "golden/check.rs"]
mod golden;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use cache_core::key::{Identity, Key, KeyWriter, SecretKey};
use serde::Serialize;

#[derive(Serialize)]
struct RestaurantId(u64);
#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Empty {}
#[derive(Serialize)]
struct Pair(u8, &'static str);
#[derive(Serialize)]
struct Filter {
    place: &'static str,
    decade: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
}
#[derive(Serialize)]
enum Order {
    Newest,
    By(&'static str),
    Between(u8, u8),
    Near {
        latitude: f32,
        longitude: f32,
    },
    #[serde(rename = "odd name: {}")]
    Odd,
}

struct Lines(String);

impl Lines {
    fn key(&mut self, what: &str, key: Key) {
        let hex = if key.arguments().is_empty() { "-".into() } else { golden::hex(&key.arguments()) };
        self.0 += &format!("{what}\n    {hex}\n    {key}\n");
    }

    fn part<T: Serialize + ?Sized>(&mut self, what: &str, value: &T) {
        let mut writer = KeyWriter::new(Identity::intern("menu_of", &[], 2));
        writer.part(value);
        self.key(what, writer.finish().unwrap());
    }

    fn function(&mut self, what: &str, name: &str, types: &[&str], version: u32) {
        let identity = Identity::intern(name, types, version);
        let mut writer = KeyWriter::new(identity);
        writer.part(&1);
        self.key(&format!("{what}, id {:016x}", identity.id()), writer.finish().unwrap());
    }
}

fn secret(value: &str) -> Key {
    let mut writer = KeyWriter::new(Identity::intern("session", &[], 0));
    writer.part(&7);
    writer.secret(&SecretKey::from([7; 32]), value);
    writer.finish().unwrap()
}

#[test]
fn keys_have_the_bytes_and_the_text_that_the_golden_file_pins() {
    let mut lines = Lines(String::new());

    lines.part("zero", &0);
    lines.part("one byte", &42_u8);
    lines.part("two bytes", &256);
    lines.part("largest u64", &u64::MAX);
    lines.part("2^56 - 1, one word with its tag", &((1_u64 << 56) - 1));
    lines.part("2^56, two words", &(1_u64 << 56));
    lines.part("largest u128", &u128::MAX);
    lines.part("2^64", &(1_u128 << 64));
    lines.part("minus one", &-1);
    lines.part("minus 256", &-256);
    lines.part("minus 257", &-257);
    lines.part("least i64", &i64::MIN);
    lines.part("least i128", &i128::MIN);
    lines.part("false", &false);
    lines.part("true", &true);
    lines.part("float one", &1.0_f64);
    lines.part("float 0.1 of 32 bits", &0.1_f32);
    lines.part("float minus zero", &-0.0_f64);
    lines.part("float large", &1e300);
    lines.part("float infinite", &f64::NEG_INFINITY);
    lines.part("not a number", &f64::NAN);
    lines.part("char", &'x');
    lines.part("char quote", &'\'');
    lines.part("char beyond ASCII", &'é');
    lines.part("char beyond 16 bits", &'🦀');
    lines.part("text", "en");
    lines.part("text empty", "");
    lines.part("text like a number", "42");
    lines.part("text with everything escaped", "a:b{c}\"d\"'e'%f\\g h\n\t\0é");
    lines.part("text with what stays", "!#$&()*+,-./;<=>?@[]^_`|~");
    lines.part("text of 36, a uuid", "67e55044-10b1-426f-9247-bb680e5fe0c8");
    lines.part("text of 37, the longest inline", &"t".repeat(37));
    lines.part("text of 38, the shortest on the heap", &"t".repeat(38));
    lines.part("text of 64, its length apart", &"t".repeat(64));
    lines.part("text of 197, the longest spelled out", &"t".repeat(197));
    lines.part("text of 198, a digest", &"t".repeat(198));
    lines.part("text of 70 that is too long when escaped", &"é".repeat(35));
    lines.part("none", &None::<u8>);
    lines.part("some empty text", &Some(""));
    lines.part("some none", &Some(None::<u8>));
    lines.part("unit", &());
    lines.part("unit struct", &Unit);
    lines.part("newtype", &RestaurantId(42));
    lines.part("tuple", &(1, "a"));
    lines.part("tuple struct", &Pair(1, "a"));
    lines.part("list", &vec![1, 2, 3]);
    lines.part("list empty", &Vec::<u8>::new());
    lines.part("lists in a list", &[vec![1], vec![], vec![2, 3]]);
    lines.part("set", &BTreeSet::from(["b", "a"]));
    lines.part("map", &BTreeMap::from([("b", 2), ("a", 1)]));
    lines.part("map of a hash", &HashMap::from([(300, "x"), (1, "y"), (2, "z")]));
    lines.part("map empty", &BTreeMap::<u8, u8>::new());
    lines.part("struct", &Filter { place: "Paris", decade: Some(1900), language: Some("fr") });
    lines.part("struct with a field skipped", &Filter { place: "Paris", decade: None, language: None });
    lines.part("struct without fields", &Empty {});
    lines.part("unit variant", &Order::Newest);
    lines.part("newtype variant", &Order::By("name"));
    lines.part("tuple variant", &Order::Between(1, 2));
    lines.part("struct variant", &Order::Near { latitude: 0.5, longitude: -1.0 });
    lines.part("variant with an odd name", &Order::Odd);
    lines.part("duration", &Duration::from_millis(1500));
    lines.part("address", &IpAddr::V4(Ipv4Addr::LOCALHOST));
    lines.part("result", &Ok::<u8, ()>(1));
    lines.key("no parts", Key::of("menu", ()).unwrap());
    lines.key("one part", Key::of("menu", 42).unwrap());
    lines.key("two parts", Key::of("menu", (42, "en")).unwrap());
    lines.key("two parts, one a tuple", Key::of("menu", (42, ("en", 1))).unwrap());
    lines.key("secret", secret("correct horse"));
    lines.function("a path", "menu::Repo::find", &[], 0);
    lines.function("a generic function", "menu::find", &["u64", "alloc::string::String"], 3);
    lines.function("a generic type", "menu::Repo<alloc::vec::Vec<u8>>::find", &[], 0);
    lines.function("an odd name", "a b:c::d{e}%f(g)", &["(u8, [&str; 2])"], 0);

    golden::check("keys.txt", &lines.0);
}
