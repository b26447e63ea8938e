//! The text of a key: what Redis, logs and tools see. This is a format: `tests/golden/keys.txt` pins it.
//!
//! ```text
//! key       = name [ "(" type *( ";" type ) ")" ] ":v" version ( *( ":" value ) / ":#" 64hex )
//! value     = "()" / "none" / "some(" value ")" / "true" / "false" / integer / float
//!           / "'" char "'" / DQUOTE text DQUOTE / "x" DQUOTE hex DQUOTE
//!           / "[" [ value *( "," value ) ] "]"                        sequence, tuple
//!           / "map<" [ value "=" value *( "," value "=" value ) ] ">"
//!           / "<" [ field "=" value *( "," field "=" value ) ] ">"    struct
//!           / "." variant [ "(" value ")" / "[" .. "]" / "<" .. ">" ] payload of the variant
//!           / "secret(" 64hex ")"
//! ```
//!
//! A float always has a point, an exponent or a word (`1.0`, `1e300`, `inf`, `NaN`), an integer never. In texts and
//! chars a byte stays as it is if it is printable ASCII and none of `" ' % : { } \` or the space; every other byte
//! of the UTF-8 is `%XX`. In names and types the alphabet is smaller ([`name`](super::name)). So no text of a
//! key has braces, whitespace or control characters, `:` separates parts only (beside `::` in the name), and a
//! parser that looks one byte ahead can take it apart: it is injective.
//!
//! Where the values of all parts with the colons between them take more than 200 bytes, or their canonical
//! form does, `#` and the digest of the canonical form stand for them: in the key as well as in its text
//! ([`limit`](super::limit)), so that the text can be read back ([`parser`](super::parser)).

use super::Identity;
use super::arguments::Arguments;
use super::canonical;
use super::name;
use super::reader::{Malformed, Reader, Token};
use super::sink::{Length, Sink, StackText};

/// The text of a key.
// All of it at once: a formatter takes as long for a char as for a text.
pub(super) fn of_key(identity: Identity, arguments: &Arguments) -> String {
    arguments.with_bytes(|bytes| {
        let mut text = String::with_capacity(identity.text().len() + 1 + ROOM.max(2 * bytes.len()));
        if put_key(identity, bytes, &mut text).is_err() {
            // Cannot happen to what the serializer wrote; if it did, the digest would still tell keys apart.
            text.clear();
            text.put(identity.text());
            text.put(":");
            put_digest(blake3::hash(bytes).as_bytes(), &mut text);
        }
        text
    })
}

/// Shows the text of a key, without the heap if it is short.
pub(super) fn with_key<R>(identity: Identity, arguments: &Arguments, show: impl FnOnce(&str) -> R) -> R {
    let mut short = StackText::new();
    let is_put = arguments.with_bytes(|bytes| put_key(identity, bytes, &mut short)).is_ok();
    match short.text().filter(|_| is_put) {
        Some(text) => show(text),
        None => show(&of_key(identity, arguments)),
    }
}

fn put_key(identity: Identity, arguments: &[u8], out: &mut impl Sink) -> Result<(), Malformed> {
    out.put(identity.text());
    if arguments.is_empty() {
        return Ok(());
    }
    out.put(":");
    write(arguments, out)
}

/// Enough for the text of most arguments.
const ROOM: usize = 24;

/// Renders canonical arguments as text: the part of a key's text behind the version.
///
/// Strict: bytes that are not those of a key are refused, so that equal texts come from equal bytes. For
/// tools and fuzzers; a [`Key`](super::Key) renders itself.
///
/// ```
/// use cache_core::key::{Key, render};
/// let key = Key::of("menu", (42, "a b"))?;
/// assert_eq!(render(&key.arguments())?, r#"42:"a%20b""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// What is wrong with the bytes.
pub fn render(arguments: &[u8]) -> Result<String, Malformed> {
    let mut text = String::new();
    if arguments.len() <= canonical::LIMIT {
        write(arguments, &mut text)?;
        if text.len() <= canonical::LIMIT {
            return Ok(text);
        }
    }
    // A key has the digest of these.
    Err(Malformed::NotCanonical)
}

/// The bytes that the text of arguments has, be they too many.
pub(super) fn length(arguments: &[u8]) -> Result<usize, Malformed> {
    let mut length = Length::default();
    write(arguments, &mut length)?;
    Ok(length.0)
}

/// Writes the text of arguments, or of their digest.
pub(super) fn write<S: Sink>(arguments: &[u8], out: &mut S) -> Result<(), Malformed> {
    if let Some(digest) = arguments.strip_prefix(&[canonical::DIGEST]) {
        if digest.len() != canonical::DIGEST_LENGTH {
            return Err(Malformed::NotCanonical);
        }
        put_digest(digest, out);
        return Ok(());
    }
    Renderer { reader: Reader::new(arguments), out }.arguments()
}

fn put_digest(digest: &[u8], out: &mut impl Sink) {
    out.put("#");
    out.put_hex(digest);
}

struct Renderer<'a, 's, S> {
    reader: Reader<'a>,
    out: &'s mut S,
}

