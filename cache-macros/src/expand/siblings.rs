//! The functions beside `f`: `f_uncached`, `f_refresh`, `f_entry`, `f_clear`.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Signature;

use super::{Emitted, attribute, body, call, means, record, signature, site};
use crate::item::Function;
use crate::model::Model;

pub(super) fn siblings(model: &Model) -> TokenStream {
    let function = &model.function;
    let output = &function.output;
    let entry = entry(model, call::prepared(model, Emitted::Entry), quote_spanned!(site()=> #output));
    let (uncached, clear) = (uncached(function), clear(model));
    let refresh = refresh(function, signature::wrapper(function), refreshing(model));
    quote_spanned!(site()=> #uncached #refresh #entry #clear)
}

/// The body as written, under another name.
pub(super) fn uncached(function: &Function) -> TokenStream {
    let docs = format!(
        "Computes `{}` without the cache: it neither looks for a value nor stores one.",
        function.name()
    );
    let attrs = attribute::shared(&function.attrs);
    let (using, statements) = (function.using_all(), &function.block.stmts);
    let mut sig = function.sig.clone();
    sig.ident = signature::sibling_name(function, "uncached");
    let vis = signature::generated(&function.vis, &mut sig);
    quote_spanned!(site()=> #[doc = #docs] #(#attrs)* #vis #sig { #using #(#statements)* })
}

/// `f_refresh`, with the signature of `f`, by `steps`.
pub(super) fn refresh(function: &Function, mut sig: Signature, steps: TokenStream) -> TokenStream {
    let docs = format!("Computes `{}` now, whatever the cache holds, and stores the value.", function.name());
    let attrs = attribute::shared(&function.attrs);
    sig.ident = signature::sibling_name(function, "refresh");
    let vis = signature::generated(&function.vis, &mut sig);
    quote_spanned!(site()=> #[doc = #docs] #(#attrs)* #vis #sig { #steps })
}

/// Computes now and stores.
fn refreshing(model: &Model) -> TokenStream {
    let call = call::prepared(model, Emitted::Refresh);
    let tags = call::tags(model);
    let means = means::means(model, Emitted::Refresh);
    let body = body::body(model);
    let run = quote_spanned!(call::at(&model.function.output)=> __larder_call.refresh(__larder_means, #body));
    quote_spanned! {site()=>
        #call
        let mut __larder_call = __larder_call.unlooked();
        #tags
        let __larder_means = #means;
        #run.await
    }
}

/// The typed handle to one entry, whose answers are of type `output`, once `call` is prepared.
pub(super) fn entry(model: &Model, call: TokenStream, output: TokenStream) -> TokenStream {
    let function = &model.function;
    let docs = format!(
        "The cache entry of `{}` for these arguments: to invalidate, expire, look at or put.",
        function.name()
    );
    let attrs = attribute::shared(&function.attrs);
    let vis = signature::generated(&function.vis, &mut function.sig.clone());
    let name = signature::sibling_name(function, "entry");
    let inputs = signature::some_inputs(model, model.entry.has_receiver, &model.entry.arguments);
    let names = model.entry.arguments.iter().map(|index| &function.arguments[*index].name);
    let (generics, _, where_clause) = model.entry.generics.split_for_impl();
    let facade = call::facade(model);
    let tags = call::tags(model);
    let means = means::means(model, Emitted::Entry);
    quote_spanned! {site()=>
        #[doc = #docs]
        #(#attrs)*
        #vis fn #name #generics (#inputs) -> #facade::Entry<#output> #where_clause {
            #call
            let mut __larder_call = __larder_call.unlooked();
            #tags
            let _ = (#(&#names,)*);
            __larder_call.entry(#means)
        }
    }
}

/// The whole function.
pub(super) fn clear(model: &Model) -> TokenStream {
    let function = &model.function;
    let name = signature::sibling_name(function, "clear");
    let docs = format!(
        "Every cache entry of `{}`, to be invalidated: all versions and type instances. Await it, or make it part of a set.",
        function.name()
    );
    let attrs = attribute::shared(&function.attrs);
    let vis = signature::generated(&function.vis, &mut function.sig.clone());
    let inputs = signature::some_inputs(model, model.clear.has_receiver, &model.clear.arguments);
    let names = model.clear.arguments.iter().map(|index| &function.arguments[*index].name);
    let (generics, _, where_clause) = model.clear.generics.split_for_impl();
    let (facade, p) = (call::facade(model), call::private(model));
    let (cache, record) = (call::cache(model), record::record(model, Emitted::Clear));
    let bindings = call::bindings(function, cache.clone());
    quote_spanned! {site()=>
        #[doc = #docs]
        #(#attrs)*
        #vis fn #name #generics (#inputs) -> #facade::Clear #where_clause {
            #bindings
            let __larder_clear = #facade::Clear::of(#record, #cache, #p::path_of(&|| ()));
            let _ = (#(&#names,)*);
            __larder_clear
        }
    }
}
