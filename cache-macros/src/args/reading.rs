//! Reading options one after the other, and going on behind a mistake.

use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Ident, Token};

use crate::diag::{Diagnostics, listed, nearest};
use crate::scan::plain;

/// Reads options with `one` up to the end; each mistake is reported and the reading goes on behind it.
pub(crate) fn each(
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
    mut one: impl FnMut(ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) -> syn::Result<()> {
    while !input.is_empty() {
        if let Err(mistake) = one(input, diagnostics) {
            diagnostics.absorb(mistake);
            skip_value(input)?;
        }
        seek_next_option(input, diagnostics)?;
    }
    Ok(())
}

/// Reads the options of an option, each at most once.
pub(super) fn named(
    option: &Ident,
    known: &[&str],
    content: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
    mut read: impl FnMut(&str, &Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut seen: Vec<String> = Vec::new();
    each(content, diagnostics, |input, diagnostics| {
        let name = input.call(Ident::parse_any).map_err(|error| {
            let known = listed(known.iter().copied());
            syn::Error::new(
                error.span(),
                format!("expected an option of `{option}(..)`: write one of {known}"),
            )
        })?;
        let word = plain(&name);
        if seen.contains(&word) {
            diagnostics.report(&name, format!("`{word}` is given twice: keep one of them"));
            return skip_value(input);
        }
        seen.push(word.clone());
        if !known.contains(&word.as_str()) {
            let fix = match nearest(&word, known.iter().copied()) {
                Some(near) => format!("write `{near}`"),
                None => format!("write one of {}", listed(known.iter().copied())),
            };
            diagnostics.report(&name, format!("`{word}` is not an option of `{option}(..)`: {fix}"));
            return skip_value(input);
        }
        read(&word, &name, input, diagnostics)
    })
}

/// Passes over the value of an option that was refused.
pub(crate) fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !at_next_option(input) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// Moves behind the comma that ends an option, after complaining about what stands before it.
fn seek_next_option(input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
    if !input.is_empty() && !input.peek(Token![,]) {
        let rest = input.fork().parse::<TokenTree>()?;
        diagnostics.report(rest, "expected `,`: write a comma between options");
    }
    skip_value(input)?;
    input.parse::<Option<Token![,]>>()?;
    Ok(())
}

/// Whether a comma follows, and an option or nothing behind it.
fn at_next_option(input: ParseStream<'_>) -> bool {
    if !input.peek(Token![,]) {
        return false;
    }
    let ahead = input.fork();
    let behind = ahead
        .parse::<Token![,]>()
        .and_then(|_| if ahead.is_empty() { Ok(None) } else { ahead.call(Ident::parse_any).map(Some) });
    match behind {
        Ok(None) => true,
        Ok(Some(_)) => {
            ahead.is_empty()
                || ahead.peek(Token![=]) && !ahead.peek(Token![==])
                || ahead.peek(syn::token::Paren)
                || ahead.peek(Token![,])
        }
        Err(_) => false,
    }
}
