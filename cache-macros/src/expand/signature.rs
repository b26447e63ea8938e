//! The signatures of the emitted functions.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::{FnArg, Pat, PatIdent, ReceiverKind, Signature, Visibility};

use super::site;
use crate::item::{Argument, Function, Place};
use crate::model::Model;
use crate::scan::plain;

/// The signature of `f`: as written, but for patterns, which get a name.
pub(crate) fn wrapper(function: &Function) -> Signature {
    let mut sig = function.sig.clone();
    // Only a body that lives in the wrapper itself changes its arguments.
    let keeps_mut = function.place != Place::Member;
    let mut arguments = function.arguments.iter();
    for input in &mut sig.inputs {
        match input {
            FnArg::Receiver(receiver) if !keeps_mut => {
                if !matches!(receiver.kind, ReceiverKind::Reference(..)) {
                    receiver.mutability = None;
                }
            }
            FnArg::Receiver(_) => {}
            FnArg::Typed(typed) => {
                let Some(argument) = arguments.next() else {
                    continue;
                };
                if argument.is_pattern || !keeps_mut {
                    *typed.pat = Pat::Ident(PatIdent {
                        attrs: Vec::new(),
                        by_ref: None,
                        mutability: None,
                        ident: argument.name.clone(),
                        subpat: None,
                    });
                }
            }
        }
    }
    sig
}

/// Gives `pub(..) async fn` the span of this macro, so that lints take a sibling for generated code. (An
/// `#[allow(dead_code)]` would be an error where the user forbids it.)
pub(super) fn generated(vis: &Visibility, sig: &mut Signature) -> TokenStream {
    let here = |span: Span| span.resolved_at(site());
    if let Some(asyncness) = &mut sig.asyncness {
        asyncness.span = here(asyncness.span);
    }
    sig.fn_token.span = here(sig.fn_token.span);
    let respanned = vis.to_token_stream().into_iter().map(|mut token| {
        token.set_span(here(token.span()));
        token
    });
    respanned.collect()
}

/// `f_uncached` and its like.
pub(super) fn sibling_name(function: &Function, ending: &str) -> Ident {
    let ident = &function.sig.ident;
    format_ident!("{}_{ending}", plain(ident), span = site().located_at(ident.span()))
}

/// The inputs of a function that takes some of the arguments: `f_entry` or `f_clear`.
pub(super) fn some_inputs(model: &Model, has_receiver: bool, arguments: &[usize]) -> TokenStream {
    let function = &model.function;
    let receiver = has_receiver.then(|| function.self_at(function.sig.ident.span())).flatten();
    let receiver = receiver.map(|receiver| quote_spanned!(site()=> &#receiver,));
    let arguments = arguments.iter().map(|index| {
        let Argument { name, ty, .. } = &function.arguments[*index];
        quote_spanned!(site()=> #name: #ty,)
    });
    quote_spanned!(site()=> #receiver #(#arguments)*)
}
