//! Reads the text of a key back: the grammar is in [`text`].
//!
//! Lenient, and then strict: what is taken apart here is rendered again, and must give the text that was read. So
//! leading zeros, maps out of order, escapes of what needs none and arguments that should be a digest are
//! refused, without a rule for each.

use std::borrow::Cow;
use std::fmt;

use serde::Serializer;

use super::Identity;
use super::arguments::Arguments;
use super::buffer::Buffer;
use super::canonical;
use super::escape::{self, unescape};
use super::identity;
use super::name;
use super::serializer::{Canonical, write_text};
use super::sink::Beside;
use super::text;

/// Why a text is not that of a key: from some byte on, it is not what a key's text has there.
///
/// ```
/// use cache_core::key::Key;
/// let malformed = Key::parse("menu:v2:042").unwrap_err();
/// assert_eq!(malformed.position(), 8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedText {
    position: usize,
}

impl MalformedText {
    /// The byte, counted from 0, up to which the text could be understood.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for MalformedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not read a key from its text: a key has something else at byte {}", self.position)
    }
}

impl std::error::Error for MalformedText {}

/// Takes the text of a key apart: the function, if this process knows it, and the arguments.
pub(super) fn parse(text: &str) -> Result<(Option<Identity>, Arguments), MalformedText> {
    let end = end_of_identity(text).ok_or(MalformedText { position: 0 })?;
    let (function, rest) = text.split_at(end);
    let identity = Identity::find(function);
    if identity.is_none() && !identity::is_text(function) {
        return Err(MalformedText { position: 0 });
    }
    let arguments = if rest.is_empty() {
        Arguments::from_buffer(Buffer::new())
    } else {
        // Behind the colon.
        parse_arguments(&rest[1..])
            .map_err(|malformed| MalformedText { position: end + 1 + malformed.position })?
    };
    Ok((identity, arguments))
}

/// Where name, types and version end: at the second colon that stands alone, or at the end of the text.
fn end_of_identity(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let colon_from = |at: usize| Some(at + bytes.get(at..)?.iter().position(|byte| *byte == b':')?);
    let mut at = colon_from(0)?;
    while bytes.get(at + 1) == Some(&b':') {
        at = colon_from(at + 2)?;
    }
    Some(colon_from(at + 1).unwrap_or(text.len()))
}

fn parse_arguments(text: &str) -> Result<Arguments, MalformedText> {
    // Also a bound for all that follows.
    if text.len() > canonical::LIMIT {
        return Err(MalformedText { position: canonical::LIMIT });
    }
    let mut parser = Parser { rest: text, out: Buffer::new() };
    if parser.arguments().is_none() {
        return Err(MalformedText { position: text.len() - parser.rest.len() });
    }
    let arguments = Arguments::from_buffer(parser.out);
    let mut again = Beside::new(text);
    let rendered = arguments.with_bytes(|bytes| text::write(bytes, &mut again));
    match (rendered, again.difference()) {
        (Ok(()), None) => Ok(arguments),
        (_, difference) => Err(MalformedText { position: text.len() - difference.unwrap_or(0) }),
    }
}

/// Reads text from `rest`, and writes the canonical form.
///
/// A method that answers `None` has met what it does not understand, at the beginning of `rest`.
struct Parser<'t> {
    rest: &'t str,
    out: Buffer,
}

impl<'t> Parser<'t> {
    fn arguments(&mut self) -> Option<()> {
        if self.accept("#") {
            let digest = self.hex("")?;
            return self.digest(canonical::DIGEST, &digest);
        }
        self.part()?;
        while !self.rest.is_empty() {
            self.expect(":")?;
            self.part()?;
        }
        Some(())
    }

    fn part(&mut self) -> Option<()> {
        if self.accept("secret(") {
            let digest = self.hex(")")?;
            return self.digest(canonical::SECRET, &digest);
        }
        self.value(0)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > canonical::DEPTH {
            return None;
        }
        match self.rest.as_bytes().first()? {
            b'0'..=b'9' | b'-' | b'i' | b'N' => self.number(),
            b'"' => {
                let text = self.quoted("\"")?;
                write_text(&mut self.out, &text);
                Some(())
            }
            b'\'' => self.char(),
            b'x' => {
                self.expect("x\"")?;
                let bytes = self.hex("\"")?;
                self.leaf().serialize_bytes(&bytes).ok()
            }
            b'(' => self.word("()", canonical::UNIT),
            b'n' => self.word("none", canonical::NONE),
            b'f' => self.word("false", canonical::FALSE),
            b't' => self.word("true", canonical::TRUE),
            b's' => {
                self.word("some(", canonical::SOME)?;
                self.value(depth + 1)?;
                self.expect(")")
            }
            b'[' => {
                self.word("[", canonical::SEQUENCE)?;
                self.values(depth + 1)
            }
            b'm' => {
                self.word("map<", canonical::MAP)?;
                self.items(">", |parser| {
                    parser.value(depth + 1)?;
                    parser.expect("=")?;
                    parser.value(depth + 1)
                })
            }
            b'<' => {
                self.word("<", canonical::STRUCT)?;
                self.fields(depth + 1)
            }
            b'.' => self.variant(depth),
            _ => None,
        }
    }

