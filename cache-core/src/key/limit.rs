//! When arguments give way to their digest: where their canonical form, or their text, exceeds
//! [`canonical::LIMIT`].
//!
//! This is decided when a key is made, so that key and text are one to one. Nearly all keys must not pay for it, so what
//! is looked at first is how much a canonical byte can grow. With the separator before it, a value's text has
//! at most so many bytes for each of its own:
//!
//! | bytes | value |
//! |---|---|
//! | 6 | `false`; `some(` and `)` |
//! | 5 | `none`, `true` |
//! | 3.75 | a char: 4 bytes, and up to 12 of text in two quotes |
//! | 3 | `()`, `""`, `-1`, `map<>`; each byte of a text or name, where it is escaped |
//! | less | everything else: integers, floats of up to 24 bytes, digests |
//!
//! The first separator of all is missing. So 33 bytes have 197 of text at most, and more than 33 need many of those
//! four tags before their text is too long.

use super::canonical::{self, LIMIT};
use super::name;
use super::reader::{Malformed, Reader, Token};
use super::text;

/// Up to this many canonical bytes the text is never too long: `6 * 33 - 1 <= 200`.
pub(super) const SAFE: usize = 33;

/// With this many bytes that are none of the four tags, the text of 38 is never too long:
/// `26 * 6 + 12 * 3.75 - 1 <= 200`.
const SAFE_WITH: u64 = 12;

/// Whether the text of inline arguments may be too long. Wrongly yes is rare, wrongly no is never.
///
/// `words` are the first bytes of `length`, which is at most 38.
#[inline(always)]
pub(super) fn is_doubtful(words: &[u64; 4], length: usize) -> bool {
    length > SAFE && count_other(words) < SAFE_WITH
}

/// How many bytes are 8 or more, and so none of the tags that grow most.
fn count_other(words: &[u64; 4]) -> u64 {
    const { assert!(canonical::NONE < 8 && canonical::SOME < 8 && canonical::FALSE < 8 && canonical::TRUE < 8) }
    const BIT_3_TO_6: u64 = u64::from_ne_bytes([0x78; 8]);
    const BIT_7: u64 = u64::from_ne_bytes([0x80; 8]);
    // The sum of bits 3 to 6 and 0x78 has bit 7 exactly if one of them is set, and leaves the next byte alone.
    let other = |word: &u64| ((((word & BIT_3_TO_6) + BIT_3_TO_6) | word) & BIT_7) >> 7;
    let in_each_byte: u64 = words.iter().map(other).sum();
    // The highest byte of this product is the sum of all bytes: 32 at most.
    in_each_byte.wrapping_mul(u64::from_ne_bytes([1; 8])) >> 56
}

/// Whether arguments are replaced by their digest.
pub(super) fn is_exceeded(arguments: &[u8]) -> bool {
    let is_within = |length: Result<usize, Malformed>| length.is_ok_and(|length| length <= LIMIT);
    // The serializer writes nothing that cannot be rendered. If it did, the digest would tell it apart.
    arguments.len() > LIMIT
        || !(is_sparse(arguments) || is_within(bound(arguments)) || is_within(text::length(arguments)))
}

/// Whether so few of the bytes can be one of the four tags that the table alone says that the text is not too long.
fn is_sparse(arguments: &[u8]) -> bool {
    // The first separator is missing.
    const MOST: usize = LIMIT + 1;
    let tags = || arguments.iter().filter(|byte| **byte < 8).count();
    // In quarters: 15 a byte, and 9 more for each of the tags.
    15 * arguments.len() <= 4 * MOST && 15 * arguments.len() + 9 * tags() <= 4 * MOST
}

/// At least as many bytes as the text has, in half the time that it takes to count them.
fn bound(arguments: &[u8]) -> Result<usize, Malformed> {
    let mut reader = Reader::new(arguments);
    let mut bound = 0;
    while !reader.is_at_end() {
        bound += match reader.token()? {
            Token::End => 0,
            Token::Unit | Token::Sequence | Token::Struct => 3,
            Token::None | Token::Bool(true) => 5,
            Token::Some | Token::Bool(false) | Token::Map => 6,
            Token::Char(_) => 15,
            Token::Float(_) => 25,
            Token::Text(text) => 3 + escaped(text),
            Token::Bytes(bytes) => 4 + 2 * bytes.len(),
            Token::FromZero(value) | Token::BelowZero(value) => 3 + digits(value),
            Token::Secret(digest) | Token::Digest(digest) => 9 + 2 * digest.len(),
            Token::UnitVariant(name)
            | Token::NewtypeVariant(name)
            | Token::TupleVariant(name)
            | Token::StructVariant(name) => 4 + escaped(name),
        };
    }
    Ok(bound)
}

/// At least as many digits as `-1 - value` has.
fn digits(value: u128) -> usize {
    let bits = u128::BITS - value.leading_zeros();
    // A digit takes more than three bits; `-1 - value` can have one bit more.
    1 + bits as usize / 3
}

