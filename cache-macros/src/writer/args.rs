//! The options between the parentheses of `#[invalidates(..)]` and `#[updates(..)]`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprClosure, ExprPath, Ident, Path};

use super::Kind;
use crate::args::reading::{each, skip_value};
use crate::args::{Given, TagOption, bare, value};
use crate::diag::{Diagnostics, listed, nearest};
use crate::scan::{Names, plain};
use crate::together::{PATTERNS, Taken, taken};

const OF_INVALIDATES: [&str; 9] =
    ["tags", "entries", "function", "functions", "expire", "when", "strict", "cache", "crate"];
const OF_UPDATES: [&str; 5] = ["entry", "value", "when", "strict", "crate"];

fn options_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Invalidates => &OF_INVALIDATES,
        Kind::Updates => &OF_UPDATES,
    }
}

/// What was written between the parentheses.
#[derive(Default)]
pub(super) struct Options {
    pub(super) tags: Option<Given<Vec<TagOption>>>,
    pub(super) entries: Option<Given<Vec<Expr>>>,
    /// Of `function` and `functions` together.
    pub(super) functions: Vec<ExprPath>,
    pub(super) expire: Option<Given<()>>,
    pub(super) when: Option<Given<ExprClosure>>,
    pub(super) strict: Option<Given<()>>,
    pub(super) cache: Option<Given<Expr>>,
    pub(super) krate: Option<Given<Path>>,
    pub(super) entry: Option<Given<Expr>>,
    pub(super) value: Option<Given<ExprClosure>>,
    /// What an attribute before this one tells.
    pub(super) patterns: Vec<Taken>,
    /// Words that introduced an option, in vain or not.
    seen: Vec<String>,
}

impl Options {
    /// Reads all options; each mistake is reported and the reading goes on behind it.
    pub(super) fn parse(kind: Kind, tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut options = Self::default();
        let parser = |input: ParseStream<'_>| {
            each(input, diagnostics, |input, diagnostics| options.parse_one(kind, input, diagnostics))
        };
        let read = parser.parse2(tokens);
        if let Err(mistake) = read {
            diagnostics.absorb(mistake);
        }
        options
    }

    /// Whether an option was written, be its value right or wrong.
    pub(super) fn mentions(&self, option: &str) -> bool {
        self.seen.iter().any(|seen| seen == option)
    }

    /// Whether something was written that is no option: it may have been meant for one that is missing.
    pub(super) fn has_unknown(&self, kind: Kind) -> bool {
        self.seen.iter().any(|seen| !options_of(kind).contains(&seen.as_str()))
    }

    /// The expressions that name what is invalidated or updated.
    pub(super) fn handles(&self) -> impl Iterator<Item = &Expr> {
        let entries = self.entries.iter().flat_map(|entries| &entries.value);
        entries.chain(self.entry.iter().map(|entry| &entry.value))
    }

    /// Adds the names that any option uses.
    pub(super) fn add_names(&self, names: &mut Names) {
        self.tags.iter().flat_map(|tags| &tags.value).for_each(|tag| tag.add_names(names));
        self.handles().for_each(|handle| names.add(handle));
        self.cache.iter().for_each(|cache| names.add(&cache.value));
        [&self.when, &self.value].into_iter().flatten().for_each(|closure| names.add(&closure.value));
    }

    fn parse_one(
        &mut self,
        kind: Kind,
        input: ParseStream<'_>,
        diagnostics: &mut Diagnostics,
    ) -> syn::Result<()> {
        let option = input.call(Ident::parse_any).map_err(|error| {
            let fix = match kind {
                Kind::Invalidates => "`#[invalidates(tags = [\"menu:{id}\"])]`",
                Kind::Updates => {
                    "`#[updates(entry = menu_of_entry(id), value = |result| Ok(result.clone()))]`"
                }
            };
            syn::Error::new(error.span(), format!("expected an option: write {fix}"))
        })?;
        let word = plain(&option);
        if word == PATTERNS {
            self.patterns = taken(input)?;
            return Ok(());
        }
        if self.mentions(&word) {
            diagnostics.report(&option, format!("`{word}` is given twice: keep one of them"));
            return skip_value(input);
        }
        let known = options_of(kind);
        self.seen.push(word.clone());
        if !known.contains(&word.as_str()) {
            diagnostics.report(&option, unknown(kind, &word, known));
            return skip_value(input);
        }
        match word.as_str() {
            "tags" => self.tags = keep(option.clone(), value::tags(&option, input, diagnostics)?),
            "entries" => self.entries = keep(option.clone(), entries(&option, input)?),
            "function" => self.functions.push(function(&value::expr(&option, input, "function = menu_of")?)?),
            "functions" => self.functions.extend(functions(&option, input)?),
            "expire" => self.expire = keep(option.clone(), flag(&option, input)?),
            "strict" => self.strict = keep(option.clone(), flag(&option, input)?),
            "when" => {
                let closure = value::closure(&option, input, "when = |result| result.has_changed")?;
                self.when = keep(option, closure);
            }
            "cache" => self.cache = keep(option.clone(), value::expr(&option, input, "cache = self.cache")?),
            "crate" => self.krate = keep(option.clone(), value::path(&option, input)?),
            "entry" => {
                self.entry = keep(option.clone(), value::expr(&option, input, "entry = menu_of_entry(id)")?);
            }
            _ => {
                let closure = value::closure(&option, input, "value = |result| Ok(result.clone())")?;
                self.value = keep(option, closure);
            }
        }
        Ok(())
    }
}

