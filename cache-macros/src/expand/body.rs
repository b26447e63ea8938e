//! The closure that runs the user's body on a miss.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericParam, ReturnType};

use super::{signature, site};
use crate::item::Place;
use crate::model::Model;

/// A closure that makes the future of the body.
pub(super) fn body(model: &Model) -> TokenStream {
    match model.function.place {
        Place::Member => forwarded(model),
        Place::Anywhere | Place::InTrait => inline(model),
        Place::Boxed => boxed(model),
    }
}

/// `Self::f_uncached(..)`.
fn forwarded(model: &Model) -> TokenStream {
    let function = &model.function;
    let uncached = signature::sibling_name(function, "uncached");
    let params = function.sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        // Lifetimes that are bound late cannot be named; all are inferred.
        GenericParam::Lifetime(_) => None,
    });
    let mut params = params.peekable();
    let turbofish = params.peek().is_some().then(|| quote_spanned!(site()=> ::<#(#params),*>));
    let receiver = function.self_at(uncached.span()).map(|receiver| quote_spanned!(site()=> #receiver,));
    let names = function.arguments.iter().map(|argument| &argument.name);
    quote_spanned!(site()=> move || Self::#uncached #turbofish (#receiver #(#names),*))
}

/// The body itself.
fn inline(model: &Model) -> TokenStream {
    let function = &model.function;
    let output = &function.output;
    let patterns = patterns(model);
    let block = &function.block;
    // The first lines tell the compiler what `return` and `?` in the body return.
    quote_spanned! {site()=>
        move || async move {
            if let ::core::option::Option::Some(never) = ::core::option::Option::None::<#output> {
                return never;
            }
            #patterns
            let output: #output = #block;
            // The body may end in a panic or a loop. This lint alone reports into generated code.
            #[allow(unreachable_code)]
            output
        }
    }
}

/// The body that returns a boxed future.
fn boxed(model: &Model) -> TokenStream {
    let function = &model.function;
    let block = &function.block;
    let boxed = match &function.sig.output {
        ReturnType::Type(_, ty) => ty.to_token_stream(),
        ReturnType::Default => TokenStream::new(),
    };
    let patterns = patterns(model);
    if patterns.is_empty() {
        return quote_spanned!(site()=> move || -> #boxed #block);
    }
    quote_spanned! {site()=>
        move || -> #boxed {
            #patterns
            let future: #boxed = #block;
            future
        }
    }
}

/// Matches the patterns that the signature of the wrapper lost.
fn patterns(model: &Model) -> TokenStream {
    let arguments = model.function.arguments.iter().filter(|argument| argument.is_pattern);
    arguments
        .map(|argument| {
            let (pattern, name) = (&argument.pattern, &argument.name);
            quote_spanned!(site().located_at(pattern.span())=> let #pattern = #name;)
        })
        .collect()
}
