//! Tags with placeholders: `"restaurant:{restaurant_id}"`.

use proc_macro2::Span;
use syn::LitStr;

/// A tag as written, taken apart.
#[derive(Debug)]
pub(crate) struct Template {
    /// Where the literal stands.
    pub(crate) span: Span,
    /// A format string whose placeholders have no names: `restaurant:{}`; the plain text if there are none.
    pub(crate) format: String,
    /// What the placeholders stand for, in order.
    pub(crate) places: Vec<Place>,
    /// How each is formatted: `{}`, `{:>3}`.
    pub(crate) specs: Vec<String>,
    /// The text around the placeholders, one piece more than there are of them, with braces escaped.
    pub(crate) pieces: Vec<String>,
}

/// One placeholder: `{user.address.0:>3}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The argument: `user`.
    pub(crate) name: String,
    /// The way from it: `address`, `0`.
    pub(crate) fields: Vec<String>,
}

impl Template {
    /// Takes a literal apart, or says everything that is wrong with it.
    pub(crate) fn parse(literal: &LitStr) -> Result<Self, Vec<String>> {
        let text = literal.value();
        let mut reader = Reader { rest: &text, pieces: vec![String::new()], ..Reader::default() };
        while reader.step() {}
        if !reader.mistakes.is_empty() {
            return Err(reader.mistakes);
        }
        let format = interleaved(&reader.pieces, &reader.specs);
        let format = match reader.places.is_empty() {
            true => format.replace("{{", "{").replace("}}", "}"),
            false => format,
        };
        let Reader { places, specs, pieces, .. } = reader;
        Ok(Self { span: literal.span(), format, places, specs, pieces })
    }

    /// The format string with other placeholders.
    pub(crate) fn format_with(&self, specs: &[String]) -> String {
        interleaved(&self.pieces, specs)
    }
}

fn interleaved(pieces: &[String], specs: &[String]) -> String {
    let specs = specs.iter().map(String::as_str).chain([""]);
    pieces.iter().map(String::as_str).zip(specs).flat_map(|(piece, spec)| [piece, spec]).collect()
}

#[derive(Default)]
struct Reader<'a> {
    rest: &'a str,
    pieces: Vec<String>,
    specs: Vec<String>,
    places: Vec<Place>,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    /// Reads up to and with the next brace; false at the end.
    fn step(&mut self) -> bool {
        let Some(brace) = self.rest.find(['{', '}']) else {
            self.text(self.rest);
            return false;
        };
        let (before, from_brace) = self.rest.split_at(brace);
        self.text(before);
        for escape in ["{{", "}}"] {
            if let Some(rest) = from_brace.strip_prefix(escape) {
                self.text(escape);
                self.rest = rest;
                return true;
            }
        }
        let inner = &from_brace[1..];
        if from_brace.starts_with('}') {
            self.mistakes.push("a `}` without its `{`: write `}}` for the character".to_owned());
            self.rest = inner;
            return true;
        }
        let Some(end) = inner.find('}') else {
            self.mistakes.push("a `{` without its `}`: write `{{` for the character".to_owned());
            return false;
        };
        self.place(&inner[..end]);
        self.rest = &inner[end + 1..];
        true
    }

    /// Reads the inside of a placeholder.
    fn place(&mut self, inner: &str) {
        let (path, spec) = match inner.split_once(':') {
            Some((path, spec)) => (path, Some(spec)),
            None => (inner, None),
        };
        let mut steps = path.trim().split('.').map(|step| step.trim().trim_start_matches("r#").to_owned());
        let name = steps.next().unwrap_or_default();
        let fields: Vec<String> = steps.collect();
        if !is_identifier(&name) {
            self.mistakes.push(format!(
                "`{{{inner}}}` does not name an argument: write `{{name}}` or `{{name.field}}`, and `{{{{` for the character"
            ));
            return;
        }
        if let Some(field) = fields.iter().find(|field| !is_name(field) && !is_index(field)) {
            self.mistakes.push(format!(
                "`{field}` in `{{{inner}}}` is not a field: write `{{name.field}}`, or put the expression beside the text: \
                 `tags = [format!(..)]`"
            ));
            return;
        }
        if let Some(spec) = spec
            && without_fill(spec).contains(['$', '*'])
        {
            self.mistakes.push(format!(
                "`{spec}` takes a width or precision from an argument: write it as a number, `{{{name}:>3}}`"
            ));
            return;
        }
        self.specs.push(spec.map_or_else(|| "{}".to_owned(), |spec| format!("{{:{spec}}}")));
        self.pieces.push(String::new());
        self.places.push(Place { name, fields });
    }

    /// Adds to the text after the last placeholder.
    fn text(&mut self, text: &str) {
        if let Some(last) = self.pieces.last_mut() {
            last.push_str(text);
        }
    }
}

