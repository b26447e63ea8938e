//! The steps before the body: what the answer is, the key, the tags.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

use super::{Emitted, signature, site};
use crate::args::{TagOption, Tier, bare};
use crate::check::{LEASE_TOO_SHORT, SHORTEST_LEASE};
use crate::duration::Time;
use crate::item::by_reference;
use crate::model::{CountedType, Model, Part, PartSource};
use crate::scan::{Names, plain};
use crate::template::{Place, Template};

/// The place of `tokens` with the names of this macro, so that an error is shown there.
pub(super) fn at(tokens: impl ToTokens) -> Span {
    site().located_at(tokens.to_token_stream().span())
}

/// The path of the facade.
pub(super) fn facade(model: &Model) -> TokenStream {
    match &model.options.krate {
        Some(path) => path.value.to_token_stream(),
        None => quote_spanned!(site()=> ::larder),
    }
}

/// The only door for generated code.
fn private(model: &Model) -> TokenStream {
    let facade = facade(model);
    quote_spanned!(site()=> #facade::__private)
}

/// `answer`, `storage`, and `call` with its key complete.
pub(super) fn prepared(model: &Model, emitted: Emitted) -> TokenStream {
    let p = private(model);
    let answer = answer(model);
    let record = record(model, emitted);
    let cache = match &model.options.cache {
        Some(cache) => {
            let expr = &cache.value;
            quote_spanned!(at(expr)=> #p::given(&(#expr)))
        }
        None => quote_spanned!(site()=> #p::current()),
    };
    let types = model.types.iter().map(|counted| match counted {
        CountedType::Parameter(ident) => quote_spanned!(site()=> #p::type_of::<#ident>()),
        CountedType::Opaque(index) => {
            let name = &model.function.arguments[*index].name;
            quote_spanned!(site()=> #p::type_of_val(&#name))
        }
    });
    let parts: TokenStream = model.parts.iter().map(|part| key_part(model, part)).collect();
    let when = match (&model.options.when, emitted) {
        (Some(when), Emitted::Cached | Emitted::Refresh) => {
            let when = &when.value;
            quote_spanned!(at(when)=> call.when(#when);)
        }
        _ => TokenStream::new(),
    };
    let ttl = match model.options.ttl.as_ref().map(|ttl| &ttl.value) {
        Some(Time::Expr(ttl)) => quote_spanned!(at(ttl)=> call.ttl(#ttl);),
        _ => TokenStream::new(),
    };
    let bindings = bindings(model, quote!(#cache #parts #when #ttl));
    let new = quote_spanned! {site()=>
        let mut call = #p::Call::new(#record, #cache, #p::path_of(&|| ()), &[#(#types),*], answer);
        #parts
        #when
        #ttl
    };
    let call = if bindings.is_empty() {
        new
    } else {
        // In a block, so that what the patterns bind does not outlive the options that name it.
        quote_spanned!(site()=> let mut call = { #bindings #new call };)
    };
    quote_spanned! {site()=>
        #answer
        #call
    }
}

/// `call.tags([..])`.
pub(super) fn tags(model: &Model) -> TokenStream {
    let p = private(model);
    let tags = model.options.tags.iter().flat_map(|tags| &tags.value);
    let tags: Vec<TokenStream> = tags
        .map(|tag| match tag {
            TagOption::Template(template) => tag_of(model, template, &p),
            TagOption::Expr(expr) => quote_spanned!(at(expr)=> #p::Tag::from(#expr)),
        })
        .collect();
    if tags.is_empty() {
        return TokenStream::new();
    }
    let bindings = bindings(model, quote!(#(#tags)*));
    quote_spanned! {site()=>
        {
            #bindings
            call.tags([#(#tags),*]);
        }
    }
}

/// What `store_if` says, asked for its type in one place, so that a mistake in it is told once.
pub(super) fn store_if(model: &Model) -> Option<TokenStream> {
    let p = private(model);
    let store_if = &model.options.store_if.as_ref()?.value;
    let span = at(store_if);
    Some(match bare(store_if) {
        // Where it stands its arguments get their types.
        Expr::Closure(closure) => {
            let capture = &closure.capture;
            quote_spanned!(span=> #capture |value| { use #p::accepts; accepts(value, #store_if) })
        }
        // What ends in a closure needs that too, and is evaluated before the body, as all options are.
        Expr::Block(_) | Expr::If(_) | Expr::Match(_) | Expr::Macro(_) => {
            quote_spanned!(span=> #p::accepting(answer, #store_if))
        }
        _ => quote_spanned! {span=>
            {
                let store_if = #store_if;
                move |value| #p::accepts(value, store_if)
            }
        },
    })
}

/// How followers get the leader's error.
pub(super) fn sharing(model: &Model) -> TokenStream {
    let p = private(model);
    quote_spanned! {site()=>
        {
            use #p::{OwnsErrors as _, SharesErrors as _};
            (&&#p::Answer::error_probe(answer)).sharing()
        }
    }
}

/// `answer` and `storage`: what the return type is and how it is kept, asked of the compiler.
fn answer(model: &Model) -> TokenStream {
    let p = private(model);
    let output = &model.function.output;
    let mut steps = quote_spanned! {at(output)=>
        let answer = {
            use #p::{AnswersFallible as _, AnswersFallibleOptional as _, AnswersOptional as _, AnswersPlain as _};
            (&&&&#p::Probe::<#output>::new()).answer()
        };
    };
    if let Some(none_ttl) = &model.options.none_ttl {
        let span = at(&none_ttl.option);
        steps.extend(quote_spanned!(span=> let answer = { use #p::keep_none; keep_none(answer) };));
    }
    let (value, error) = match model.options.is_kept_to(Tier::Local) {
        true => (["StoresLocally", "StoresNowhere"], ["StoresLocally", "StoresErrorNowhere"]),
        false => (["StoresEncoded", "StoresNothing"], ["StoresEncoded", "StoresNoError"]),
    };
    steps.extend(storage(&p, at(output), value));
    // The value was looked at alone: what is refused now is refused for its error.
    if let Some(err_ttl) = &model.options.err_ttl {
        let span = at(&err_ttl.option);
        steps.extend(quote_spanned!(span=> let answer = { use #p::keep_errors; keep_errors(answer) };));
        steps.extend(storage(&p, span, error));
    }
    steps
}

/// How the value is kept, by the first of two traits that fits it; the second one holds the refusal.
fn storage(p: &TokenStream, span: Span, [storing, refusing]: [&str; 2]) -> TokenStream {
    let (storing, refusing) = (Ident::new(storing, span), Ident::new(refusing, span));
    quote_spanned! {span=>
        let storage = {
            use #p::{#storing as _, #refusing as _};
            (&&#p::Answer::value_probe(answer)).storage()
        };
        let answer = #p::fitting(answer, storage);
    }
}

/// The static record, out of sight of the body.
fn record(model: &Model, emitted: Emitted) -> TokenStream {
    let p = private(model);
    let options = &model.options;
    let name = model.function.name();
    let emitted_name = match emitted {
        Emitted::Cached => name.clone(),
        Emitted::Refresh => signature::sibling_name(&model.function, "refresh").to_string(),
        Emitted::Entry => signature::sibling_name(&model.function, "entry").to_string(),
    };
    let mut policy = quote_spanned!(site()=> #p::Policy::new());
    let mut add = |setting: TokenStream| policy.extend(setting);
    if let Some(name) = &options.name {
        let name = &name.value;
        add(quote_spanned!(site()=> .name(#name)));
    }
    if let Some(version) = &options.version {
        let version = version.value;
        add(quote_spanned!(site()=> .version(#version)));
    }
    if let Some(ttl @ Time::Constant(_)) = options.ttl.as_ref().map(|ttl| &ttl.value) {
        let ttl = ttl.tokens();
        add(quote_spanned!(site()=> .ttl(#ttl)));
    }
    for (time, setting) in
        [(&options.local_ttl, "local_ttl"), (&options.none_ttl, "none_ttl"), (&options.err_ttl, "err_ttl")]
    {
        if let Some(time) = time {
            let (time, setting) = (time.value.tokens(), Ident::new(setting, site()));
            add(quote_spanned!(site()=> .#setting(#time)));
        }
    }
    if let Some(lease) = &options.lease {
        let time = lease.value.tokens();
        let time = match (&lease.value, emitted) {
            // A constant by name: the compiler has to look at it. In one of the emitted functions, so that it speaks once.
            (Time::Expr(expr), Emitted::Cached) => {
                let shortest = SHORTEST_LEASE.as_millis();
                quote_spanned!(at(expr)=> {
                    let lease: ::core::time::Duration = #time;
                    ::core::assert!(lease.as_millis() >= #shortest, #LEASE_TOO_SHORT);
                    lease
                })
            }
            _ => time,
        };
        add(quote_spanned!(site()=> .lease(#time)));
    }
    if let Some(stagger) = &options.stagger {
        let share = stagger.value;
        add(quote_spanned!(site()=> .stagger(#share)));
    }
    if options.is_kept_to(Tier::Shared) {
        add(quote_spanned!(site()=> .reads_through()));
    }
    // Where the attribute stands: the same in all that one attribute emits.
    let position = quote_spanned!(site()=> (::core::file!(), ::core::line!(), ::core::column!()));
    quote_spanned! {site()=>
        {
            static __LARDER_CALL_SITE: #p::CallSite =
                #p::CallSite::new(::core::module_path!(), #name, #emitted_name, #policy).at(#position);
            &__LARDER_CALL_SITE
        }
    }
}

/// Writes one key part, so that a refusal is shown at the argument.
fn key_part(model: &Model, part: &Part) -> TokenStream {
    let p = private(model);
    let function = &model.function;
    let (value, span, probe, refusal) = match &part.source {
        PartSource::Const(ident) => (ident.to_token_stream(), at(ident), "PartProbe", "RefusesPart"),
        PartSource::Argument(index) => {
            let argument = &function.arguments[*index];
            (argument.name.to_token_stream(), at(&argument.pattern), "PartProbe", "RefusesPart")
        }
        PartSource::Expr(expr) => (quote!((#expr)), at(expr), "PartProbe", "RefusesPart"),
        PartSource::Receiver => {
            let token = function.receiver.as_ref().map(|receiver| receiver.self_token);
            (token.to_token_stream(), at(token), "ReceiverProbe", "RefusesReceiver")
        }
    };
    let (probe, refusal) = (Ident::new(probe, span), Ident::new(refusal, span));
    let write = match part.is_secret {
        true => quote_spanned! {span=>
            let (key, secret) = call.secret();
            (&&#p::#probe(&#value)).write_secret(key, secret);
        },
        false => quote_spanned!(span=> (&&#p::#probe(&#value)).write(call.key());),
    };
    quote_spanned! {span=>
        {
            use #p::{#refusal as _, WritesPart as _};
            #write
        }
    }
}

/// `Tag::from(format_args!("restaurant:{}", restaurant_id))`.
fn tag_of(model: &Model, template: &Template, p: &TokenStream) -> TokenStream {
    let span = site().located_at(template.span);
    let format = syn::LitStr::new(&template.format, span);
    if template.places.is_empty() {
        return quote_spanned!(span=> #p::Tag::from(#format));
    }
    let places = template.places.iter().map(|place| place_of(model, place, template.span));
    quote_spanned!(span=> #p::Tag::from(::core::format_args!(#format, #(#places),*)))
}

/// `user.address.0`, the argument with its own hygiene, all shown at the literal.
fn place_of(model: &Model, place: &Place, span: Span) -> TokenStream {
    let function = &model.function;
    let base = match place.name.as_str() {
        "self" => function.self_at(span),
        word => function.binding(word).map(|bound| {
            let mut ident = bound.clone();
            ident.set_span(bound.span().located_at(span));
            ident
        }),
    };
    let fields = place.fields.iter().map(|field| match field.parse::<u32>() {
        Ok(index) => syn::Index { index, span }.to_token_stream(),
        Err(_) => field_ident(field, span).to_token_stream(),
    });
    quote_spanned!(span=> #base #(.#fields)*)
}

/// A field's name, raw if it is a keyword.
fn field_ident(field: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(field) {
        Ok(_) => Ident::new(field, span),
        Err(_) => Ident::new_raw(field, span),
    }
}

/// Brings the names of patterns into scope, by reference, where `tokens` use them.
fn bindings(model: &Model, tokens: TokenStream) -> TokenStream {
    let names = Names::of(tokens);
    let is_used = |bound: &Vec<Ident>| bound.iter().any(|bound| names.has(&plain(bound)));
    let arguments = model.function.arguments.iter();
    let arguments = arguments.filter(|argument| argument.is_pattern && is_used(&argument.bound));
    arguments.map(by_reference).collect()
}
