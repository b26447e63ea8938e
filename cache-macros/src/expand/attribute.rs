//! Which attributes go where: conditions and lint levels to all emitted functions, the rest to `f` alone.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, MetaList, Token, parse_quote};

/// The attributes of `f`: all of them.
pub(super) fn own(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().map(|attr| with_meta(attr, allowing(attr.meta.clone()))).collect()
}

/// The attributes that the siblings of `f` share with it.
pub(super) fn shared(attrs: &[Attribute]) -> Vec<Attribute> {
    let keep = |attr: &Attribute| shareable(&attr.meta).map(|meta| with_meta(attr, meta));
    attrs.iter().filter_map(keep).collect()
}

fn shareable(meta: &Meta) -> Option<Meta> {
    let is = |name: &str| meta.path().is_ident(name);
    if is("cfg") || is_lint_level(meta) || is_hiding(meta) {
        return Some(allowing(meta.clone()));
    }
    if !is("cfg_attr") {
        return None;
    }
    let list = meta.require_list().ok()?;
    let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
    let mut inner = inner.into_iter();
    let condition = inner.next()?;
    let inner: Vec<Meta> = inner.filter_map(|meta| shareable(&meta)).collect();
    if inner.is_empty() {
        return None;
    }
    let path = &list.path;
    Some(parse_quote!(#path(#condition, #(#inner),*)))
}

fn is_lint_level(meta: &Meta) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|level| meta.path().is_ident(level))
}

/// `doc(hidden)`.
fn is_hiding(meta: &Meta) -> bool {
    meta.path().is_ident("doc") && matches!(meta, Meta::List(list) if list.tokens.to_string() == "hidden")
}

/// A lint that was expected in one function comes up in some of the emitted ones, and is missed in the
/// others: `expect` becomes `allow`.
fn allowing(meta: Meta) -> Meta {
    match meta {
        Meta::List(MetaList { path, tokens, .. }) if path.is_ident("expect") => parse_quote!(allow(#tokens)),
        meta => meta,
    }
}

fn with_meta(attr: &Attribute, meta: Meta) -> Attribute {
    let mut attr = attr.clone();
    if attr.meta.to_token_stream().to_string() != meta.to_token_stream().to_string() {
        attr.meta = meta;
    }
    attr
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(attrs: &[Attribute]) -> Vec<String> {
        attrs.iter().map(|attr| attr.meta.to_token_stream().to_string().replace(' ', "")).collect()
    }

    #[test]
    fn conditions_and_lint_levels_are_shared_and_nothing_else() {
        let attrs: Vec<Attribute> = vec![
            parse_quote!(#[doc = "Docs."]),
            parse_quote!(#[instrument(skip(db))]),
            parse_quote!(#[cfg(unix)]),
            parse_quote!(#[expect(dead_code, reason = "r")]),
            parse_quote!(#[cfg_attr(unix, instrument, allow(unused))]),
            parse_quote!(#[cfg_attr(unix, instrument)]),
            parse_quote!(#[doc(hidden)]),
        ];

        let shared = shown(&shared(&attrs));

        assert_eq!(
            shared,
            ["cfg(unix)", "allow(dead_code,reason=\"r\")", "cfg_attr(unix,allow(unused))", "doc(hidden)"]
        );
    }
}
