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
//! form does, `#` and the digest of the canonical form stand for them.

use std::fmt::{self, Write};

use super::Identity;
use super::canonical;
use super::name::{self, Alphabet};
use super::reader::{Malformed, Reader, Token};

/// Writes the text of a key. `arguments` come from the serializer, so they are well-formed.
pub(super) fn write_key(identity: Identity, arguments: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{identity}")?;
    if arguments.is_empty() {
        return Ok(());
    }
    f.write_char(':')?;
    match render(arguments) {
        Ok(text) => f.write_str(&text),
        // Cannot happen to what the serializer wrote; if it did, the digest would still tell keys apart.
        Err(_) => f.write_str(&digest_text(blake3::hash(arguments).as_bytes())),
    }
}

/// Renders canonical arguments as text: the part of a key's text behind the version.
///
/// Strict: bytes that the serializer cannot have written are refused, so that equal texts come from equal bytes. For
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
    if let Some(digest) = arguments.strip_prefix(&[canonical::DIGEST]) {
        let is_whole = digest.len() == canonical::DIGEST_LENGTH;
        return if is_whole { Ok(digest_text(digest)) } else { Err(Malformed::NotCanonical) };
    }
    if arguments.len() > canonical::LIMIT {
        return Err(Malformed::NotCanonical);
    }
    let mut renderer = Renderer { reader: Reader::new(arguments), text: Short::default() };
    renderer.arguments()?;
    Ok(match renderer.text.into_text() {
        Some(text) => text,
        None => digest_text(blake3::hash(arguments).as_bytes()),
    })
}

fn digest_text(digest: &[u8]) -> String {
    let mut text = String::from("#");
    for byte in digest {
        text += &format!("{byte:02x}");
    }
    text
}

/// Text that keeps no more than [`canonical::LIMIT`] bytes.
#[derive(Default)]
struct Short {
    text: String,
    is_too_long: bool,
}

impl Short {
    fn into_text(self) -> Option<String> {
        (!self.is_too_long).then_some(self.text)
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.is_too_long |= self.text.len() + text.len() > canonical::LIMIT;
        if !self.is_too_long {
            self.text.push_str(text);
        }
        Ok(())
    }
}

struct Renderer<'a> {
    reader: Reader<'a>,
    text: Short,
}

impl<'a> Renderer<'a> {
    fn arguments(&mut self) -> Result<(), Malformed> {
        let mut separator = "";
        while !self.reader.is_at_end() {
            self.put(separator);
            separator = ":";
            let token = self.reader.token()?;
            self.value(token, 0)?;
        }
        Ok(())
    }

    fn put(&mut self, text: &str) {
        // `Short` never fails.
        let _ = self.text.write_str(text);
    }

    fn format(&mut self, text: fmt::Arguments<'_>) {
        // `Short` never fails.
        let _ = self.text.write_fmt(text);
    }

    fn word(&mut self, word: &str) {
        // `Short` never fails.
        let _ = name::write(word, Alphabet::Word, &mut self.text);
    }

    fn value(&mut self, token: Token<'a>, depth: usize) -> Result<(), Malformed> {
        if depth > canonical::DEPTH {
            return Err(Malformed::TooDeep);
        }
        match token {
            Token::Unit => self.put("()"),
            Token::None => self.put("none"),
            Token::Some => {
                self.put("some(");
                self.next(depth + 1)?;
                self.put(")");
            }
            Token::Bool(value) => self.put(if value { "true" } else { "false" }),
            Token::Char(value) => self.quoted("'", value.encode_utf8(&mut [0; 4])),
            Token::Float(value) => self.format(format_args!("{value:?}")),
            Token::Text(value) => self.quoted("\"", value),
            Token::Bytes(value) => self.hex("x\"", value, "\""),
            Token::FromZero(value) => self.format(format_args!("{value}")),
            Token::BelowZero(value) => match i128::try_from(value) {
                Ok(value) => self.format(format_args!("{}", !value)),
                // Less than the least `i128`: nothing writes that.
                Err(_) => return Err(Malformed::NotCanonical),
            },
            Token::Secret(digest) if depth == 0 => self.hex("secret(", digest, ")"),
            Token::Sequence => self.values(depth + 1)?,
            Token::Map => self.map(depth + 1)?,
            Token::Struct => self.fields(depth + 1)?,
            Token::UnitVariant(variant) => self.variant(variant),
            Token::NewtypeVariant(variant) => {
                self.variant(variant);
                self.put("(");
                self.next(depth + 1)?;
                self.put(")");
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

    fn next(&mut self, depth: usize) -> Result<(), Malformed> {
        let token = self.reader.token()?;
        self.value(token, depth)
    }

    fn variant(&mut self, variant: &str) {
        self.put(".");
        self.word(variant);
    }

    fn values(&mut self, depth: usize) -> Result<(), Malformed> {
        self.put("[");
        let mut separator = "";
        loop {
            match self.reader.token()? {
                Token::End => break,
                token => {
                    self.put(separator);
                    self.value(token, depth)?;
                }
            }
            separator = ",";
        }
        self.put("]");
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Result<(), Malformed> {
        self.put("map<");
        let mut before: Option<&[u8]> = None;
        loop {
            let start = self.reader.rest();
            let token = self.reader.token()?;
            if token == Token::End {
                break;
            }
            self.put(if before.is_some() { "," } else { "" });
            self.value(token, depth)?;
            let key = &start[..start.len() - self.reader.rest().len()];
            if before.is_some_and(|before| before > key) {
                return Err(Malformed::NotCanonical);
            }
            before = Some(key);
            self.put("=");
            self.next(depth)?;
        }
        self.put(">");
        Ok(())
    }

    fn fields(&mut self, depth: usize) -> Result<(), Malformed> {
        self.put("<");
        let mut separator = "";
        while let Some(field) = self.reader.field()? {
            self.put(separator);
            self.word(field);
            self.put("=");
            self.next(depth)?;
            separator = ",";
        }
        self.put(">");
        Ok(())
    }

    fn quoted(&mut self, quote: &str, text: &str) {
        self.put(quote);
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| !is_literal(byte)) {
            // Every byte before is ASCII, so both ends are at the border of a char.
            let (literal, other) = rest.split_at(at);
            self.put(literal);
            let mut after = other.chars();
            after.next();
            for byte in &other.as_bytes()[..other.len() - after.as_str().len()] {
                // `Short` never fails.
                let _ = name::escape(*byte, &mut self.text);
            }
            rest = after.as_str();
        }
        self.put(rest);
        self.put(quote);
    }

    fn hex(&mut self, open: &str, bytes: &[u8], close: &str) {
        self.put(open);
        for byte in bytes {
            self.format(format_args!("{byte:02x}"));
        }
        self.put(close);
    }
}

/// Which bytes of a text stay as they are.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'%' | b':' | b'{' | b'}' | b'\\')
}