impl<'a, S: Sink> Renderer<'a, '_, S> {
    fn arguments(&mut self) -> Result<(), Malformed> {
        let mut separator = "";
        while !self.reader.is_at_end() {
            self.out.put(separator);
            separator = ":";
            let token = self.reader.token()?;
            self.value(token, 0)?;
        }
        Ok(())
    }

    fn value(&mut self, token: Token<'a>, depth: usize) -> Result<(), Malformed> {
        if depth > canonical::DEPTH {
            return Err(Malformed::TooDeep);
        }
        match token {
            Token::Unit => self.out.put("()"),
            Token::None => self.out.put("none"),
            Token::Some => {
                self.out.put("some(");
                self.next(depth + 1)?;
                self.out.put(")");
            }
            Token::Bool(value) => self.out.put(if value { "true" } else { "false" }),
            Token::Char(value) => self.quoted("'", value.encode_utf8(&mut [0; 4])),
            Token::Float(value) => self.out.put_formatted(format_args!("{value:?}")),
            Token::Text(value) => self.quoted("\"", value),
            Token::Bytes(value) => self.hex("x\"", value, "\""),
            Token::FromZero(value) => self.integer_from_zero(value),
            Token::BelowZero(value) => self.integer_below_zero(value)?,
            Token::Secret(digest) if depth == 0 => self.hex("secret(", digest, ")"),
            Token::Sequence => self.values(depth + 1)?,
            Token::Map => self.map(depth + 1)?,
            Token::Struct => self.fields(depth + 1)?,
            Token::UnitVariant(variant) => self.variant(variant),
            Token::NewtypeVariant(variant) => {
                self.variant(variant);
                self.out.put("(");
                self.next(depth + 1)?;
                self.out.put(")");
            }
            Token::TupleVariant(variant) => {
                self.variant(variant);
                self.values(depth + 1)?;
            }
            Token::StructVariant(variant) => {
                self.variant(variant);
                self.fields(depth + 1)?;
            }
            // A digest stands alone, a secret is a whole part, an end belongs to what it ends.
            Token::Digest(_) | Token::Secret(_) | Token::End => return Err(Malformed::NotCanonical),
        }
        Ok(())
    }

    fn integer_from_zero(&mut self, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.out.put_integer(value),
            Err(_) => self.out.put_formatted(format_args!("{value}")),
        }
    }

    /// Writes `-1 - value`.
    fn integer_below_zero(&mut self, value: u128) -> Result<(), Malformed> {
        match u64::try_from(value).ok().and_then(|value| value.checked_add(1)) {
            Some(value) => {
                self.out.put("-");
                self.out.put_integer(value);
            }
            None => {
                // Less than the least `i128`: nothing writes that.
                let value = i128::try_from(value).map_err(|_| Malformed::NotCanonical)?;
                self.out.put_formatted(format_args!("{}", !value));
            }
        }
        Ok(())
    }

    fn next(&mut self, depth: usize) -> Result<(), Malformed> {
        let token = self.reader.token()?;
        self.value(token, depth)
    }

    fn variant(&mut self, variant: &str) {
        self.out.put(".");
        self.out.put_escaped(variant, name::is_word);
    }

    fn values(&mut self, depth: usize) -> Result<(), Malformed> {
        self.out.put("[");
        let mut separator = "";
        loop {
            match self.reader.token()? {
                Token::End => break,
                token => {
                    self.out.put(separator);
                    self.value(token, depth)?;
                }
            }
            separator = ",";
        }
        self.out.put("]");
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Result<(), Malformed> {
        self.out.put("map<");
        let mut before: Option<&[u8]> = None;
        loop {
            let start = self.reader.rest();
            let token = self.reader.token()?;
            if token == Token::End {
                break;
            }
            self.out.put(if before.is_some() { "," } else { "" });
            self.value(token, depth)?;
            let key = &start[..start.len() - self.reader.rest().len()];
            if before.is_some_and(|before| before > key) {
                return Err(Malformed::NotCanonical);
            }
            before = Some(key);
            self.out.put("=");
            self.next(depth)?;
        }
        self.out.put(">");
        Ok(())
    }

    fn fields(&mut self, depth: usize) -> Result<(), Malformed> {
        self.out.put("<");
        let mut separator = "";
        while let Some(field) = self.reader.field()? {
            self.out.put(separator);
            self.out.put_escaped(field, name::is_word);
            self.out.put("=");
            self.next(depth)?;
            separator = ",";
        }
        self.out.put(">");
        Ok(())
    }

    fn quoted(&mut self, quote: &str, text: &str) {
        self.out.put(quote);
        self.out.put_escaped(text, is_literal);
        self.out.put(quote);
    }

    fn hex(&mut self, open: &str, bytes: &[u8], close: &str) {
        self.out.put(open);
        self.out.put_hex(bytes);
        self.out.put(close);
    }
}

/// Which bytes of a text stay as they are.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'%' | b':' | b'{' | b'}' | b'\\')
}

#[cfg(test)]
mod tests {
    use crate::key::Key;

    #[test]
    fn a_text_on_the_stack_is_the_one_on_the_heap_however_long() {
        for length in 0..250 {
            for argument in ["a", "\u{e9}"] {
                let key = Key::of("menu", argument.repeat(length)).unwrap();

                assert_eq!(key.with_text(str::to_owned), key.to_string());
            }
        }
        let none = Key::of("menu", ()).unwrap();
        assert_eq!(none.with_text(str::to_owned), none.to_string());
    }
}
