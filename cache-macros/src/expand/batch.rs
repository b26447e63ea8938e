//! A function of many ids: each is looked for by itself, and those that are missing go to the body together.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::{FnArg, GenericParam, Pat, ReceiverKind, Signature, Type};

use super::{Emitted, attribute, call, means, siblings, signature, site};
use crate::item::{Argument, Function, Held, Ids, Place, ungrouped};
use crate::model::{Batch, Model};
use crate::together;

pub(super) fn expand(model: &Model, batch: &Batch) -> TokenStream {
    let function = &batch.function;
    let sig = wrapper(function);
    let refresh = siblings::refresh(function, sig.clone(), steps(model, batch, Emitted::Refresh));
    let (uncached, clear) = (siblings::uncached(function), siblings::clear(model));
    let entry = entry(model, batch);
    let (attrs, vis, steps) =
        (attribute::own(&together::told(function)), &function.vis, steps(model, batch, Emitted::Cached));
    quote_spanned!(site()=> #(#attrs)* #vis #sig { #steps } #uncached #refresh #entry #clear)
}

/// The typed handle to one item.
fn entry(model: &Model, batch: &Batch) -> TokenStream {
    let Some(each) = model.options.each.as_ref().map(|each| &each.value) else { return TokenStream::new() };
    let p = call::private(model);
    let (output, ty, id) = (&model.function.output, &batch.ids.id, &each.id);
    let one = match each.by {
        Some(_) => quote_spanned!(call::at(output)=> <#output as #p::EntryOfList>::Answer),
        None => quote_spanned!(call::at(output)=> <#output as #p::EntryOf<#ty>>::Answer),
    };
    let answer = answer(model, quote_spanned!(site()=> &::core::iter::once(&#id)));
    let begun = call::begun(model, Emitted::Entry, call::cache(model));
    siblings::entry(model, quote_spanned!(site()=> #answer #begun), one)
}

/// `whole`, `division`, `answer` and `storage`, for ids as `ids` iterates over them.
fn answer(model: &Model, ids: TokenStream) -> TokenStream {
    let p = call::private(model);
    let output = &model.function.output;
    let span = call::at(output);
    let by = model.options.each.as_ref().and_then(|each| each.value.by.as_ref());
    let division = match by {
        Some(by) => {
            let closure = &by.value;
            quote_spanned!(call::at(closure)=> #p::by(__larder_whole, #closure))
        }
        None => quote_spanned!(span=> #p::Natural),
    };
    let or_none = model
        .options
        .none_ttl
        .as_ref()
        .map(|_| quote_spanned!(site()=> let __larder_division = #p::or_none(__larder_division);));
    let storage = call::stored(model);
    quote_spanned! {span=>
        let __larder_whole = {
            use #p::{AnswersFallible as _, AnswersPlain as _};
            (&&&#p::Probe::<#output>::new()).answer()
        };
        let __larder_division = #division;
        #or_none
        let __larder_answer = #p::each(__larder_whole, __larder_division, #ids);
        #storage
    }
}

/// Everything from the first look to the answer.
fn steps(model: &Model, batch: &Batch, emitted: Emitted) -> TokenStream {
    let p = call::private(model);
    let Some(each) = model.options.each.as_ref().map(|each| &each.value) else { return TokenStream::new() };
    let id = &each.id;
    let ids = &batch.function.arguments[batch.ids.index].name;
    let answer = answer(model, quote_spanned!(call::at(ids)=> &#ids.iter()));
    let cache = call::cache(model);
    let means = means::means(model, emitted);
    let at_most = each.at_most.map(|at_most| quote_spanned!(site()=> .at_most(#at_most)));
    let forced = (emitted == Emitted::Refresh).then(|| quote_spanned!(site()=> .forced()));
    let begun =
        call::begun(model, emitted, quote_spanned!(site()=> ::core::clone::Clone::clone(&__larder_cache)));
    let tags = call::tags(model);
    let look = match emitted {
        Emitted::Refresh => quote_spanned! {site()=>
            {
                let mut __larder_call = __larder_call.unlooked();
                #tags
                __larder_asked.open(#id, __larder_call);
            }
        },
        _ => quote_spanned! {site()=>
            match __larder_call.look() {
                ::core::option::Option::Some(__larder_found) => __larder_asked.found(__larder_answer, #id, __larder_found),
                ::core::option::Option::None => match __larder_call.find() {
                    #p::Found::Value(__larder_found) | #p::Found::Due(__larder_found, _) => __larder_asked.found(__larder_answer, #id, __larder_found),
                    #p::Found::Nothing(mut __larder_call) => { #tags __larder_asked.open(#id, __larder_call); }
                },
            }
        },
    };
    let (again, body) = body(batch);
    let output = call::at(&model.function.output);
    quote_spanned! {output=>
        #answer
        let __larder_cache = #cache;
        let __larder_means = #means;
        let mut __larder_asked = #p::Asked::new(::core::clone::Clone::clone(&__larder_cache), __larder_whole, __larder_division, __larder_means, #ids.len()) #at_most #forced;
        for #id in #ids.iter() {
            let #id = ::core::clone::Clone::clone(#id);
            #begun
            #look
        }
        if let ::core::option::Option::Some(__larder_answered) = __larder_asked.answer() {
            return __larder_answered;
        }
        let mut __larder_batch = __larder_asked.begin();
        loop {
            let __larder_missing = match __larder_batch.next().await {
                #p::Next::Done(__larder_answered) => return __larder_answered,
                #p::Next::Compute(__larder_missing) => __larder_missing,
            };
            #again
            __larder_batch.computed(#body).await;
        }
    }
}

/// What the body needs each time anew, and its future.
fn body(batch: &Batch) -> (TokenStream, TokenStream) {
    let (function, ids) = (&batch.function, &batch.ids);
    let again: TokenStream = function
        .arguments
        .iter()
        .enumerate()
        .map(
            |(index, argument)| {
                if index == ids.index { handed(function, argument, ids) } else { again(function, argument) }
            },
        )
        .collect();
    let body = match function.place {
        Place::Member => forwarded(function),
        _ => inline(function),
    };
    (again, body)
}

/// The ids that are missing, as the function takes ids.
fn handed(function: &Function, argument: &Argument, ids: &Ids) -> TokenStream {
    let name = &argument.name;
    let mutability = mutability(function, argument);
    let span = call::at(&argument.ty);
    let collected = quote_spanned! {span=>
        ::core::iter::Iterator::collect(::core::iter::IntoIterator::into_iter(__larder_missing))
    };
    match (&ids.held, ids.is_reference) {
        (Held::Slice, _) => quote_spanned!(span=> let #mutability #name = &__larder_missing[..];),
        (Held::Collection(ty), true) => quote_spanned! {span=>
            let __larder_missing: #ty = #collected;
            let #mutability #name = &__larder_missing;
        },
        (Held::Collection(ty), false) => quote_spanned! {span=>
            let #mutability #name: #ty = #collected;
        },
    }
}

/// An argument for one more run of the body.
fn again(function: &Function, argument: &Argument) -> TokenStream {
    let name = &argument.name;
    let span = call::at(&argument.ty);
    let value = match ungrouped(&argument.ty) {
        Type::Reference(reference) if reference.mutability.is_some() => quote_spanned!(span=> &mut *#name),
        Type::Reference(_) => name.to_token_stream(),
        _ => quote_spanned!(span=> ::core::clone::Clone::clone(&#name)),
    };
    if argument.is_pattern && !argument.is_matched && function.place != Place::Member {
        let pattern = &argument.pattern;
        let using = function.using(&argument.bound);
        return quote_spanned!(span=> let #pattern = #value; #using);
    }
    let mutability = mutability(function, argument);
    quote_spanned!(span=> let #mutability #name = #value;)
}

/// `mut`, where the body stands in the function itself and not in `f_uncached`.
fn mutability(function: &Function, argument: &Argument) -> Option<syn::Token![mut]> {
    match &argument.pattern {
        Pat::Ident(ident) if function.place != Place::Member => ident.mutability,
        _ => None,
    }
}

/// `Self::f_uncached(..)`.
fn forwarded(function: &Function) -> TokenStream {
    let name = signature::sibling_name(function, "uncached");
    let receiver = function.receiver.as_ref().zip(function.self_at(name.span()));
    let receiver = receiver.map(|(receiver, this)| match &receiver.kind {
        ReceiverKind::Reference(_, _, Some(_)) => quote_spanned!(site()=> &mut *#this,),
        ReceiverKind::Reference(..) => quote_spanned!(site()=> #this,),
        _ => quote_spanned!(site()=> ::core::clone::Clone::clone(&#this),),
    });
    let params: Vec<_> = function
        .sig
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    let turbofish = (!params.is_empty()).then(|| quote_spanned!(site()=> ::<#(#params),*>));
    let names = function.arguments.iter().map(|argument| &argument.name);
    quote_spanned!(site()=> Self::#name #turbofish (#receiver #(#names),*))
}

/// The body itself.
fn inline(function: &Function) -> TokenStream {
    let (output, block) = (&function.output, &function.block);
    quote_spanned! {site()=>
        async {
            // Tells the compiler what `return` and `?` return.
            if let ::core::option::Option::Some(__larder_never) = ::core::option::Option::None::<#output> {
                return __larder_never;
            }
            let __larder_output: #output = #block;
            #[allow(unreachable_code)]
            __larder_output
        }
    }
}

/// The signature of `f`: as written, but for patterns, which get a name, and `mut`, which the body alone needs.
fn wrapper(function: &Function) -> Signature {
    let mut sig = function.sig.clone();
    let mut arguments = function.arguments.iter();
    for input in &mut sig.inputs {
        let typed = match input {
            FnArg::Typed(typed) => typed,
            FnArg::Receiver(receiver) => {
                if !matches!(receiver.kind, ReceiverKind::Reference(..)) {
                    receiver.mutability = None;
                }
                continue;
            }
        };
        let Some(argument) = arguments.next() else { continue };
        *typed.pat = Pat::Ident(syn::PatIdent {
            attrs: Vec::new(),
            by_ref: None,
            mutability: None,
            ident: argument.name.clone(),
            subpat: None,
        });
    }
    sig
}
