//! Bytes as `%XX`.

/// The digit for the four bits of each index.
const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The escape of one byte.
pub(super) fn escape(byte: u8) -> [char; 3] {
    let digit = |bits: u8| char::from(DIGITS[usize::from(bits & 0xF)]);
    ['%', digit(byte >> 4), digit(byte)]
}
