//! What `with(..)` gives the background in place of an argument.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::visit::{self, Visit};
use syn::{Receiver, ReceiverKind, Type, TypeImplTrait, parse_quote_spanned};

use super::background::mutability;
use super::{call, relocate, site};
use crate::args::With;
use crate::item::{Place, ungrouped};
use crate::model::Model;
use crate::scan::{Names, plain};

/// Binds the argument, by reference or by value as the function takes it.
pub(super) fn give(model: &Model, with: &With) -> TokenStream {
    let function = &model.function;
    let value = relocate::expr(model, &with.value);
    let bindings = call::bindings(&model.function, value.to_token_stream());
    let value = match bindings.is_empty() {
        true => value.to_token_stream(),
        false => quote_spanned!(site()=> { #bindings #value }),
    };
    let (name, ty, mutability) = match function.argument(&with.argument.word) {
        Some(argument) => (argument.name.clone(), argument.ty.clone(), mutability(argument)),
        // The rules have seen to it that there is one.
        None => match &function.receiver {
            Some(receiver) => {
                (relocate::this(receiver.self_token.span), type_of(receiver), receiver.mutability)
            }
            None => return TokenStream::new(),
        },
    };
    let mutability = mutability.filter(|_| function.place != Place::Member);
    // With its type a reference is coerced, of a pooled connection to one of the connection itself say.
    let typed = has_name(model, &ty).then(|| {
        let ty = relocate::ty(&ty);
        quote_spanned!(call::at(&ty)=> : #ty)
    });
    let span = call::at(&with.value);
    match ungrouped(&ty) {
        Type::Reference(reference) if reference.mutability.is_some() => quote_spanned! {span=>
            let mut #name = #value;
            let #mutability #name #typed = &mut #name;
        },
        Type::Reference(_) => quote_spanned! {span=>
            let #name = #value;
            let #mutability #name #typed = &#name;
        },
        _ => quote_spanned!(span=> let #mutability #name #typed = #value;),
    }
}

/// The type of `self`.
fn type_of(receiver: &Receiver) -> Type {
    let span = receiver.self_token.span;
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => parse_quote_spanned!(span=> &#mutability Self),
        ReceiverKind::Typed(_, ty) => (**ty).clone(),
        _ => parse_quote_spanned!(span=> Self),
    }
}

/// Whether a type can be written down in the background: it has no `impl`, and no parameter that the caller chose
/// for an argument that the background lacks.
fn has_name(model: &Model, ty: &Type) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            self.0 = true;
            visit::visit_type_impl_trait(self, ty);
        }
    }
    let mut search = Search(false);
    search.visit_type(ty);
    let names = Names::of(ty);
    let is_free = |word: String| names.has(&word) && !model.counted.has(&word);
    !search.0 && !model.function.sig.generics.type_params().any(|param| is_free(plain(&param.ident)))
}
