//! Takes the text of a key's values apart, looking one byte ahead. That this is possible is what makes text injective.

use super::keys_value::Value;

/// The values of `text`, or `None` where it is not the text of any.
pub(crate) fn parse(text: &str) -> Option<Vec<Value>> {
    let mut parser = Parser { rest: text };
    let mut values = Vec::new();
    if text.is_empty() {
        return Some(values);
    }
    loop {
        values.push(parser.value()?);
        match parser.rest {
            "" => return Some(values),
            _ => parser.expect(":")?,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn accept(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        self.accept(text).then_some(())
    }

    fn until(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let at = self.rest.find(end).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(at);
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.rest.bytes().next()? {
            b'(' => {
                self.expect("()")?;
                Value::Unit
            }
            b'"' => Value::Text(self.quoted('"')?),
            b'\'' => {
                let text = self.quoted('\'')?;
                let mut chars = text.chars();
                let char = chars.next()?;
                chars.next().is_none().then_some(Value::Char(char))?
            }
            b'x' => {
                self.expect("x\"")?;
                let hex = self.until(|char| char == '"');
                self.expect("\"")?;
                let pairs = hex.as_bytes().chunks(2);
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                Value::Bytes(pairs.map(byte).collect::<Option<_>>()?)
            }
            b'[' => Value::List(self.values()?),
            b'<' => Value::Struct(self.fields()?),
            b'.' => self.variant()?,
            b'm' => Value::Map(self.map()?),
            b'0'..=b'9' | b'-' | b'i' | b'N' => self.number()?,
            _ if self.accept("none") => Value::None,
            _ if self.accept("true") => Value::Bool(true),
            _ if self.accept("false") => Value::Bool(false),
            _ => {
                self.expect("some(")?;
                let value = self.value()?;
                self.expect(")")?;
                Value::Some(value.into())
            }
        })
    }

    fn number(&mut self) -> Option<Value> {
        let text = self.until(|char| !(char.is_ascii_alphanumeric() || char == '-' || char == '.'));
        if let Ok(integer) = text.parse() {
            return Some(Value::Signed(integer));
        }
        if let Ok(integer) = text.parse() {
            return Some(Value::Unsigned(integer));
        }
        text.parse().ok().map(Value::F64)
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let quote = quote.to_string();
        self.expect(&quote)?;
        let text = self.until(|char| quote.contains(char));
        self.expect(&quote)?;
        unescape(text)
    }

    fn name(&mut self) -> Option<&'static str> {
        let name = self.until(|char| !(char.is_ascii_alphanumeric() || "%_-".contains(char)));
        Some(unescape(name)?.leak())
    }

    fn list<T>(&mut self, open: &str, close: &str, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.expect(open)?;
        let mut items = Vec::new();
        while !self.accept(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Some(items)
    }

    fn values(&mut self) -> Option<Vec<Value>> {
        self.list("[", "]", Self::value)
    }

    fn map(&mut self) -> Option<Vec<(Value, Value)>> {
        self.list("map<", ">", |parser| {
            let key = parser.value()?;
            parser.expect("=")?;
            Some((key, parser.value()?))
        })
    }

    fn fields(&mut self) -> Option<Vec<(&'static str, Value)>> {
        self.list("<", ">", |parser| {
            let name = parser.name()?;
            parser.expect("=")?;
            Some((name, parser.value()?))
        })
    }

    fn variant(&mut self) -> Option<Value> {
        self.expect(".")?;
        let name = self.name()?;
        Some(match self.rest.bytes().next() {
            Some(b'(') => {
                self.expect("(")?;
                let value = self.value()?;
                self.expect(")")?;
                Value::NewtypeVariant(name, value.into())
            }
            Some(b'[') => Value::TupleVariant(name, self.values()?),
            Some(b'<') => Value::StructVariant(name, self.fields()?),
            _ => Value::UnitVariant(name),
        })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part.get(2..)?.bytes());
    }
    String::from_utf8(bytes).ok()
}
