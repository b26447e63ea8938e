//! `each`: a batch, one of whose arguments has many ids.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::{ExprClosure, Ident, LitInt, Token};

use super::reading;
use super::{Given, keep, value};
use crate::diag::Diagnostics;

/// `each = ids`, `each(item_id in ids, by = |item| item.id, at_most = 500)`.
pub(crate) struct Each {
    /// The argument with the ids.
    pub(crate) ids: Ident,
    /// What options call one of them.
    pub(crate) id: Ident,
    /// How an item in a list tells its id.
    pub(crate) by: Option<Given<ExprClosure>>,
    /// How many ids the body gets at once.
    pub(crate) at_most: Option<usize>,
}

const EXAMPLE: &str = "each = ids` or `each(id in ids, by = |item| item.id, at_most = 500)";

pub(super) fn each(
    option: &Ident,
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<Each> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        let ids = input.parse().map_err(|error| missing(error.span()))?;
        return Ok(Each::new(usual(&ids), ids));
    }
    if !input.peek(syn::token::Paren) {
        return Err(missing(option.span()));
    }
    let content;
    syn::parenthesized!(content in input);
    let first: Ident = content.parse().map_err(|_| missing(option.span()))?;
    let mut each = match content.parse::<Option<Token![in]>>()? {
        Some(_) => {
            let ids = content.parse().map_err(|error| missing(error.span()))?;
            Each::new(first, ids)
        }
        None => Each::new(usual(&first), first),
    };
    if content.is_empty() {
        return Ok(each);
    }
    content.parse::<Token![,]>().map_err(|error| missing(error.span()))?;
    reading::named(option, &["by", "at_most"], &content, diagnostics, |word, name, input, _| {
        match word {
            "by" => each.by = keep(name.clone(), value::closure(name, input, "by = |item| item.id")?),
            _ => each.at_most = Some(count(name, input)?),
        }
        Ok(())
    })?;
    Ok(each)
}

fn missing(span: Span) -> syn::Error {
    syn::Error::new(span, format!("`each` names the argument with the ids: write `{EXAMPLE}`"))
}

/// What one of the ids is called, if nothing is said.
fn usual(ids: &Ident) -> Ident {
    Ident::new("id", ids.span())
}

impl Each {
    fn new(id: Ident, ids: Ident) -> Self {
        Self { ids, id, by: None, at_most: None }
    }
}

fn count(name: &Ident, input: ParseStream<'_>) -> syn::Result<usize> {
    let wrong =
        |span| syn::Error::new(span, "the ids that the body gets at once, 1 or more: write `at_most = 500`");
    input.parse::<Token![=]>().map_err(|_| wrong(name.span()))?;
    let number: LitInt = input.parse().map_err(|error| wrong(error.span()))?;
    match value::digits(&number).map(str::parse) {
        Some(Ok(count)) if count > 0 => Ok(count),
        _ => Err(wrong(number.span())),
    }
}
