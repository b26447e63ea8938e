//! The attribute `#[cached]` of Larder.

mod args;
mod check;
mod diag;
mod duration;
mod expand;
mod item;
mod model;
mod scan;
mod template;

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::Options;
use crate::diag::Diagnostics;
use crate::item::Function;
use crate::model::Model;

/// Caches what an async function returns.
#[proc_macro_attribute]
pub fn cached(options: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expanded(options.into(), item.into()).into()
}

fn expanded(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let options = Options::parse(options, &mut diagnostics);
    let function = match Function::parse(item.clone(), options.in_trait.is_some()) {
        Ok(function) => function,
        Err(mistake) => {
            diagnostics.absorb(mistake);
            return with_mistakes(item, diagnostics);
        }
    };
    check::check(&function, &options, &mut diagnostics);
    if diagnostics.is_empty() {
        return expand::expand(&Model::new(function, options));
    }
    with_mistakes(item, diagnostics)
}

/// The item as it was, so that what uses it is not reported as missing, and the mistakes.
fn with_mistakes(item: TokenStream, diagnostics: Diagnostics) -> TokenStream {
    let mistakes = diagnostics.into_tokens();
    quote!(#item #mistakes)
}
