//! Runs the entry points of the fuzzers on inputs that are the same in every run: golden ones, and changes of them.

#[path = "../../fuzz/entry_points.rs"]
mod entry_points;

use std::collections::BTreeMap;

use cache_core::codec::{Bincode, Codec};
use entry_points::Shape;

/// The bytes in a golden file: the lines that are hexadecimal and nothing else.
fn golden(text: &str) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = |line: &str| line.trim().as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
    text.lines().filter(|line| line.starts_with("    ")).filter_map(bytes).collect()
}

/// Xorshift: numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// The bytes of values in the default codec.
fn values() -> Vec<Vec<u8>> {
    let text = |text: &str| Shape::Text(text.to_owned());
    let deep = (0..40).fold(Shape::Nothing, |inner, n| match n % 3 {
        0 => Shape::Maybe(Some(Box::new(inner))),
        1 => Shape::List(vec![inner]),
        _ => Shape::Named { inner: Box::new(inner), rest: (true, 'é') },
    });
    let map =
        BTreeMap::from([("soup".to_owned(), Shape::Number(-350)), ("bread".to_owned(), Shape::Maybe(None))]);
    let shapes = [
        Shape::Nothing,
        text("Café de Paris"),
        Shape::List(vec![text("soup"), Shape::Number(1 << 40), Shape::Nothing]),
        Shape::Map(map),
        Shape::Empty(vec![(); 300]),
        deep,
    ];
    let encoded = |shape: &Shape| {
        let mut bytes = Vec::new();
        Bincode.encode(shape, &mut bytes).map(|()| bytes).ok()
    };
    shapes.iter().filter_map(encoded).collect()
}

/// Runs `target` on `seeds` and on changes of them: how many were accepted, and how many refused.
fn run(seeds: &[Vec<u8>], target: fn(&[u8]) -> bool) -> (usize, usize) {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut accepted, mut refused) = (0, 0);
    for seed in seeds {
        assert!(target(seed), "a golden one is refused: {seed:02x?}");
        for _ in 0..2_000 {
            let mut bytes = seed.clone();
            for _ in 0..=numbers.below(3) {
                let at = numbers.below(bytes.len() + 1);
                match numbers.below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, numbers.below(256) as u8),
                    _ if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
                    _ => {}
                }
            }
            *(if target(&bytes) { &mut accepted } else { &mut refused }) += 1;
        }
    }
    (accepted, refused)
}

#[test]
fn the_frame_target_holds_on_changed_golden_frames() {
    let seeds = golden(include_str!("golden/frames.txt"));

    let (accepted, refused) = run(&seeds, entry_points::frame);

    // Both ways are taken, or the changes test nothing.
    assert!(seeds.len() >= 10 && accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}

#[test]
fn the_key_target_holds_on_changed_golden_keys() {
    let seeds = golden(include_str!("golden/keys.txt"));

    let (accepted, refused) = run(&seeds, entry_points::key);

    assert!(seeds.len() >= 60 && accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}

#[test]
fn the_key_text_target_holds_on_changed_golden_texts() {
    let lines = include_str!("golden/keys.txt").lines().skip(2).step_by(3);
    let seeds: Vec<Vec<u8>> = lines.map(|line| line.trim().as_bytes().to_vec()).collect();

    let (accepted, refused) = run(&seeds, entry_points::key_text);

    assert!(seeds.len() >= 60 && accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}

#[test]
fn the_value_target_holds_on_changed_values() {
    let seeds = values();

    let (accepted, refused) = run(&seeds, entry_points::value);

    assert!(seeds.len() == 6 && accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}
