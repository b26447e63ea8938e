//! Names in the text of a key: what is safe stays, the rest is percent-escaped.

use super::escape::escape;

/// Whether a byte stays as it is in the name of a field or a variant: letters, digits, `_` and `-`.
pub(super) fn is_word(byte: u8) -> bool {
    // No `||`: without jumps many bytes are looked at in one step.
    byte.is_ascii_alphanumeric() | (byte == b'_') | (byte == b'-')
}

/// Whether a byte stays as it is in the path of a function or a type, beside `::` as a pair.
fn is_path(byte: u8) -> bool {
    is_word(byte) || b"./<>,&'+".contains(&byte)
}

/// Writes a path, each byte outside the alphabet as `%XX`. Injective: `%` is never in the alphabet, and colons stay in
/// pairs only, counted from the left, so the single colon behind a path always ends it.
pub(super) fn write_path(path: &str, out: &mut String) {
    let mut bytes = path.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        match (first, rest) {
            (b':', [b':', after @ ..]) => {
                out.push_str("::");
                bytes = after;
            }
            (safe, _) if is_path(*safe) => out.push(char::from(*safe)),
            (other, _) => out.extend(escape(*other)),
        }
    }
}
