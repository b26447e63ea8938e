//! The user's body: run on a miss, and in the background.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, GenericParam, ReturnType, Type};

use super::{relocate, signature, site};
use crate::item::{Argument, Function, Place};
use crate::model::Model;
use crate::scan::plain;

/// A closure that makes the future of the body.
pub(super) fn body(model: &Model) -> TokenStream {
    match model.function.place {
        Place::Member => forwarded(model),
        Place::Anywhere | Place::InTrait => inline(model),
        Place::Boxed => boxed(model),
    }
}

/// The future of the body, where it is awaited at once: it takes the arguments along.
pub(crate) fn awaited_here(function: &Function) -> TokenStream {
    match function.place {
        Place::Boxed => {
            let make = making(function, &function.block, &boxed_type(function));
            quote_spanned!(site()=> (#make)())
        }
        _ => returning(function, statements(function, &function.block)),
    }
}

/// The future of the body in the background, after what `given` binds there. Every argument is at hand under its own
/// name.
pub(super) fn recomputing(model: &Model, given: TokenStream) -> TokenStream {
    let future = match model.function.place {
        Place::Anywhere | Place::InTrait => {
            let body = statements(&model.function, &relocate::block(model));
            return returning(&model.function, quote_spanned!(site()=> #given #body));
        }
        Place::Member => recalled(model),
        Place::Boxed => {
            let boxed = boxed_type(&model.function).map(|ty| relocate::ty(&ty));
            let make = making(&model.function, &relocate::block(model), &boxed);
            quote_spanned!(site()=> { let __larder_make = #make; __larder_make() })
        }
    };
    match given.is_empty() {
        true => future,
        false => returning(&model.function, quote_spanned!(site()=> #given #future.await)),
    }
}

/// `Self::f_uncached(..)`.
fn forwarded(model: &Model) -> TokenStream {
    let name = signature::sibling_name(&model.function, "uncached");
    let params = model.function.sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(param.ident.to_token_stream()),
        param => constant(param),
    });
    let call = uncached(model, model.function.self_at(name.span()), params.collect());
    quote_spanned!(site()=> move || #call)
}

/// The same in the background, where `with(..)` may have chosen another type for a parameter that does not count.
fn recalled(model: &Model) -> TokenStream {
    let receiver = model.function.receiver.as_ref();
    let receiver = receiver.map(|receiver| relocate::this(receiver.self_token.span));
    let params = model.function.sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) if model.counted.has(&plain(&param.ident)) => {
            Some(param.ident.to_token_stream())
        }
        GenericParam::Type(_) => Some(quote_spanned!(site()=> _)),
        param => constant(param),
    });
    uncached(model, receiver, params.collect())
}

/// A constant among the parameters. Lifetimes that are bound late cannot be named; all are inferred.
fn constant(param: &GenericParam) -> Option<TokenStream> {
    match param {
        GenericParam::Const(param) => Some(param.ident.to_token_stream()),
        _ => None,
    }
}

fn uncached(model: &Model, receiver: Option<Ident>, params: Vec<TokenStream>) -> TokenStream {
    let function = &model.function;
    let uncached = signature::sibling_name(function, "uncached");
    let turbofish = (!params.is_empty()).then(|| quote_spanned!(site()=> ::<#(#params),*>));
    let receiver = receiver.map(|receiver| quote_spanned!(site()=> #receiver,));
    let names = function.arguments.iter().map(|argument| &argument.name);
    quote_spanned!(site()=> Self::#uncached #turbofish (#receiver #(#names),*))
}

/// The body itself.
fn inline(model: &Model) -> TokenStream {
    let future = returning(&model.function, statements(&model.function, &model.function.block));
    quote_spanned!(site()=> move || #future)
}

/// An async block whose first lines tell the compiler what `return` and `?` in it return.
fn returning(function: &Function, statements: TokenStream) -> TokenStream {
    let output = nameable(&function.output);
    quote_spanned! {site()=>
        async move {
            if let ::core::option::Option::Some(__larder_never) = ::core::option::Option::None::<#output> {
                return __larder_never;
            }
            #statements
        }
    }
}

fn statements(function: &Function, block: &Block) -> TokenStream {
    let output = nameable(&function.output);
    let patterns = patterns(function);
    quote_spanned! {site()=>
        #patterns
        let __larder_output: #output = #block;
        // The body may end in a panic or a loop. This lint alone reports into generated code.
        #[allow(unreachable_code)]
        __larder_output
    }
}

/// The body that returns a boxed future.
fn boxed(model: &Model) -> TokenStream {
    making(&model.function, &model.function.block, &boxed_type(&model.function))
}

fn boxed_type(function: &Function) -> Option<Type> {
    match &function.sig.output {
        ReturnType::Type(_, ty) => Some((**ty).clone()),
        ReturnType::Default => None,
    }
}

fn making(function: &Function, block: &Block, boxed: &Option<Type>) -> TokenStream {
    let patterns = patterns(function);
    if patterns.is_empty() {
        return quote_spanned!(site()=> move || -> #boxed #block);
    }
    quote_spanned! {site()=>
        move || -> #boxed {
            #patterns
            let __larder_future: #boxed = #block;
            __larder_future
        }
    }
}

/// A type as it can be written inside of the function: what is opaque is left to inference.
fn nameable(ty: &Type) -> Type {
    struct Opaque;
    impl VisitMut for Opaque {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            match ty {
                Type::ImplTrait(opaque) => *ty = syn::parse_quote_spanned!(opaque.span()=> _),
                ty => visit_mut::visit_type_mut(self, ty),
            }
        }
    }
    let mut ty = ty.clone();
    Opaque.visit_type_mut(&mut ty);
    ty
}

/// Matches the patterns that the signature of the wrapper lost.
fn patterns(function: &Function) -> TokenStream {
    let is_here = |argument: &&Argument| argument.is_pattern && !argument.is_matched;
    let arguments = function.arguments.iter().filter(is_here);
    arguments
        .map(|argument| {
            let (pattern, name) = (&argument.pattern, &argument.name);
            let using = function.using(&argument.bound);
            quote_spanned!(site().located_at(pattern.span())=> let #pattern = #name; #using)
        })
        .collect()
}
