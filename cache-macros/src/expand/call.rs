//! The steps before the body: what the answer is, the key, the tags.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Path};

use super::{Emitted, record, site};
use crate::args::{Given, TagOption, Tier};
use crate::duration::Time;
use crate::item::{Function, by_reference};
use crate::model::{CountedType, Model, Part, PartSource};
use crate::scan::{Names, plain};
use crate::template::{Place, Template};

/// The place of `tokens` with the names of this macro, so that an error is shown there.
pub(crate) fn at(tokens: impl ToTokens) -> Span {
    site().located_at(tokens.to_token_stream().span())
}

/// The path of the facade.
pub(super) fn facade(model: &Model) -> TokenStream {
    facade_at(model.options.krate.as_ref())
}

/// The path of the facade that `crate = path` gives.
pub(crate) fn facade_at(krate: Option<&Given<Path>>) -> TokenStream {
    match krate {
        Some(path) => path.value.to_token_stream(),
        None => quote_spanned!(site()=> ::larder),
    }
}

/// The only door for generated code.
pub(super) fn private(model: &Model) -> TokenStream {
    let facade = facade(model);
    quote_spanned!(site()=> #facade::__private)
}

/// `answer`, `storage`, and `call` with its key complete.
pub(super) fn prepared(model: &Model, emitted: Emitted) -> TokenStream {
    let answer = answer(model);
    let call = begun(model, emitted, cache(model));
    quote_spanned! {site()=>
        #answer
        #call
    }
}

/// The cache of a call.
pub(super) fn cache(model: &Model) -> TokenStream {
    cache_of(model.options.cache.as_ref(), &private(model))
}

/// The cache that `cache = EXPR` gives.
pub(crate) fn cache_of(cache: Option<&Given<Expr>>, p: &TokenStream) -> TokenStream {
    match cache {
        Some(cache) => {
            let expr = &cache.value;
            quote_spanned!(at(expr)=> #p::given(&(#expr)))
        }
        None => quote_spanned!(site()=> #p::current()),
    }
}

/// `call` with its key complete, once `answer` is there.
pub(super) fn begun(model: &Model, emitted: Emitted, cache: TokenStream) -> TokenStream {
    let p = private(model);
    let record = record::record(model, emitted);
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
            quote_spanned!(at(when)=> __larder_call.when(#when);)
        }
        _ => TokenStream::new(),
    };
    let ttl = match model.options.ttl.as_ref().map(|ttl| &ttl.value) {
        Some(Time::Expr(ttl)) => quote_spanned!(at(ttl)=> __larder_call.ttl(#ttl);),
        _ => TokenStream::new(),
    };
    let bindings = bindings(&model.function, quote!(#cache #parts #when #ttl));
    let new = quote_spanned! {site()=>
        let mut __larder_call = #p::Call::new(#record, #cache, #p::path_of(&|| ()), &[#(#types),*], __larder_answer);
        #parts
        #when
        #ttl
    };
    if bindings.is_empty() {
        new
    } else {
        // In a block, so that what the patterns bind does not outlive the options that name it.
        quote_spanned!(site()=> let mut __larder_call = { #bindings #new __larder_call };)
    }
}

/// `call.tags([..])`.
pub(super) fn tags(model: &Model) -> TokenStream {
    let p = private(model);
    let tags = model.options.tags.iter().flat_map(|tags| &tags.value);
    let tags: Vec<TokenStream> = tags
        .map(|tag| match tag {
            TagOption::Template(template) => tag_of(model, template, &p),
            TagOption::Expr(expr) => tag_from(&p, at(expr), expr),
        })
        .collect();
    if tags.is_empty() {
        return TokenStream::new();
    }
    let bindings = bindings(&model.function, quote!(#(#tags)*));
    quote_spanned! {site()=>
        {
            #bindings
            __larder_call.tags([#(#tags),*]);
        }
    }
}

/// `answer` and `storage`: what the return type is and how it is kept, asked of the compiler.
fn answer(model: &Model) -> TokenStream {
    let p = private(model);
    let output = &model.function.output;
    let mut steps = quote_spanned! {at(output)=>
        let __larder_answer = {
            use #p::{AnswersFallible as _, AnswersFallibleOptional as _, AnswersOptional as _, AnswersPlain as _};
            (&&&&#p::Probe::<#output>::new()).answer()
        };
    };
    if let Some(none_ttl) = &model.options.none_ttl {
        let span = at(&none_ttl.option);
        steps.extend(quote_spanned!(span=> let __larder_answer = { use #p::keep_none as __larder_keep; __larder_keep(__larder_answer) };));
    }
    let (value, error) = match model.options.is_kept_to(Tier::Local) {
        true => (["StoresLocally", "StoresNowhere"], ["StoresLocally", "StoresErrorNowhere"]),
        false => (["StoresEncoded", "StoresNothing"], ["StoresEncoded", "StoresNoError"]),
    };
    steps.extend(storage(&p, at(output), value));
    // The value was looked at alone: what is refused now is refused for its error.
    if let Some(err_ttl) = &model.options.err_ttl {
        let span = at(&err_ttl.option);
        steps.extend(quote_spanned!(span=> let __larder_answer = { use #p::keep_errors as __larder_keep; __larder_keep(__larder_answer) };));
        steps.extend(storage(&p, span, error));
    }
    steps
}

/// How the value is kept, as the options say.
pub(super) fn stored(model: &Model) -> TokenStream {
    let p = private(model);
    let traits = match model.options.is_kept_to(Tier::Local) {
        true => ["StoresLocally", "StoresNowhere"],
        false => ["StoresEncoded", "StoresNothing"],
    };
    storage(&p, at(&model.function.output), traits)
}

/// How the value is kept, by the first of two traits that fits it; the second one holds the refusal.
fn storage(p: &TokenStream, span: Span, [storing, refusing]: [&str; 2]) -> TokenStream {
    let (storing, refusing) = (Ident::new(storing, span), Ident::new(refusing, span));
    quote_spanned! {span=>
        let __larder_storage = {
            use #p::{#storing as _, #refusing as _};
            (&&#p::Answer::value_probe(__larder_answer)).storage()
        };
        let __larder_answer = #p::fitting(__larder_answer, __larder_storage);
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
    match part.is_secret {
        true => quote_spanned! {span=>
            {
                use #p::{RefusesSecret as _, WritesSecret as _};
                let (__larder_key, __larder_secret) = __larder_call.secret();
                (&&#p::SecretProbe(&#value)).write_secret(__larder_key, __larder_secret);
            }
        },
        false => quote_spanned! {span=>
            {
                use #p::{#refusal as _, WritesPart as _};
                (&&#p::#probe(&#value)).write(__larder_call.key());
            }
        },
    }
}

/// The tag of `format_args!("restaurant:{}", restaurant_id)`.
fn tag_of(model: &Model, template: &Template, p: &TokenStream) -> TokenStream {
    let span = site().located_at(template.span);
    let format = syn::LitStr::new(&template.format, span);
    if template.places.is_empty() {
        return tag_from(p, span, format);
    }
    let places = template.places.iter().map(|place| place_of(&model.function, place, template.span));
    tag_from(p, span, quote_spanned!(span=> ::core::format_args!(#format, #(#places),*)))
}

/// The tag that a text or an expression is.
pub(crate) fn tag_from(p: &TokenStream, span: Span, what: impl ToTokens) -> TokenStream {
    quote_spanned!(span=> #p::IntoTag::into_tag(#what))
}

/// `user.address.0`, the argument with its own hygiene, all shown at the literal.
pub(crate) fn place_of(function: &Function, place: &Place, span: Span) -> TokenStream {
    let base = match place.name.as_str() {
        "self" => function.self_at(span),
        word => function.binding(word).map(|bound| {
            let mut ident = bound.clone();
            ident.set_span(bound.span().located_at(span));
            ident
        }),
    };
    let fields = fields_of(place, span);
    quote_spanned!(span=> #base #fields)
}

/// `.address.0`
pub(crate) fn fields_of(place: &Place, span: Span) -> TokenStream {
    let fields = place.fields.iter().map(|field| match field.parse::<u32>() {
        Ok(index) => syn::Index { index, span }.to_token_stream(),
        Err(_) => field_ident(field, span).to_token_stream(),
    });
    quote_spanned!(span=> #(.#fields)*)
}

/// A field's name, raw if it is a keyword.
pub(crate) fn field_ident(field: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(field) {
        Ok(_) => Ident::new(field, span),
        Err(_) => Ident::new_raw(field, span),
    }
}

/// Brings the names of patterns into scope, by reference, where `tokens` use them.
pub(crate) fn bindings(function: &Function, tokens: TokenStream) -> TokenStream {
    let names = Names::of(tokens);
    let is_used = |bound: &Vec<Ident>| bound.iter().any(|bound| names.has(&plain(bound)));
    let arguments = function.arguments.iter();
    let arguments = arguments.filter(|argument| argument.is_pattern && is_used(&argument.bound));
    arguments.map(by_reference).collect()
}
