//! From the options to tokens: what is known before the body, the body, what comes after it.
//!
//! The body may move its arguments. So what does not need the result is evaluated before it; an argument that is
//! used together with the result is cloned, and one in a placeholder is formatted.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, ExprPath, LitStr};

use super::Kind;
use super::args::Options;
use crate::args::TagOption;
use crate::expand::body::awaited_here;
use crate::expand::call::{at, bindings, cache_of, facade_at, field_ident, fields_of, place_of, tag_from};
use crate::expand::{signature, site};
use crate::item::{Argument, Function, Place};
use crate::names;
use crate::scan::{Names, plain, uses};
use crate::template::Template;
use crate::together;

/// Whether an expression needs what the function returns.
pub(super) fn mentions_result(expr: &Expr) -> bool {
    Names::of(expr).has("result")
}

/// The function.
pub(super) fn expand(kind: Kind, function: &Function, options: &Options) -> TokenStream {
    let parts = Parts::of(kind, function, options);
    let Parts { p, before, after, finish, .. } = &parts;
    let kept = parts.kept();
    let again = parts.again();
    let body = awaited_here(function);
    let when = options.when.as_ref().map(|when| {
        let when = &when.value;
        quote_spanned!(at(when)=> #p::holds(__larder_value, #when))
    });
    let when = when.unwrap_or_else(|| quote_spanned!(site()=> true));
    let after = quote_spanned! {site()=>
        #again
        if #when {
            #after
        } else {
            ::core::option::Option::None
        }
    };
    let steps = quote_spanned! {site()=>
        #before
        #kept
        let __larder_output = #body.await;
        let __larder_answer = {
            use #p::{AnswersFallible as _, AnswersPlain as _};
            (&&&&#p::Probe::of(&__larder_output)).answer()
        };
        let __larder_changes = match #p::Answer::stored(__larder_answer, &__larder_output) {
            ::core::option::Option::Some(__larder_value) => {
                let _ = __larder_value;
                #after
            }
            ::core::option::Option::None => ::core::option::Option::None,
        };
        #finish
    };
    let (attrs, vis, sig) = (together::told(function), &function.vis, signature::wrapper(function));
    // The shape that `#[async_trait]` makes, which other attributes look for.
    let block = match function.place {
        Place::Boxed => quote_spanned!(site()=> ::std::boxed::Box::pin(async move { #steps })),
        _ => steps,
    };
    quote_spanned!(site()=> #(#attrs)* #vis #sig { #block })
}

/// What is put around the body.
struct Parts<'f> {
    function: &'f Function,
    p: TokenStream,
    before: TokenStream,
    /// An expression: what is to be applied, if anything.
    after: TokenStream,
    /// Applies `changes`, and ends with what is answered.
    finish: TokenStream,
    /// Expressions that are evaluated after the body.
    late: Vec<Expr>,
    /// How many texts were formatted before the body.
    texts: usize,
}

impl<'f> Parts<'f> {
    fn of(kind: Kind, function: &'f Function, options: &Options) -> Self {
        let facade = facade_at(options.krate.as_ref());
        let p = quote_spanned!(site()=> #facade::__private);
        let finish = finish(options, &p);
        let empty = TokenStream::new;
        let mut parts =
            Self { function, p, before: empty(), after: empty(), finish, late: Vec::new(), texts: 0 };
        let closures = [&options.when, &options.value].into_iter().flatten();
        parts.late.extend(closures.map(|closure| Expr::Closure(closure.value.clone())));
        match kind {
            Kind::Invalidates => parts.invalidates(options),
            Kind::Updates => parts.updates(options),
        }
        parts
    }

    fn invalidates(&mut self, options: &Options) {
        let p = self.p.clone();
        let cache = cache_of(options.cache.as_ref(), &p);
        let bound = bindings(self.function, cache.clone());
        self.before.extend(quote_spanned! {site()=>
            let mut __larder_writing = { #bound #p::Writing::new(#cache) };
        });
        for function in &options.functions {
            let clear = sibling(function);
            self.before
                .extend(quote_spanned!(at(function)=> #p::Writing::add(&mut __larder_writing, #clear());));
        }
        for tag in options.tags.iter().flat_map(|tags| &tags.value) {
            match tag {
                TagOption::Template(template) => self.template(template),
                TagOption::Expr(expr) => {
                    let span = at(expr);
                    let tag = tag_from(&p, span, expr);
                    let tag = quote_spanned!(span=> #p::Writing::tag(&mut __larder_writing, #tag););
                    self.add(expr, tag);
                }
            }
        }
        for entry in options.handles() {
            let p = &self.p;
            let add = quote_spanned!(at(entry)=> #p::Writing::add(&mut __larder_writing, #entry););
            self.add(entry, add);
        }
        let softly = options
            .expire
            .as_ref()
            .map(|_| quote_spanned!(site()=> let __larder_writing = __larder_writing.softly();));
        self.after.extend(quote_spanned!(site()=> #softly ::core::option::Option::Some(__larder_writing)));
    }

    fn updates(&mut self, options: &Options) {
        let p = self.p.clone();
        // Cannot be missing: that is a rule.
        let (Some(entry), Some(value)) = (&options.entry, &options.value) else { return };
        let (entry, value) = (&entry.value, &value.value);
        let bound = bindings(self.function, entry.to_token_stream());
        if mentions_result(entry) {
            self.late.push(entry.clone());
            let result = result(entry);
            self.after
                .extend(quote_spanned!(at(entry)=> let __larder_entry = #p::handle({ #result #entry });));
        } else {
            self.before
                .extend(quote_spanned!(at(entry)=> let __larder_entry = #p::handle({ #bound #entry });));
        }
        self.after.extend(quote_spanned! {at(value)=>
            ::core::option::Option::Some(#p::Updating::new(__larder_entry, __larder_value, #value))
        });
    }

    /// Adds what `expr` names by `add`, before the body if it can be told then.
    fn add(&mut self, expr: &Expr, add: TokenStream) {
        if mentions_result(expr) {
            self.late.push(expr.clone());
            let result = result(expr);
            self.after.extend(quote_spanned!(site()=> { #result #add }));
        } else {
            let bound = bindings(self.function, expr.to_token_stream());
            self.before.extend(quote_spanned!(site()=> { #bound #add }));
        }
    }

    /// A tag with placeholders. What they say of the arguments is formatted before the body, whatever becomes of those.
    fn template(&mut self, template: &Template) {
        let (p, span) = (self.p.clone(), site().located_at(template.span));
        let of_result = |place: &crate::template::Place| place.name == "result";
        let is_late = template.places.iter().any(of_result);
        if template.places.is_empty() {
            let text = LitStr::new(&template.format, span);
            let tag = tag_from(&p, span, text);
            self.before.extend(quote_spanned!(span=> #p::Writing::tag(&mut __larder_writing, #tag);));
            return;
        }
        let (mut specs, mut values) = (Vec::new(), Vec::new());
        for (place, spec) in template.places.iter().zip(&template.specs) {
            if of_result(place) {
                let fields = fields_of(place, span);
                specs.push(spec.clone());
                values.push(quote_spanned!(span=> __larder_value #fields));
                continue;
            }
            let value = place_of(self.function, place, template.span);
            if !is_late {
                specs.push(spec.clone());
                values.push(value);
                continue;
            }
            let (text, format) = (names::own(&format!("text{}", self.texts), span), LitStr::new(spec, span));
            self.texts += 1;
            let bound = bindings(self.function, word(place, span));
            self.before.extend(quote_spanned! {span=>
                let #text = { #bound ::std::string::ToString::to_string(&::core::format_args!(#format, #value)) };
            });
            specs.push("{}".to_owned());
            values.push(text.to_token_stream());
        }
        let format = LitStr::new(&template.format_with(&specs), span);
        let tag = tag_from(&p, span, quote_spanned!(span=> ::core::format_args!(#format, #(#values),*)));
        let add = quote_spanned!(span=> #p::Writing::tag(&mut __larder_writing, #tag););
        if is_late {
            self.after.extend(add);
        } else {
            let names = template.places.iter().map(|place| word(place, span));
            let bound = bindings(self.function, quote!(#(#names)*));
            self.before.extend(quote_spanned!(site()=> { #bound #add }));
        }
    }

    /// The arguments that are used after the body: which, what each is kept as, and where it is used.
    fn late_names(&self) -> Vec<(&'f Argument, &'f Ident, Ident, Span)> {
        let words: Vec<String> = self.function.words();
        let used: Vec<_> = self.late.iter().flat_map(|expr| uses(expr, &words)).collect();
        let mut names = Vec::new();
        for argument in &self.function.arguments {
            for bound in &argument.bound {
                let word = plain(bound);
                if let Some((_, place)) = used.iter().find(|(used, _)| *used == word) {
                    let kept = names::own(&format!("kept{}", names.len()), site());
                    names.push((argument, bound, kept, at(place)));
                }
            }
        }
        names
    }

    /// Keeps the arguments that are used after the body.
    fn kept(&self) -> TokenStream {
        let p = &self.p;
        let keep = |(argument, bound, kept, span): (&Argument, &Ident, Ident, Span)| {
            let probed = match argument.is_pattern {
                true => quote!(#bound),
                false => quote!(&#bound),
            };
            let bindings = bindings(self.function, bound.to_token_stream());
            quote_spanned! {span=>
                let #kept = {
                    #bindings
                    use #p::{Keeps as _, RefusesToKeep as _};
                    (&&#p::KeepProbe(#probed)).keep()
                };
            }
        };
        self.late_names().into_iter().map(keep).collect()
    }

    /// Gives them their names again; names that a pattern binds are references, as before the body.
    fn again(&self) -> TokenStream {
        let name = |(argument, bound, kept, _): (&Argument, &Ident, Ident, Span)| match argument.is_pattern {
            true => quote_spanned!(site()=> let #bound = &#kept; let _ = #bound;),
            false => quote_spanned!(site()=> let #bound = #kept; let _ = &#bound;),
        };
        self.late_names().into_iter().map(name).collect()
    }
}

/// `let result = value;` where an expression says `result`.
fn result(expr: &Expr) -> TokenStream {
    // With the place of the user's own word, so that both mean one thing.
    let span = uses(expr, &["result"]).first().and_then(|(_, place)| place.clone().into_iter().next());
    let span = span.map_or_else(Span::call_site, |token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident.span(),
        _ => Span::call_site(),
    });
    let result = Ident::new("result", span);
    quote_spanned!(site()=> let #result = __larder_value; let _ = #result;)
}

/// What happens to `changes`, and what is answered.
fn finish(options: &Options, p: &TokenStream) -> TokenStream {
    let Some(strict) = &options.strict else {
        return quote_spanned! {site()=>
            if let ::core::option::Option::Some(__larder_changes) = __larder_changes {
                __larder_changes.apply_quietly().await;
            }
            __larder_output
        };
    };
    let answer = quote_spanned! {at(&strict.option)=>
        {
            use #p::{IsStrict as _, IsStrictWithNoError as _, IsStrictWithoutError as _};
            (&&&#p::StrictProbe(__larder_answer)).answer(__larder_error)
        }
    };
    quote_spanned! {site()=>
        match __larder_changes {
            ::core::option::Option::Some(__larder_changes) => match __larder_changes.apply().await {
                ::core::result::Result::Ok(()) => __larder_output,
                ::core::result::Result::Err(__larder_error) => #answer,
            },
            ::core::option::Option::None => __larder_output,
        }
    }
}

/// `menu_of_clear` for `menu_of`, with the path before it.
fn sibling(function: &ExprPath) -> ExprPath {
    let mut clear = function.clone();
    if let Some(last) = clear.path.segments.last_mut() {
        last.ident = format_ident!("{}_clear", plain(&last.ident), span = last.ident.span());
    }
    clear
}

/// The name that a placeholder begins with, to look for what binds it.
fn word(place: &crate::template::Place, span: Span) -> TokenStream {
    match place.name.as_str() {
        "self" => TokenStream::new(),
        name => field_ident(name, span).to_token_stream(),
    }
}