    fn variant(&mut self, depth: usize) -> Option<()> {
        self.expect(".")?;
        let name = self.name()?;
        let begin = |parser: &mut Self, open: &str, tag: u8| {
            let is_this = parser.accept(open);
            if is_this {
                parser.out.push(tag);
                write_text(&mut parser.out, &name);
            }
            is_this
        };
        if begin(self, "(", canonical::NEWTYPE_VARIANT) {
            self.value(depth + 1)?;
            self.expect(")")
        } else if begin(self, "[", canonical::TUPLE_VARIANT) {
            self.values(depth + 1)
        } else if begin(self, "<", canonical::STRUCT_VARIANT) {
            self.fields(depth + 1)
        } else {
            begin(self, "", canonical::UNIT_VARIANT).then_some(())
        }
    }

    fn values(&mut self, depth: usize) -> Option<()> {
        self.items("]", |parser| parser.value(depth))
    }

    fn fields(&mut self, depth: usize) -> Option<()> {
        self.items(">", |parser| {
            let name = parser.name()?;
            write_text(&mut parser.out, &name);
            parser.expect("=")?;
            parser.value(depth)
        })
    }

    /// Items with commas between them, up to `close`.
    fn items(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if !self.accept(close) {
            item(self)?;
            while !self.accept(close) {
                self.expect(",")?;
                item(self)?;
            }
        }
        self.out.push(canonical::END);
        Some(())
    }

    /// An integer, or what must be a float.
    fn number(&mut self) -> Option<()> {
        let is_in_number = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let (number, rest) = self.split_where(|byte| !is_in_number(byte));
        let leaf = self.leaf();
        let written = if let Ok(integer) = number.parse() {
            leaf.serialize_u64(integer)
        } else if let Ok(integer) = number.parse() {
            leaf.serialize_i64(integer)
        } else if let Ok(integer) = number.parse() {
            leaf.serialize_u128(integer)
        } else if let Ok(integer) = number.parse() {
            leaf.serialize_i128(integer)
        } else {
            leaf.serialize_f64(number.parse().ok()?)
        };
        self.rest = rest;
        written.ok()
    }

    fn char(&mut self) -> Option<()> {
        let before = self.rest;
        let text = self.quoted("'")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => self.leaf().serialize_char(char).ok(),
            _ => {
                self.rest = before;
                None
            }
        }
    }

    fn quoted(&mut self, quote: &str) -> Option<Cow<'t, str>> {
        let inner = self.rest.strip_prefix(quote)?;
        let (text, rest) = inner.split_once(quote)?;
        let text = unescape(text)?;
        self.rest = rest;
        Some(text)
    }

    /// The name of a field or a variant.
    fn name(&mut self) -> Option<Cow<'t, str>> {
        let (name, rest) = self.split_where(|byte| !name::is_word(byte) && byte != b'%');
        let name = unescape(name)?;
        self.rest = rest;
        Some(name)
    }

    /// Bytes in hexadecimal, up to `close`, or to the end of the text if that is empty.
    fn hex(&mut self, close: &str) -> Option<Vec<u8>> {
        let (digits, rest) = self.split_where(|byte| !byte.is_ascii_hexdigit());
        let (pairs, []) = digits.as_bytes().as_chunks() else { return None };
        let rest = rest.strip_prefix(close)?;
        let bytes = pairs.iter().map(|[high, low]| escape::byte(*high, *low)).collect::<Option<_>>()?;
        self.rest = rest;
        Some(bytes)
    }

    /// Writes a digest, if it is one, and all there is if it has to stand alone.
    fn digest(&mut self, tag: u8, digest: &[u8]) -> Option<()> {
        let is_whole = digest.len() == canonical::DIGEST_LENGTH;
        if !is_whole || (tag == canonical::DIGEST && !self.rest.is_empty()) {
            return None;
        }
        self.out.push(tag);
        self.out.extend(digest);
        Some(())
    }

    /// A serializer for a value that holds no others.
    fn leaf(&mut self) -> Canonical<'_> {
        Canonical::new(&mut self.out)
    }

    fn word(&mut self, word: &str, tag: u8) -> Option<()> {
        self.expect(word)?;
        self.out.push(tag);
        Some(())
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn accept(&mut self, text: &str) -> bool {
        self.expect(text).is_some()
    }

    /// What lies before the first byte that `is_end`, and the rest. `is_end` says no to ASCII only.
    fn split_where(&self, is_end: impl Fn(u8) -> bool) -> (&'t str, &'t str) {
        let at = self.rest.bytes().position(is_end).unwrap_or(self.rest.len());
        self.rest.split_at(at)
    }
}
