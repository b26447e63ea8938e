//! Every rule of the two attributes. All of them are asked, whatever the others say.

use proc_macro2::Span;
use syn::visit::Visit;
use syn::{Expr, ReceiverKind};

use super::Kind;
use super::args::Options;
use super::expand::mentions_result;
use crate::args::TagOption;
use crate::check::expression::Detours;
use crate::check::signature::conditions;
use crate::diag::{Diagnostics, listed, nearest};
use crate::item::{Function, Place};
use crate::scan::{plain, uses};
use crate::together::lost;

const WAITING: &str = "what is invalidated is told without waiting: write an expression without `.await`, or pass the \
                       value as an argument";

/// Reports all that is wrong with the options, the function, and the two together.
pub(super) fn check(kind: Kind, function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    signature(kind, function, diagnostics);
    conditions(function, diagnostics);
    purpose(kind, options, diagnostics);
    places(function, options, diagnostics);
    expressions(options, diagnostics);
    receiver(function, options, diagnostics);
}

fn signature(kind: Kind, function: &Function, diagnostics: &mut Diagnostics) {
    let sig = &function.sig;
    if let Some(constness) = &sig.constness {
        diagnostics.report(constness, "a `const fn` writes nothing: remove `const` and write `async fn`");
    }
    if sig.asyncness.is_none() && function.place != Place::Boxed {
        diagnostics.report(
            sig.fn_token,
            format!("`{}` waits for the shared tier after the body: write `async fn`", kind.name()),
        );
    }
    for bound in function.arguments.iter().flat_map(|argument| &argument.bound) {
        if plain(bound) == "result" {
            diagnostics.report(
                bound,
                "in the options `result` is what the function returns: give this argument another name",
            );
        }
    }
}

/// An attribute that does nothing.
fn purpose(kind: Kind, options: &Options, diagnostics: &mut Diagnostics) {
    if options.has_unknown(kind) {
        return;
    }
    let mut missing = |message: &str| diagnostics.report_at(Span::call_site(), message);
    match kind {
        Kind::Invalidates => {
            let named = ["tags", "entries", "function", "functions"];
            if !named.iter().any(|option| options.mentions(option)) {
                missing(
                    "nothing to invalidate is named: write `tags = [\"menu:{id}\"]`, `entries = [menu_of_entry(id)]` or \
                     `function = menu_of`",
                );
            }
        }
        Kind::Updates => {
            if !options.mentions("entry") {
                missing("the entry is missing that gets the value: write `entry = menu_of_entry(id)`");
            }
            if !options.mentions("value") {
                missing(
                    "the value is missing that the entry gets: write `value = |result| Ok(result.clone())`",
                );
            }
        }
    }
}

/// Placeholders name arguments, or the result.
fn places(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    for tag in options.tags.iter().flat_map(|tags| &tags.value) {
        let TagOption::Template(template) = tag else { continue };
        for place in &template.places {
            let word = place.name.as_str();
            let exists = match word {
                "result" => true,
                "self" => function.receiver.is_some(),
                _ => function.binding(word).is_some(),
            };
            if !exists {
                let words = function.words();
                let words = || words.iter().map(String::as_str).chain(["result"]);
                let fix = match (lost(function), nearest(word, words())) {
                    (Some(lost), _) => lost.to_owned(),
                    (None, Some(near)) => format!("write `{near}`"),
                    (None, None) => format!("write one of {}", listed(words())),
                };
                diagnostics
                    .report_at(template.span, format!("`{word}` in this tag is not an argument: {fix}"));
            }
        }
    }
}

/// Expressions are evaluated before the body or after it, and cannot wait or return.
fn expressions(options: &Options, diagnostics: &mut Diagnostics) {
    let tags = options.tags.iter().flat_map(|tags| &tags.value).filter_map(|tag| match tag {
        TagOption::Expr(expr) => Some(expr),
        TagOption::Template(_) => None,
    });
    let cache = options.cache.as_ref().map(|cache| &cache.value);
    for expr in tags.chain(options.handles()).chain(cache) {
        Detours { diagnostics, waiting: WAITING }.visit_expr(expr);
    }
    if let Some(cache) = cache.filter(|cache| mentions_result(cache)) {
        diagnostics.report(
            cache,
            "the cache is chosen before the body runs, and there is no `result` then: write an expression over the arguments",
        );
    }
}

/// What the body takes along is gone when the result is there. An argument is kept, `self` cannot be.
fn receiver(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let Some(receiver) = &function.receiver else { return };
    if matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) {
        return;
    }
    let tags = options.tags.iter().flat_map(|tags| &tags.value).filter_map(|tag| match tag {
        TagOption::Expr(expr) => Some(expr.clone()),
        TagOption::Template(_) => None,
    });
    let afterwards = tags.chain(options.handles().cloned()).filter(mentions_result);
    let closures = [&options.when, &options.value].into_iter().flatten();
    let closures = closures.map(|closure| Expr::Closure(closure.value.clone()));
    for expr in afterwards.chain(closures) {
        for (_, place) in uses(&expr, &["self"]) {
            diagnostics.report(
                place,
                "the body takes this `self` along, so it is gone when the result is there: take what is needed from the \
                 result, or write what needs `self` without `result`, in an element of its own",
            );
        }
    }
}
