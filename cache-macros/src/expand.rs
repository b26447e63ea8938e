//! From the model to tokens: a static, a key, one call.
//!
//! Local names have the span of this macro (`mixed_site`), so they never meet those of the user.

mod attribute;
mod background;
mod body;
mod call;
mod give;
mod means;
mod record;
mod relocate;
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
    let means = means::means(model, Emitted::Cached);
    let background = background::background(model);
    let body = body::body(model);
    let output = call::at(&function.output);
    let find = match model.options.refresh {
        // What is found may be due: then it is answered all the same, after everything that a refresh needs was made.
        Some(_) => quote_spanned! {output=>
            let found = match call.find() {
                ::core::option::Option::Some(found) if !call.is_due() => return found,
                found => found,
            };
        },
        None => quote_spanned! {output=>
            if let ::core::option::Option::Some(found) = call.find() {
                return found;
            }
        },
    };
    // What the background cannot do is shown at the option that asks for it.
    let cause = model.options.background_option().map(call::at).unwrap_or(output);
    let refresh = model.options.refresh.as_ref().map(|_| {
        let later = quote_spanned!(cause=> call.refresh_later(means, background););
        quote_spanned! {output=>
            if let ::core::option::Option::Some(found) = found {
                #later
                return found;
            }
        }
    });
    let run = match &background {
        Some(_) => quote_spanned!(cause=> call.run_with(means, background, #body)),
        None => quote_spanned!(output=> call.run(means, #body)),
    };
    let background = background.map(|background| quote_spanned!(output=> let background = #background;));
    // In a block that ends before the wait: what is alive across it makes the future of every call larger.
    let steps = quote_spanned! {output=>
        let pending = {
            #call
            #find
            #tags
            let means = #means;
            #background
            #refresh
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
