//! Takes canonical bytes apart.

use std::fmt;

use super::canonical;

/// Why bytes are not the canonical form of any arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// They end within a value.
    Truncated,
    /// No value starts with this byte.
    UnknownTag(u8),
    /// They mean something, but are not how the serializer writes it.
    NotCanonical,
    /// Text is not UTF-8.
    NotText,
    /// Values nest too deeply.
    TooDeep,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end within a value"),
            Self::UnknownTag(tag) => write!(f, "no value starts with the byte {tag:#04x}"),
            Self::NotCanonical => f.write_str("the value is not in its canonical form"),
            Self::NotText => f.write_str("the text is not UTF-8"),
            Self::TooDeep => write!(f, "values nest deeper than {} levels", canonical::DEPTH),
        }
    }
}

impl std::error::Error for Malformed {}

/// One value that holds no others, or the beginning of one that does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Unit,
    None,
    /// A value follows.
    Some,
    Bool(bool),
    Char(char),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// An integer from zero up.
    FromZero(u128),
    /// An integer below zero: `-1 -` this.
    BelowZero(u128),
    Secret(&'a [u8]),
    Digest(&'a [u8]),
    /// Values follow, then `End`.
    Sequence,
    /// Pairs follow, then `End`.
    Map,
    /// Names and values follow, then `End`.
    Struct,
    UnitVariant(&'a str),
    /// A value follows.
    NewtypeVariant(&'a str),
    /// Values follow, then `End`.
    TupleVariant(&'a str),
    /// Names and values follow, then `End`.
    StructVariant(&'a str),
    End,
}

/// Reads tokens. Never copies, never panics.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let tag = self.byte()?;
        Ok(match tag {
            canonical::UNIT => Token::Unit,
            canonical::NONE => Token::None,
            canonical::SOME => Token::Some,
            canonical::FALSE => Token::Bool(false),
            canonical::TRUE => Token::Bool(true),
            canonical::CHAR => Token::Char(self.char()?),
            canonical::FLOAT => Token::Float(self.float()?),
            canonical::BYTES => {
                let length = self.length()?;
                Token::Bytes(self.take(length)?)
            }
            canonical::SEQUENCE => Token::Sequence,
            canonical::MAP => Token::Map,
            canonical::STRUCT => Token::Struct,
            canonical::UNIT_VARIANT => Token::UnitVariant(self.name()?),
            canonical::NEWTYPE_VARIANT => Token::NewtypeVariant(self.name()?),
            canonical::TUPLE_VARIANT => Token::TupleVariant(self.name()?),
            canonical::STRUCT_VARIANT => Token::StructVariant(self.name()?),
            canonical::SECRET => Token::Secret(self.take(canonical::DIGEST_LENGTH)?),
            canonical::DIGEST => Token::Digest(self.take(canonical::DIGEST_LENGTH)?),
            canonical::END => Token::End,
            tag if is_text(tag) => Token::Text(self.text(tag)?),
            tag if is_integer(tag, canonical::FROM_ZERO) => {
                Token::FromZero(self.integer(tag - canonical::FROM_ZERO)?)
            }
            tag if is_integer(tag, canonical::BELOW_ZERO) => {
                Token::BelowZero(self.integer(tag - canonical::BELOW_ZERO)?)
            }
            tag => return Err(Malformed::UnknownTag(tag)),
        })
    }

    /// Reads a name, or `None` at the end of the struct.
    pub(super) fn field(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.token()? {
            Token::Text(name) => Ok(Some(name)),
            Token::End => Ok(None),
            _ => Err(Malformed::NotCanonical),
        }
    }

    fn name(&mut self) -> Result<&'a str, Malformed> {
        self.field()?.ok_or(Malformed::NotCanonical)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An integer of `count` bytes, lowest first, the last one not zero.
    fn integer(&mut self, count: u8) -> Result<u128, Malformed> {
        let bytes = self.take(count.into())?;
        if bytes.last() == Some(&0) {
            return Err(Malformed::NotCanonical);
        }
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte)))
    }

    fn char(&mut self) -> Result<char, Malformed> {
        let bytes = self.take(3)?;
        let number = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
        char::from_u32(number).ok_or(Malformed::NotText)
    }

    fn float(&mut self) -> Result<f64, Malformed> {
        let bytes = self.take(8)?;
        let bits = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let value = f64::from_bits(bits);
        let is_canonical =
            if value.is_nan() { bits == f64::NAN.to_bits() } else { bits != (-0.0_f64).to_bits() };
        if is_canonical { Ok(value) } else { Err(Malformed::NotCanonical) }
    }

    /// LEB128 in its shortest form.
    fn length(&mut self) -> Result<usize, Malformed> {
        let mut length = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Malformed::NotCanonical);
                }
                return usize::try_from(length).map_err(|_| Malformed::Truncated);
            }
        }
        Err(Malformed::NotCanonical)
    }

    fn text(&mut self, tag: u8) -> Result<&'a str, Malformed> {
        let length =
            if tag == canonical::TEXT { self.length()? } else { usize::from(tag - canonical::SHORT_TEXT) };
        if tag == canonical::TEXT && length < canonical::SHORT_TEXT_END {
            return Err(Malformed::NotCanonical);
        }
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed::NotText)
    }
}

fn is_text(tag: u8) -> bool {
    let short = tag.checked_sub(canonical::SHORT_TEXT).map(usize::from);
    tag == canonical::TEXT || short.is_some_and(|length| length < canonical::SHORT_TEXT_END)
}

fn is_integer(tag: u8, zero: u8) -> bool {
    tag.checked_sub(zero).is_some_and(|length| length <= canonical::INTEGER_LENGTH)
}
