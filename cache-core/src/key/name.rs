//! Names in the text of a key: what is safe stays, the rest is percent-escaped.

use std::fmt;

/// Which bytes of a name stay as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Paths of functions and types: letters, digits and `_ - . / < > , & ' +`, and `::` as a pair.
    Path,
    /// Fields and variants: letters, digits, `_` and `-`.
    Word,
}

/// Writes `name`, each byte outside the alphabet as `%XX`. Injective: `%` is never in the alphabet, and colons stay in
/// pairs only, counted from the left, so the single colon behind a name always ends it.
pub(super) fn write(name: &str, alphabet: Alphabet, f: &mut impl fmt::Write) -> fmt::Result {
    let mut bytes = name.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        match (alphabet, first, rest) {
            (Alphabet::Path, b':', [b':', after @ ..]) => {
                f.write_str("::")?;
                bytes = after;
            }
            (_, safe, _) if is_safe(*safe, alphabet) => f.write_char(char::from(*safe))?,
            (_, other, _) => escape(*other, f)?,
        }
    }
    Ok(())
}

/// Writes one byte as `%XX`.
pub(super) fn escape(byte: u8, f: &mut impl fmt::Write) -> fmt::Result {
    write!(f, "%{byte:02X}")
}

fn is_safe(byte: u8, alphabet: Alphabet) -> bool {
    byte.is_ascii_alphanumeric()
        || byte == b'_'
        || byte == b'-'
        || (alphabet == Alphabet::Path && b"./<>,&'+".contains(&byte))
}
