//! Several attributes of ours on one function.
//!
//! The first one gives each pattern among the arguments a name, and matches it in the body that the others find. So it tells them
//! what the pattern was, by an option of their own that nobody else writes.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Attribute, LitInt, Meta, Pat, Token};

use crate::expand::site;
use crate::item::{Argument, Function};
use crate::names;
use crate::scan::plain;
use crate::writer::Kind;

/// The option.
pub(crate) const PATTERNS: &str = "__larder_patterns";

/// The option of an attribute that was expanded together with the one before it.
const DONE: &str = "__larder_done";

/// The pattern that an argument was, by its place.
pub(crate) type Taken = (usize, Pat);

/// The attributes of the function, with what those of ours have to be told.
pub(crate) fn told(function: &Function) -> Vec<Attribute> {
    let arguments = function.arguments.iter().enumerate();
    let taken = arguments.filter(|(_, argument)| argument.is_pattern && !argument.is_matched);
    let taken: Vec<TokenStream> =
        taken.map(|(place, Argument { pattern, .. })| quote!(#place = #pattern)).collect();
    let mut attrs = function.attrs.clone();
    if taken.is_empty() {
        return attrs;
    }
    let option = Ident::new(PATTERNS, site());
    for attr in attrs.iter_mut().filter(|attr| is_ours(attr)) {
        if let Meta::List(list) = &mut attr.meta {
            let options = &list.tokens;
            list.tokens = quote!(#option(#(#taken),*), #options);
        }
    }
    attrs
}

/// Told by its name: what it is imported as does not show.
pub(crate) fn is_ours(attr: &Attribute) -> bool {
    let is_done = matches!(&attr.meta, Meta::List(list) if is_done(&list.tokens));
    !is_done && ["cached", "invalidates", "updates"].contains(&&*name(attr))
}

/// Whether an attribute was expanded together with the one before it.
pub(crate) fn is_done(options: &TokenStream) -> bool {
    options.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(ident) if ident == DONE))
}

/// What is written at the end of its path.
fn name(attr: &Attribute) -> String {
    attr.path().segments.last().map(|last| plain(&last.ident)).unwrap_or_default()
}

/// The attributes of a writer behind its first, with their options, and all attributes as they are once these are expanded, too:
/// they stay, and do nothing, since what is imported is to be used. Those behind a `#[cached]` belong to another function than those
/// before it.
pub(crate) fn writers(function: &Function) -> (Vec<(Kind, TokenStream)>, Vec<Attribute>) {
    let (mut writers, mut attrs) = (Vec::new(), function.attrs.clone());
    let mut is_behind_cached = false;
    for attr in &mut attrs {
        let name = name(attr);
        is_behind_cached |= name == "cached";
        let kind = match name.as_str() {
            "invalidates" => Some(Kind::Invalidates),
            "updates" => Some(Kind::Updates),
            _ => None,
        };
        if let (Some(kind), Meta::List(list), false) = (kind, &mut attr.meta, is_behind_cached) {
            let done = Ident::new(DONE, site()).to_token_stream();
            writers.push((kind, std::mem::replace(&mut list.tokens, done)));
        }
    }
    (writers, attrs)
}

/// What to write where an attribute before this one has given a name to a pattern, and could not tell.
pub(crate) fn lost(function: &Function) -> Option<&'static str> {
    // Those of `#[async_trait]` are called `__arg1`.
    let is_given = |word: String| word.starts_with(names::PREFIX) || word.starts_with("__arg");
    let is_lost = |argument: &Argument| !argument.is_pattern && is_given(plain(&argument.name));
    function.arguments.iter().any(is_lost).then_some(
        "another attribute has taken the arguments apart before this one: write a name for the argument, and the pattern in \
         the body",
    )
}

/// Reads what an attribute before this one tells.
pub(crate) fn taken(input: ParseStream<'_>) -> syn::Result<Vec<Taken>> {
    let content;
    syn::parenthesized!(content in input);
    let one = |input: ParseStream<'_>| {
        let place: LitInt = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok((place.base10_parse()?, Pat::parse_single(input)?))
    };
    Ok(content.parse_terminated(one, Token![,])?.into_iter().collect())
}
