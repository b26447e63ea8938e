//! From the options to tokens: what is known before the body, the body, what comes after it.
//!
//! The body may move its arguments. So what does not need the result is evaluated before it; an argument that is
//! used together with the result is cloned, and one in a placeholder is formatted.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, ExprPath, LitStr};

use super::args::Options;
use super::{Kind, Written};
use crate::args::TagOption;
use crate::expand::body::awaited_here;
use crate::expand::call::{at, bindings, cache_of, facade_at, field_ident, fields_of, place_of, tag_from};
use crate::expand::{braced, signature, site};
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
pub(super) fn expand(function: &Function, all: &[Written]) -> TokenStream {
    let mut parts = Parts::of(function);
    let changes: Vec<Change<'_>> = all.iter().enumerate().map(|(at, one)| parts.change(at, one)).collect();
    let Parts { before, .. } = &parts;
    let again = (0..changes.len()).map(|at| parts.again(at));
    let body = awaited_here(function);
    // All of them are armed before more is told of any: what tells it may panic.
    let (nothing, armed, more, finish) = (
        changes
            .iter()
            .map(|Change { p, due, .. }| quote_spanned!(site()=> let mut #due = #p::Due::nothing();)),
        changes.iter().map(|change| &change.armed),
        changes.iter().map(Change::more),
        finish(&changes),
    );
    let Some(p) = changes.first().map(|first| &first.p) else { return TokenStream::new() };
    let kept = parts.kept(p);
    let steps = quote_spanned! {site()=>
        #before
        #kept
        let __larder_output = #body.await;
        let __larder_answer = {
            use #p::{AnswersFallible as _, AnswersPlain as _};
            (&&&&#p::Probe::of(&__larder_output)).answer()
        };
        #(#nothing)*
        if let ::core::option::Option::Some(__larder_value) = #p::Answer::stored(__larder_answer, &__larder_output) {
            let _ = __larder_value;
            #(#armed)*
            #({ #again #more })*
        }
        #finish
    };
    let (attrs, vis, sig) = (together::told(function), &function.vis, signature::wrapper(function));
    // The shape that `#[async_trait]` makes, which other attributes look for.
    let block = match function.place {
        Place::Boxed => quote_spanned!(site()=> ::std::boxed::Box::pin(async move { #steps })),
        _ => steps,
    };
    let block = braced(function, block);
    quote_spanned!(site()=> #(#attrs)* #vis #sig #block)
}

/// What is put around the body, for all attributes.
struct Parts<'f> {
    function: &'f Function,
    before: TokenStream,
    /// Expressions that are evaluated after the body, each with the place of its attribute.
    late: Vec<(usize, Expr)>,
    /// The attribute that is being added.
    at: usize,
    /// How many texts were formatted before the body.
    texts: usize,
}

/// What one attribute changes.
struct Change<'o> {
    options: &'o Options,
    p: TokenStream,
    /// What names it before the body.
    named: Ident,
    /// What is due after it.
    due: Ident,
    /// Arms it, as far as it is known before the body.
    armed: TokenStream,
    /// Tells the rest of it, which the result or the arguments tell.
    told: TokenStream,
}

impl Change<'_> {
    /// Whether it is due at all, and the rest of it.
    fn more(&self) -> TokenStream {
        let Self { options, p, due, told, .. } = self;
        let Some(when) = &options.when else { return told.clone() };
        let when = &when.value;
        let holds = quote_spanned!(at(when)=> #p::holds(__larder_value, #when));
        quote_spanned!(site()=> if #holds { #told } else { #p::Due::cancel(&mut #due); })
    }
}

impl<'f> Parts<'f> {
    fn of(function: &'f Function) -> Self {
        Self { function, before: TokenStream::new(), late: Vec::new(), at: 0, texts: 0 }
    }

    /// Adds an attribute.
    fn change<'o>(&mut self, at: usize, Written { kind, options }: &'o Written) -> Change<'o> {
        self.at = at;
        let facade = facade_at(options.krate.as_ref());
        let mut change = Change {
            options,
            p: quote_spanned!(site()=> #facade::__private),
            named: names::own(&format!("named{at}"), site()),
            due: names::own(&format!("due{at}"), site()),
            armed: TokenStream::new(),
            told: TokenStream::new(),
        };
        let closures = [&options.when, &options.value].into_iter().flatten();
        self.late.extend(closures.map(|closure| (at, Expr::Closure(closure.value.clone()))));
        match kind {
            Kind::Invalidates => self.invalidates(&mut change),
            Kind::Updates => self.updates(&mut change),
        }
        change
    }

    fn invalidates(&mut self, change: &mut Change<'_>) {
        let (options, p, named) = (change.options, change.p.clone(), change.named.clone());
        let cache = cache_of(options.cache.as_ref(), &p);
        let bound = bindings(self.function, cache.clone());
        self.before.extend(quote_spanned! {site()=>
            let mut #named = { #bound #p::Writing::new(#cache) };
        });
        for function in &options.functions {
            let clear = sibling(function);
            self.before.extend(quote_spanned!(at(function)=> #p::Writing::add(&mut #named, #clear());));
        }
        for tag in options.tags.iter().flat_map(|tags| &tags.value) {
            match tag {
                TagOption::Template(template) => self.template(change, template),
                TagOption::Expr(expr) => {
                    let span = at(expr);
                    let tag = tag_from(&p, span, expr);
                    self.add(change, expr, span, |to, set| quote_spanned!(span=> #to::tag(&mut #set, #tag);));
                }
            }
        }
        for entry in options.handles() {
            let span = at(entry);
            self.add(change, entry, span, |to, set| quote_spanned!(span=> #to::add(&mut #set, #entry);));
        }
        let due = &change.due;
        change.armed.extend(quote_spanned!(site()=> #due = #p::Due::new(#named);));
        if options.expire.is_some() {
            change.told.extend(quote_spanned!(site()=> #p::Due::softly(&mut #due);));
        }
    }

    fn updates(&mut self, change: &mut Change<'_>) {
        let (options, p, named, due) = (change.options, &change.p, &change.named, &change.due);
        // Cannot be missing: that is a rule.
        let (Some(entry), Some(value)) = (&options.entry, &options.value) else { return };
        let (entry, value) = (&entry.value, &value.value);
        let bound = bindings(self.function, entry.to_token_stream());
        if mentions_result(entry) {
            self.late.push((self.at, entry.clone()));
            let result = result(entry);
            change.told.extend(quote_spanned!(at(entry)=> let #named = #p::handle({ #result #entry });));
            change.told.extend(quote_spanned!(site()=> #due = #p::Due::new(#p::Updating::of(#named));));
        } else {
            self.before.extend(quote_spanned!(at(entry)=> let #named = #p::handle({ #bound #entry });));
            change.armed.extend(quote_spanned!(site()=> #due = #p::Due::new(#p::Updating::of(#named));));
        }
        change.told.extend(quote_spanned!(at(value)=> #p::Due::value(&mut #due, __larder_value, #value);));
    }

    /// Adds what `expr` names by `add`, before the body if it can be told then.
    fn add(
        &mut self,
        change: &mut Change<'_>,
        expr: &Expr,
        span: Span,
        add: impl Fn(TokenStream, &Ident) -> TokenStream,
    ) {
        let Change { p, named, due, told, .. } = change;
        if mentions_result(expr) {
            self.late.push((self.at, expr.clone()));
            let (result, add) = (result(expr), add(quote_spanned!(span=> #p::Due), due));
            told.extend(quote_spanned!(site()=> { #result #add }));
        } else {
            let add = add(quote_spanned!(span=> #p::Writing), named);
            let bound = bindings(self.function, expr.to_token_stream());
            self.before.extend(quote_spanned!(site()=> { #bound #add }));
        }
    }

    /// A tag with placeholders. What they say of the arguments is formatted before the body, whatever becomes of those.
    fn template(&mut self, change: &mut Change<'_>, template: &Template) {
        let Change { p, named, due, told, .. } = change;
        let span = site().located_at(template.span);
        let of_result = |place: &crate::template::Place| place.name == "result";
        let is_late = template.places.iter().any(of_result);
        if template.places.is_empty() {
            let text = LitStr::new(&template.format, span);
            let tag = tag_from(p, span, text);
            self.before.extend(quote_spanned!(span=> #p::Writing::tag(&mut #named, #tag);));
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
        let tag = tag_from(p, span, quote_spanned!(span=> ::core::format_args!(#format, #(#values),*)));
        if is_late {
            told.extend(quote_spanned!(span=> #p::Due::tag(&mut #due, #tag);));
        } else {
            let add = quote_spanned!(span=> #p::Writing::tag(&mut #named, #tag););
            let names = template.places.iter().map(|place| word(place, span));
            let bound = bindings(self.function, quote!(#(#names)*));
            self.before.extend(quote_spanned!(site()=> { #bound #add }));
        }
    }

    /// The arguments that are used after the body.
    fn late_names(&self) -> Vec<Late<'f>> {
        let words: Vec<String> = self.function.words();
        let uses = |(at, expr): &(usize, Expr)| {
            uses(expr, &words).into_iter().map(|(word, place)| (*at, word, place)).collect::<Vec<_>>()
        };
        let used: Vec<_> = self.late.iter().flat_map(uses).collect();
        let mut names = Vec::new();
        for argument in &self.function.arguments {
            for bound in &argument.bound {
                let word = plain(bound);
                let of_this = || used.iter().filter(|(_, used, _)| *used == word);
                if let Some((.., place)) = of_this().next() {
                    let kept = names::own(&format!("kept{}", names.len()), site());
                    let users = of_this().map(|(at, ..)| *at).collect();
                    names.push(Late { argument, bound, kept, span: self::at(place), users });
                }
            }
        }
        names
    }

    /// Keeps the arguments that are used after the body.
    fn kept(&self, p: &TokenStream) -> TokenStream {
        let keep = |Late { argument, bound, kept, span, .. }: Late<'_>| {
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

    /// Gives those that an attribute uses their names again, each attribute its own; names that a pattern binds are references, as
    /// before the body.
    fn again(&self, at: usize) -> TokenStream {
        let names = self.late_names().into_iter().filter(|late| late.users.contains(&at));
        let name = |Late { argument, bound, kept, users, .. }: Late<'_>| {
            if argument.is_pattern {
                return quote_spanned!(site()=> let #bound = &#kept; let _ = #bound;);
            }
            let value = match users.iter().any(|user| *user > at) {
                true => quote_spanned!(site()=> ::core::clone::Clone::clone(&#kept)),
                false => kept.to_token_stream(),
            };
            quote_spanned!(site()=> let #bound = #value; let _ = &#bound;)
        };
        names.map(name).collect()
    }
}

/// An argument that is used after the body.
struct Late<'f> {
    argument: &'f Argument,
    bound: &'f Ident,
    /// What it is kept as.
    kept: Ident,
    /// Where it is used first.
    span: Span,
    /// The places of the attributes that use it.
    users: Vec<usize>,
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

/// What is due takes effect, one after the other, whatever fails; then what is answered: an error of one that is strict, or what the
/// body came to.
fn finish(changes: &[Change<'_>]) -> TokenStream {
    let (mut apply, mut answer) = (TokenStream::new(), quote_spanned!(site()=> __larder_output));
    for Change { options, p, due, .. } in changes.iter().rev() {
        let Some(strict) = &options.strict else {
            apply = quote_spanned! {site()=>
                if let ::core::option::Option::Some(__larder_changes) = #p::Due::take(&mut #due) {
                    __larder_changes.apply_quietly().await;
                }
                #apply
            };
            continue;
        };
        apply = quote_spanned! {site()=>
            let #due = match #p::Due::take(&mut #due) {
                ::core::option::Option::Some(__larder_changes) => __larder_changes.apply().await,
                ::core::option::Option::None => ::core::result::Result::Ok(()),
            };
            #apply
        };
        let failed = quote_spanned! {at(&strict.option)=>
            {
                use #p::{IsStrict as _, IsStrictWithNoError as _, IsStrictWithoutError as _};
                (&&&#p::StrictProbe(__larder_answer)).answer(__larder_error)
            }
        };
        answer = quote_spanned! {site()=>
            match #due {
                ::core::result::Result::Ok(()) => { #answer }
                ::core::result::Result::Err(__larder_error) => #failed,
            }
        };
    }
    quote_spanned!(site()=> #apply #answer)
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
