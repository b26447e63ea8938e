//! What recomputes without its caller: it owns the arguments, and gives each computation its own.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Pat;

use super::{body, call, give, means, relocate, site};
use crate::item::{Argument, Owning, Place};
use crate::model::{Model, Origin};

/// The closure that makes one recomputation after the other; none where no option leaves work to the background.
pub(super) fn background(model: &Model) -> Option<TokenStream> {
    let p = call::private(model);
    let owned = owned(model)?;
    let own = owned.iter().map(|owned| owned.own(&p));
    let again = owned.iter().map(|Owned { name, .. }| quote_spanned!(site()=> let #name = #name.again();));
    let lend = owned.iter().map(Owned::lend);
    let store_if = model.options.store_if.as_ref().map(|store_if| {
        let store_if = means::asking(model, &relocate::expr(model, &store_if.value));
        quote_spanned!(site()=> let __larder_store_if = #p::accepting(__larder_answer, #store_if);)
    });
    let recomputed = match &store_if {
        Some(_) => {
            quote_spanned!(site()=> #p::Recomputed::judged(__larder_answer, __larder_output, __larder_store_if))
        }
        None => quote_spanned!(site()=> #p::Recomputed::new(__larder_output)),
    };
    let output = &model.function.output;
    let given = model.options.with.iter().map(|with| give::give(model, with)).collect();
    let computation = body::recomputing(model, given);
    Some(quote_spanned! {site()=>
        {
            #(#own)*
            move || {
                #(#again)*
                async move {
                    #(#lend)*
                    #store_if
                    let __larder_output: #output = #computation.await;
                    #recomputed
                }
            }
        }
    })
}

/// An argument that the background owns.
struct Owned {
    name: Ident,
    mutability: Option<syn::token::Mut>,
    /// As the function sees it.
    value: TokenStream,
    place: Span,
    owning: Owning,
}

impl Owned {
    /// Asks whether it can be owned, so that a refusal is shown at the argument.
    fn own(&self, p: &TokenStream) -> TokenStream {
        let Self { name, value, place, owning, .. } = self;
        let (owns, refuses, method, value) = match owning {
            Owning::Reference => ("OwnsReference", "RefusesReference", "own_ref", value.clone()),
            Owning::Optional => {
                ("OwnsOption", "RefusesOption", "own_option", quote_spanned!(*place=> &#value))
            }
            _ => ("OwnsValue", "RefusesValue", "own_value", quote_spanned!(*place=> &#value)),
        };
        let [owns, refuses, method] = [owns, refuses, method].map(|word| Ident::new(word, *place));
        quote_spanned! {*place=>
            let #name = {
                use #p::{#owns as _, #refuses as _};
                (&&#p::OwnProbe(#value)).#method()
            };
        }
    }

    /// What the body gets.
    fn lend(&self) -> TokenStream {
        let Self { name, mutability, owning, .. } = self;
        match owning {
            Owning::Value => quote_spanned!(site()=> let #mutability #name = #name.into_value();),
            _ => quote_spanned!(site()=> let #mutability #name = #name.lend();),
        }
    }
}

fn owned(model: &Model) -> Option<Vec<Owned>> {
    let (function, background) = (&model.function, model.background.as_ref()?);
    // Only a body that lives in the background itself changes its arguments.
    let keeps_mut = function.place != Place::Member;
    let mut owned = Vec::new();
    if let (Some(receiver), Some(Origin::Owned(owning))) = (&function.receiver, background.receiver) {
        let token = &receiver.self_token;
        owned.push(Owned {
            name: relocate::this(token.span),
            mutability: receiver.mutability.filter(|_| keeps_mut),
            value: token.to_token_stream(),
            place: call::at(token),
            owning,
        });
    }
    for (argument, origin) in function.arguments.iter().zip(&background.arguments) {
        if let Origin::Owned(owning) = *origin {
            owned.push(Owned {
                name: argument.name.clone(),
                mutability: mutability(argument).filter(|_| keeps_mut),
                value: argument.name.to_token_stream(),
                place: call::at(&argument.pattern),
                owning,
            });
        }
    }
    Some(owned)
}

/// `mut id: u64`.
pub(super) fn mutability(argument: &Argument) -> Option<syn::token::Mut> {
    match &argument.pattern {
        Pat::Ident(ident) if !argument.is_pattern => ident.mutability,
        _ => None,
    }
}
