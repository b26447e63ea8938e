//! The name of an argument, as `skip(..)` and `secret(..)` take it.

use proc_macro2::{Ident, Span};
use syn::Token;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};

use crate::scan::plain;

/// `db`, `self` or `_`.
#[derive(Clone)]
pub(crate) struct ArgumentName {
    /// Without `r#`.
    pub(crate) word: String,
    pub(crate) span: Span,
}

/// How the option is written says who knows the option.
impl Parse for ArgumentName {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![&]) || input.peek(Token![mut]) {
            return Err(input.error("expected the name of an argument alone"));
        }
        if let Some(underscore) = input.parse::<Option<Token![_]>>()? {
            return Ok(Self { word: "_".to_owned(), span: underscore.span });
        }
        let ident = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), "expected the name of an argument"))?;
        Ok(Self { word: plain(&ident), span: ident.span() })
    }
}
