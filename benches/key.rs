//! Making a key, hashing it and comparing it with the one in the store, beside the usual ways to make one.
//!
//! `cargo bench --bench key` prints the medians of rounds measured in turns, and their ratios to the key that
//! Larder makes. The usual ways are a `format!` and a JSON text of the arguments, hashed as `HashMap` does
//! it. Larder's key is hashed twice over: as the local tier does it, and as `HashMap` does it.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::hint::black_box;
use std::time::Instant;

use larder::key::{Identity, Key, KeyWriter};
use serde::Serialize;

/// Inputs of each shape, all different.
const INPUTS: u64 = 256;
const CALLS: usize = 20_000;
const ROUNDS: usize = 25;

#[derive(Serialize)]
struct Search {
    place: String,
    decade: u16,
    page: u32,
    is_descending: bool,
}

/// Makes the keys of all inputs, then answers with the nanoseconds it takes to make one of them again, hash
/// it, and find it equal.
fn measure<I, K, H>(inputs: &[I], hasher: &H, make: impl Fn(&I) -> K) -> f64
where
    K: Eq + Hash,
    H: BuildHasher,
{
    let stored: Vec<(u64, K)> = inputs
        .iter()
        .map(|input| {
            let key = make(input);
            (hasher.hash_one(&key), key)
        })
        .collect();
    let start = Instant::now();
    for at in (0..inputs.len()).cycle().take(CALLS) {
        let key = make(black_box(&inputs[at]));
        let (hash, known) = &stored[at];
        assert!(black_box(hasher.hash_one(&key) == *hash && key == *known), "one input, one key");
    }
    start.elapsed().as_nanos() as f64 / CALLS as f64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Measures one shape and prints its line.
fn compare<I>(
    shape: &str,
    make_input: impl Fn(u64) -> I,
    write: impl Fn(&mut KeyWriter, &I),
    format: impl Fn(&I) -> String,
    json: impl Fn(&I) -> String,
) {
    // Spread, so that the numbers among them are long as well as short.
    let inputs: Vec<I> =
        (0..INPUTS).map(|n| make_input(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (n % 48))).collect();
    let identity = Identity::intern("menu", &[], 0);
    let make = |input: &I| -> Key {
        let mut key = KeyWriter::new(identity);
        write(&mut key, input);
        key.finish().unwrap()
    };
    let (local, std) = (foldhash::fast::RandomState::default(), std::hash::RandomState::new());

    let mut samples = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        samples[0].push(measure(&inputs, &local, make));
        samples[1].push(measure(&inputs, &std, make));
        samples[2].push(measure(&inputs, &std, &format));
        samples[3].push(measure(&inputs, &std, &json));
    }

    print!("{shape:24}");
    for other in &samples {
        let ratios = other.iter().zip(&samples[0]).map(|(other, larder)| other / larder).collect();
        print!("  {:7.1} ns {:5.2} x", median(other.clone()), median(ratios));
    }
    println!("  {:>7}", make(&inputs[1]).heap_size());
}

/// `length` letters that `n` decides.
fn text(n: u64, length: usize) -> String {
    format!("{n:016x}-").chars().cycle().take(length).collect()
}

/// One text as the only argument.
fn compare_text(shape: &str, length: usize) {
    compare(
        shape,
        |n| text(n, length),
        |key, text| key.part(text),
        |text| format!("menu:{text}"),
        |text| serde_json::to_string(&("menu", text)).unwrap(),
    );
}

fn main() {
    println!("make + hash + compare, {ROUNDS} rounds of {CALLS} in turns, medians, ratios to the first\n");
    let heads = ["Larder, foldhash", "Larder, std hash", "format!, std hash", "JSON, std hash"];
    print!("{:24}", "");
    heads.iter().for_each(|head| print!("  {head:>18}"));
    println!("  {:>7}", "on heap");

    compare(
        "u64",
        |n| n,
        |key, n| key.part(n),
        |n| format!("menu:{n}"),
        |n| serde_json::to_string(&("menu", n)).unwrap(),
    );
    compare(
        "(u64, &str)",
        |n| (n, ["en", "de", "pt-BR"][n as usize % 3]),
        |key, (n, language)| {
            key.part(n);
            key.part(*language);
        },
        |(n, language)| format!("menu:{n}:{language}"),
        |(n, language)| serde_json::to_string(&("menu", n, language)).unwrap(),
    );
    compare_text("text of 36", 36);
    compare_text("text of 100", 100);
    compare_text("text of 1 KiB (digest)", 1 << 10);
    compare(
        "struct of 4 fields",
        |n| Search {
            place: text(n, 12),
            decade: 1_850 + n as u16 % 170,
            page: n as u32,
            is_descending: n % 2 == 0,
        },
        |key, search| key.part(search),
        |Search { place, decade, page, is_descending }| {
            format!("menu:{place}:{decade}:{page}:{is_descending}")
        },
        |search| serde_json::to_string(&("menu", search)).unwrap(),
    );
    // Sorted first by the usual ways too: as it lies, the text of a map differs from that of its equal.
    let sorted = |map: &HashMap<String, u64>| -> BTreeMap<String, u64> {
        map.iter().map(|(name, value)| (name.clone(), *value)).collect()
    };
    compare(
        "HashMap of 10",
        |n| (0..10).map(|at| (format!("filter{at}"), n.rotate_left(at))).collect::<HashMap<_, _>>(),
        |key, map| key.part(map),
        |map| format!("menu:{:?}", sorted(map)),
        |map| serde_json::to_string(&("menu", sorted(map))).unwrap(),
    );
}
