//! Several attributes of ours on one function.
//!
//! The first one gives each pattern among the arguments a name, and matches it in the body that the others find. So it tells them
//! what the pattern was, by an option of their own that nobody else writes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::{Attribute, LitInt, Meta, Pat, Token};

use crate::expand::site;
use crate::item::{Argument, Function};
use crate::names;
use crate::scan::plain;

/// The option.
pub(crate) const PATTERNS: &str = "__larder_patterns";

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
    let name = attr.path().segments.last().map(|last| plain(&last.ident));
    name.is_some_and(|name| ["cached", "invalidates", "updates"].contains(&name.as_str()))
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