fn is_identifier(word: &str) -> bool {
    word == "self" || is_name(word)
}

/// Whether something can have this name, written raw if it is a keyword.
fn is_name(word: &str) -> bool {
    // What cannot be raw: these name no field, and an identifier made of them would be a panic.
    let is_reserved = ["self", "Self", "super", "crate", "_"].contains(&word);
    let is_ident = |text: &str| syn::parse_str::<syn::Ident>(text).is_ok();
    !is_reserved && (is_ident(word) || is_ident(&format!("r#{word}")))
}

/// Whether it is the number of a field as the compiler reads it.
fn is_index(word: &str) -> bool {
    word.parse::<u32>().is_ok_and(|index| index.to_string() == word)
}

/// A format specification without the character that fills: any one before `<`, `^` or `>`.
fn without_fill(spec: &str) -> &str {
    let mut rest = spec.chars();
    rest.next();
    match rest.as_str().starts_with(['<', '^', '>']) {
        true => rest.as_str(),
        false => spec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<Template, Vec<String>> {
        Template::parse(&LitStr::new(text, Span::call_site()))
    }

    fn place(name: &str, fields: &[&str]) -> Place {
        Place { name: name.to_owned(), fields: fields.iter().map(|field| (*field).to_owned()).collect() }
    }

    #[test]
    fn a_text_without_placeholders_stays_as_it_is() {
        let plain = template("menu").expect("a plain text");
        let braces = template("a{{b}}c").expect("escaped braces");

        assert_eq!((plain.format.as_str(), plain.places.len()), ("menu", 0));
        assert_eq!((braces.format.as_str(), braces.places.len()), ("a{b}c", 0));
    }

    #[test]
    fn placeholders_name_arguments_fields_and_formats() {
        let read = template("{id}:{user.address.0:>3}:{self.name:?}{{x}}").expect("placeholders");

        assert_eq!(read.format, "{}:{:>3}:{:?}{{x}}");
        assert_eq!(
            read.places,
            [place("id", &[]), place("user", &["address", "0"]), place("self", &["name"])]
        );
    }

    #[test]
    fn any_character_can_fill() {
        let read = template("{id:*>4} {id:$^5} {id:é<6}").expect("fill characters");

        assert_eq!(read.format, "{:*>4} {:$^5} {:é<6}");
        for width in ["{id:>w$}", "{id:*>w$}", "{id:.*}", "{id:*<.*}"] {
            assert_eq!(template(width).expect_err("a width from an argument").len(), 1, "{width}");
        }
    }

    #[test]
    fn what_can_be_no_field_is_refused() {
        for field in ["self", "r#self", "Self", "super", "crate", "_", "00", "+1", "99999999999999999999"] {
            let mistakes = template(&format!("{{id.{field}}}")).expect_err(field);
            assert_eq!(mistakes.len(), 1, "{field}: {mistakes:#?}");
        }
        for name in ["crate", "Self", "super", "_"] {
            assert_eq!(template(&format!("{{{name}}}")).expect_err(name).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_keyword_can_be_the_name_of_a_raw_argument() {
        let read = template("{type} {r#match}").expect("raw names");

        assert_eq!(read.places, [place("type", &[]), place("match", &[])]);
    }

    #[test]
    fn every_mistake_in_a_tag_is_found() {
        let mistakes = template("{} {0} {a.b()} {x:>w$} }").expect_err("five mistakes");

        assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
        assert!(mistakes.iter().all(|mistake| mistake.contains("write")), "{mistakes:#?}");
        assert_eq!(template("open {a").expect_err("an open brace").len(), 1);
    }
}
