//! Where the text of arguments goes: into a text, into a count of its bytes, or beside a text that it should equal.

use std::fmt::{self, Write};

use super::escape::escape;

/// Takes text, piece by piece, and never fails.
///
/// Integers and escapes come here without passing through `std::fmt`, which takes as long as all the rest.
pub(super) trait Sink: Sized {
    fn put(&mut self, text: &str);

    /// One char, which is ASCII.
    fn put_char(&mut self, char: char);

    /// Text, with `%XX` for each byte of which `stays` says no. `stays` says yes to ASCII only.
    fn put_escaped(&mut self, text: &str, stays: impl Fn(u8) -> bool) {
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            if !stays(byte) {
                // Where bytes follow each other that do not stay, the text between them is empty, and within a char.
                if start < at {
                    self.put(text.get(start..at).unwrap_or_default());
                }
                escape(byte).into_iter().for_each(|char| self.put_char(char));
                start = at + 1;
            }
        }
        self.put(text.get(start..).unwrap_or_default());
    }

    fn put_hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [_, high, low] = escape(*byte);
            self.put_char(high.to_ascii_lowercase());
            self.put_char(low.to_ascii_lowercase());
        }
    }

    fn put_integer(&mut self, mut value: u64) {
        // As many digits as the largest has, lowest first.
        let mut digits = ['0'; 20];
        let mut count = 0;
        for digit in &mut digits {
            *digit = char::from(b'0' + (value % 10) as u8);
            value /= 10;
            count += 1;
            if value == 0 {
                break;
            }
        }
        digits[..count].iter().rev().for_each(|digit| self.put_char(*digit));
    }

    fn put_formatted(&mut self, text: fmt::Arguments<'_>) {
        // A sink never fails.
        let _ = Formatted(self).write_fmt(text);
    }
}

struct Formatted<'s, S>(&'s mut S);

impl<S: Sink> Write for Formatted<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text);
        Ok(())
    }
}

impl Sink for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }

    fn put_char(&mut self, char: char) {
        self.push(char);
    }
}

/// How many bytes the text has.
#[derive(Default)]
pub(super) struct Length(pub(super) usize);

impl Sink for Length {
    fn put(&mut self, text: &str) {
        self.0 += text.len();
    }

    fn put_char(&mut self, _: char) {
        self.0 += 1;
    }

    fn put_escaped(&mut self, text: &str, stays: impl Fn(u8) -> bool) {
        let escaped = text.bytes().filter(|byte| !stays(*byte)).count();
        self.0 += text.len() + 2 * escaped;
    }

    fn put_hex(&mut self, bytes: &[u8]) {
        self.0 += 2 * bytes.len();
    }
}

/// What is left of another text that this one should equal.
pub(super) struct Beside<'t> {
    rest: &'t [u8],
    is_same: bool,
}

impl<'t> Beside<'t> {
    pub(super) fn new(other: &'t str) -> Self {
        Self { rest: other.as_bytes(), is_same: true }
    }

    /// How many bytes at the end of the other text differ, from the first piece on that does; `None` if both are equal.
    pub(super) fn difference(&self) -> Option<usize> {
        (!self.is_same || !self.rest.is_empty()).then_some(self.rest.len())
    }

    fn go_on_if(&mut self, rest: Option<&'t [u8]>) {
        match rest {
            Some(rest) if self.is_same => self.rest = rest,
            _ => self.is_same = false,
        }
    }
}

impl Sink for Beside<'_> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.go_on_if(self.rest.strip_prefix(text.as_bytes()));
    }

    #[inline]
    fn put_char(&mut self, char: char) {
        let rest =
            self.rest.split_first().and_then(|(first, rest)| (char::from(*first) == char).then_some(rest));
        self.go_on_if(rest);
    }
}

/// A text on the stack, as far as it fits there.
pub(super) struct StackText {
    bytes: [u8; 128],
    /// `None` if it does not.
    length: Option<usize>,
}

impl StackText {
    pub(super) fn new() -> Self {
        Self { bytes: [0; 128], length: Some(0) }
    }

    /// All of it, if it fits.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes[..self.length?]).ok()
    }

    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.length = self.length.and_then(|start| {
            let end = start + bytes.len();
            self.bytes.get_mut(start..end)?.copy_from_slice(bytes);
            Some(end)
        });
    }
}

impl Sink for StackText {
    #[inline]
    fn put(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    #[inline]
    fn put_char(&mut self, char: char) {
        self.put_bytes(&[char as u8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_on_the_stack_up_to_its_end() {
        for length in [0, 1, 127, 128, 129, 300] {
            let (mut whole, mut by_chars) = (StackText::new(), StackText::new());
            let text = "a".repeat(length);

            whole.put(&text);
            text.chars().for_each(|char| by_chars.put_char(char));

            let fits = (length <= 128).then_some(&*text);
            assert_eq!((whole.text(), by_chars.text()), (fits, fits));
        }
    }
}
