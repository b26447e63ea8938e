//! From the model to tokens: a static, a key, one call.
//!
//! Local names have the span of this macro (`mixed_site`), so they never meet those of the user.

mod attribute;
mod body;
mod call;
mod siblings;
mod signature;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use crate::item::Place;
use crate::model::Model;

/// The emitted functions, told apart in the static record that sits in each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emitted {
    /// `f`.
    Cached,
    /// `f_refresh`.
    Refresh,
    /// `f_entry`.
    Entry,
}

/// The cached function and its siblings.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let cached = cached(model);
    match model.function.place.has_siblings() {
        true => {
            let siblings = siblings::siblings(model);
            quote_spanned!(site()=> #cached #siblings)
        }
        false => cached,
    }
}

/// `f`.
fn cached(model: &Model) -> TokenStream {
    let function = &model.function;
    let attrs = attribute::own(&function.attrs);
    let vis = &function.vis;
    let sig = signature::wrapper(model);
    let call = call::prepared(model, Emitted::Cached);
    let tags = call::tags(model);
    let sharing = call::sharing(model);
    let body = body::body(model);
    let output = call::at(&function.output);
    let run = match call::store_if(model) {
        Some(store_if) => quote_spanned!(output=> call.run_if(storage, sharing, #store_if, #body)),
        None => quote_spanned!(output=> call.run(storage, sharing, #body)),
    };
    // In a block that ends before the wait: what is alive across it makes the future of every call larger.
    let steps = quote_spanned! {output=>
        let pending = {
            #call
            if let ::core::option::Option::Some(found) = call.find() {
                return found;
            }
            #tags
            let sharing = #sharing;
            #run
        };
        pending.await
    };
    // `#[instrument]` looks for this very shape in what `#[async_trait]` made.
    let block = match function.place {
        Place::Boxed => quote_spanned!(site()=> ::std::boxed::Box::pin(async move { #steps })),
        _ => steps,
    };
    quote_spanned!(site()=> #(#attrs)* #vis #sig { #block })
}

fn site() -> Span {
    Span::mixed_site()
}