/// At least as many bytes as `text` takes, be it the name of a field or a value.
fn escaped(text: &str) -> usize {
    // Not a count of `usize`: bytes are counted 16 at a time.
    let others =
        |bytes: &[u8]| bytes.iter().fold(0_u8, |count, byte| count + u8::from(!name::is_word(*byte)));
    let others: usize = text.as_bytes().chunks(255).map(|bytes| usize::from(others(bytes))).sum();
    text.len() + 2 * others
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Serialize, Serializer};

    use super::super::{Identity, KeyWriter};

    /// The values whose text grows most, of a canonical byte or four, and some that grow less.
    #[derive(Debug, Clone)]
    enum Dense {
        Bool(bool),
        None,
        Some(Box<Dense>),
        Char,
        Unit,
        Text(usize),
        Number(i16),
        List(Vec<Dense>),
    }

    impl Serialize for Dense {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Bool(value) => value.serialize(serializer),
                Self::None => serializer.serialize_none(),
                Self::Some(value) => serializer.serialize_some(value),
                Self::Char => '\u{10000}'.serialize(serializer),
                Self::Unit => ().serialize(serializer),
                Self::Text(length) => "\0".repeat(*length).serialize(serializer),
                Self::Number(value) => value.serialize(serializer),
                Self::List(values) => values.serialize(serializer),
            }
        }
    }

    fn dense() -> impl Strategy<Value = Dense> {
        let leaf = prop_oneof![
            9 => any::<bool>().prop_map(Dense::Bool),
            3 => Just(Dense::None),
            1 => Just(Dense::Char),
            1 => Just(Dense::Unit),
            1 => (0..20_usize).prop_map(Dense::Text),
            1 => any::<i16>().prop_map(Dense::Number),
        ];
        leaf.prop_recursive(3, 20, 10, |inner| {
            prop_oneof![
                2 => inner.clone().prop_map(|value| Dense::Some(value.into())),
                1 => proptest::collection::vec(inner, 0..10).prop_map(Dense::List),
            ]
        })
    }

    #[test]
    fn the_bound_is_not_below_the_number_of_digits() {
        for value in (0..=128_u32).flat_map(|bits| {
            let power = 1_u128.checked_shl(bits).unwrap_or(u128::MAX);
            [power - 1, power, power | power.wrapping_sub(1)]
        }) {
            assert!(super::digits(value) >= value.to_string().len(), "{value}");
            assert!(super::digits(value) >= value.saturating_add(1).to_string().len(), "{value}");
        }
    }

    /// Whether a lookup takes the bytes as they lie, which must be the key then, and the length of its text.
    fn looked_up(writer: &KeyWriter) -> (bool, usize) {
        let key = writer.clone().finish().unwrap();
        let view = writer.view();
        assert!(view.is_none_or(|view| view == key.view()), "{key}");
        (view.is_some(), key.to_string().len() - "limit:v0:".len())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_lookup_sees_the_key_or_none_and_no_text_is_too_long(parts in proptest::collection::vec(dense(), 1..42)) {
            let mut writer = KeyWriter::new(Identity::intern("limit", &[], 0));
            parts.iter().for_each(|part| writer.part(part));

            let (_, text_length) = looked_up(&writer);

            prop_assert!(text_length <= 200, "{:?}", parts);
        }
    }

    #[test]
    fn no_mixture_of_what_grows_most_is_looked_up_as_it_lies_when_its_text_is_too_long() {
        let mut count = 0;
        for (chars, text) in (0..=9).flat_map(|chars| (0..=20).map(move |text| (chars, text))) {
            let used = 4 * chars + 1 + text;
            for switches in 0..=38_usize.saturating_sub(used) {
                let mut writer = KeyWriter::new(Identity::intern("limit", &[], 0));
                (0..chars).for_each(|_| writer.part(&'\u{FFFFF}'));
                writer.part(&"\u{7F}".repeat(text));
                (0..switches).for_each(|_| writer.part(&false));

                let (is_looked_up, text_length) = looked_up(&writer);

                assert!(text_length <= 200, "{chars} chars, text of {text}, {switches} switches");
                count += usize::from(!is_looked_up);
            }
        }
        assert!(count > 10);
    }

    #[test]
    fn the_usual_keys_are_looked_up_where_they_lie() {
        for text in ["", "67e55044-10b1-426f-9247-bb680e5fe0c8", &"é".repeat(18), &"\n".repeat(36)] {
            let mut writer = KeyWriter::new(Identity::intern("limit", &[], 0));
            writer.part(text);
            assert!(writer.view().is_some(), "{text:?}");
        }
        for count in 0..=36 {
            let mut writer = KeyWriter::new(Identity::intern("limit", &[], 0));
            writer.part(&vec![0; count]);
            assert!(writer.view().is_some(), "{count} zeros");
        }
    }
}
