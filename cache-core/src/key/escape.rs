//! Bytes as `%XX`, and back.

use std::borrow::Cow;

/// The digit for the four bits of each index.
const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The escape of one byte.
pub(super) fn escape(byte: u8) -> [char; 3] {
    let digit = |bits: u8| char::from(DIGITS[usize::from(bits & 0xF)]);
    ['%', digit(byte >> 4), digit(byte)]
}

/// Undoes what escapes a text; `None` where a `%` has no two digits behind it, or the bytes are not UTF-8.
///
/// Takes digits of either case, and escapes of what need not be escaped: the caller compares with the text that there
/// should be.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(byte(*high, *low)?);
                after
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The byte that two hexadecimal digits of either case are.
pub(super) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|bits| bits as u8);
    Some(digit(high)? << 4 | digit(low)?)
}
