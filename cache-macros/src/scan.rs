//! Which names occur in a piece of source.

use std::collections::BTreeSet;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Expr, ExprPath, Item, Macro, PatIdent};

/// The names that occur in some tokens, macro arguments and format strings included.
///
/// It looks at tokens and not at meanings, and so may find too much (the `id` of `User { id: x }`), never
/// too little: what depends on it (an argument more for `f_entry`) is harmless.
#[derive(Debug, Default, Clone)]
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

/// Where an expression uses one of `words` as a variable, and which. What it binds itself is its own.
///
/// Within macros it looks at tokens, as [`Names`].
pub(crate) fn uses(expr: &Expr, words: &[impl AsRef<str>]) -> Vec<(String, TokenStream)> {
    let mut own = Bound::default();
    own.visit_expr(expr);
    let words = words.iter().map(AsRef::as_ref).filter(|word| !own.0.contains(*word));
    let mut search = Uses { words: words.collect(), found: Vec::new() };
    search.visit_expr(expr);
    search.found
}

/// The names that patterns inside bind.
#[derive(Default)]
struct Bound(BTreeSet<String>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, ident: &'ast PatIdent) {
        self.0.insert(plain(&ident.ident));
        visit::visit_pat_ident(self, ident);
    }
}

struct Uses<'a> {
    words: Vec<&'a str>,
    found: Vec<(String, TokenStream)>,
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        let variable = path.path.get_ident().filter(|_| path.qself.is_none()).map(plain);
        if let Some(word) = variable.filter(|word| self.words.contains(&word.as_str())) {
            self.found.push((word, path.to_token_stream()));
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let names = Names::of(&call.tokens);
        let used = self.words.iter().filter(|word| names.has(word));
        self.found.extend(used.map(|word| (String::from(*word), call.to_token_stream())));
    }

    fn visit_item(&mut self, _: &'ast Item) {}
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
    fn a_use_is_a_variable_that_is_not_bound_inside() {
        let found = |tokens| {
            let expr: Expr = syn::parse2(tokens).expect("an expression");
            uses(&expr, &["id", "name", "self"]).into_iter().map(|(word, _)| word).collect::<Vec<_>>()
        };

        assert_eq!(found(quote!(|value| value.id + id)), ["id"]);
        assert_eq!(found(quote!(|value| Key { id: value.id, name })), ["name"]);
        assert_eq!(found(quote!(|value| format!("{}{name}", self.x))), ["name", "self"]);
        assert_eq!(found(quote!(|id| id::of(id).name(Self::id))), [""; 0]);
        assert_eq!(
            found(quote!(|value| {
                let name = value.name;
                name
            })),
            [""; 0]
        );
        assert_eq!(found(quote!(self.pool.of(id))), ["self", "id"]);
    }

    #[test]
    fn a_lifetime_is_not_a_word() {
        let names = Names::of(quote!(&'a Foo<'b, T>));

        assert!(names.has_lifetime("a") && names.has_lifetime("b") && !names.has("a"), "{names:?}");
    }
}