/// What to say of a word that is no option.
fn unknown(kind: Kind, word: &str, known: &[&'static str]) -> String {
    let name = kind.name();
    if word == "in_trait" {
        return format!(
            "`{name}` emits no functions beside this one, so it may stand in any `impl`: remove `in_trait`"
        );
    }
    if word == "cache" {
        return format!("`{name}` uses the cache of its entry: remove `cache`");
    }
    let (other_kind, other) = match kind {
        Kind::Invalidates => (Kind::Updates, "#[updates(..)]"),
        Kind::Updates => (Kind::Invalidates, "#[invalidates(..)]"),
    };
    if options_of(other_kind).contains(&word) {
        let near = match word {
            "entry" => Some("entries = [..]"),
            "entries" => Some("entry = .."),
            _ => None,
        };
        if let Some(near) = near {
            return format!(
                "`{word}` is not an option of `{name}`: write `{near}`, or a `{other}` of its own, beside this one"
            );
        }
        return format!(
            "`{word}` is not an option of `{name}`: write it in a `{other}` of its own, beside this one"
        );
    }
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("`{word}` is not an option of `{name}`: write `{near}`"),
        None => {
            format!("`{word}` is not an option of `{name}`: write one of {}", listed(known.iter().copied()))
        }
    }
}

fn entries(option: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let list = value::expr(option, input, "entries = [menu_of_entry(id)]")?;
    match bare(&list) {
        Expr::Array(array) => Ok(array.elems.iter().cloned().collect()),
        _ => Err(syn::Error::new_spanned(
            &list,
            "entries are a list of handles: write `entries = [menu_of_entry(id)]`, or a set of many in it, \
             `entries = [Invalidate::tags(ids.iter().map(..))]`",
        )),
    }
}

fn functions(option: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<ExprPath>> {
    let list = value::expr(option, input, "functions = [menu_of, guests_of]")?;
    match bare(&list) {
        Expr::Array(array) => array.elems.iter().map(function).collect(),
        _ => Err(syn::Error::new_spanned(
            &list,
            "functions are a list: write `functions = [menu_of, guests_of]`",
        )),
    }
}

/// The path of a cached function.
fn function(expr: &Expr) -> syn::Result<ExprPath> {
    match bare(expr) {
        Expr::Path(path) => match cleared(path) {
            Some(cached) => Err(syn::Error::new_spanned(
                expr,
                format!(
                    "the cached function itself is named here: write `{cached}`; if there is one called `{cached}_clear`, write \
                     `entries = [{cached}_clear_clear()]`"
                ),
            )),
            None => Ok(path.clone()),
        },
        _ => Err(syn::Error::new_spanned(
            expr,
            "not the path of a cached function: write `function = menu_of`; for one whose cache is `self.cache` write \
             `entries = [self.menu_of_clear()]`",
        )),
    }
}

/// `menus::menu_of` for `menus::menu_of_clear`.
fn cleared(path: &ExprPath) -> Option<String> {
    let text = path.to_token_stream().to_string().replace(' ', "");
    text.strip_suffix("_clear").filter(|name| !name.is_empty() && !name.ends_with("::")).map(str::to_owned)
}

fn flag(option: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(syn::Token![,]) {
        return Ok(());
    }
    Err(syn::Error::new(
        option.span(),
        format!("`{option}` takes no value: write `{option}` alone, or remove it"),
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "it fills an optional field")]
fn keep<T>(option: Ident, value: T) -> Option<Given<T>> {
    Some(Given { option, value })
}
