//! Which names occur in a piece of source.

use std::collections::BTreeSet;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The names that occur in some tokens, macro arguments and format strings included.
///
/// It looks at tokens and not at meanings, and so may find too much (the `id` of `User { id: x }`), never
/// too little: what depends on it (an argument more for `f_entry`) is harmless.
#[derive(Debug, Default)]
pub(crate) struct Names {
    words: BTreeSet<String>,
    lifetimes: BTreeSet<String>,
}

impl Names {
    /// The names in `source`.
    pub(crate) fn of(source: impl ToTokens) -> Self {
        let mut names = Self::default();
        names.add(source);
        names
    }

    /// Adds the names in `source`.
    pub(crate) fn add(&mut self, source: impl ToTokens) {
        self.add_tokens(source.into_token_stream());
    }

    /// Adds one name.
    pub(crate) fn add_word(&mut self, word: &str) {
        self.words.insert(word.to_owned());
    }

    /// Whether a name other than a lifetime's occurs; `word` without `r#`.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether a lifetime occurs; `name` without the apostrophe.
    pub(crate) fn has_lifetime(&self, name: &str) -> bool {
        self.lifetimes.contains(name)
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut before = Before::Other;
        for token in tokens {
            before = match token {
                TokenTree::Ident(ident) => {
                    let word = plain(&ident);
                    match before {
                        Before::Apostrophe => _ = self.lifetimes.insert(word),
                        Before::Dot | Before::Colons => {}
                        _ => _ = self.words.insert(word),
                    }
                    Before::Other
                }
                TokenTree::Punct(punct) => match (punct.as_char(), &before) {
                    ('\'', _) => Before::Apostrophe,
                    ('.', Before::Dot | Before::Range) => Before::Range,
                    ('.', _) => Before::Dot,
                    (':', Before::Colon) => Before::Colons,
                    (':', _) if punct.spacing() == Spacing::Joint => Before::Colon,
                    _ => Before::Other,
                },
                TokenTree::Literal(literal) => {
                    self.add_captures(&literal.to_string());
                    Before::Other
                }
                TokenTree::Group(group) => {
                    self.add_tokens(group.stream());
                    Before::Other
                }
            };
        }
    }

    /// `format!("{id}")` names `id`.
    fn add_captures(&mut self, literal: &str) {
        if !literal.contains('"') {
            return;
        }
        for after in literal.split('{').skip(1) {
            let word: String =
                after.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !word.is_empty() {
                self.words.insert(word);
            }
        }
    }
}

enum Before {
    Apostrophe,
    Dot,
    Range,
    Colon,
    Colons,
    Other,
}

/// The name of an identifier without `r#`.
pub(crate) fn plain(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn fields_methods_and_path_ends_are_not_names() {
        let names = Names::of(quote!(user.id.len() + Self::limit + a::b(&x[..end]) as T));

        assert!(["user", "Self", "a", "x", "end", "T"].iter().all(|name| names.has(name)), "{names:?}");
        assert!(!["id", "len", "limit", "b"].iter().any(|name| names.has(name)), "{names:?}");
    }

    #[test]
    fn names_hide_in_macros_format_strings_and_raw_identifiers() {
        let names = Names::of(quote!(format!("{user_id}-{}", r#type) + stringify!(inner)));

        assert!(["user_id", "type", "inner"].iter().all(|name| names.has(name)), "{names:?}");
    }

    #[test]
    fn a_lifetime_is_not_a_word() {
        let names = Names::of(quote!(&'a Foo<'b, T>));

        assert!(names.has_lifetime("a") && names.has_lifetime("b") && !names.has("a"), "{names:?}");
    }
}
