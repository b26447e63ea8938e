//! Rules about the expressions in options: they are evaluated before the function, and cannot wait or return.

use syn::visit::Visit;
use syn::{Expr, ExprAsync, ExprAwait, ExprClosure, ExprReturn, ExprTry, Item};

use crate::args::{Options, TagOption};
use crate::diag::Diagnostics;
use crate::duration::Time;
use crate::item::Function;
use crate::scan::{Names, uses};

pub(super) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let times = options.ttl.iter().map(|ttl| &ttl.value).filter_map(expr_of);
    let tags = options.tags.iter().flat_map(|tags| &tags.value).filter_map(|tag| match tag {
        TagOption::Expr(expr) => Some(expr),
        TagOption::Template(_) => None,
    });
    let keys = options.key.iter().flat_map(|key| &key.value);
    let others = [&options.when, &options.cache].into_iter().flatten().map(|given| &given.value);
    for expr in times.chain(tags).chain(keys).chain(others) {
        Detours { diagnostics, waiting: WAITING }.visit_expr(expr);
    }
    constants(function, options, diagnostics);
    closures(function, options, diagnostics);
}

fn expr_of(time: &Time) -> Option<&Expr> {
    match time {
        Time::Expr(expr) => Some(expr),
        Time::Constant(_) => None,
    }
}

/// What sits in a static sees neither arguments nor `Self`.
fn constants(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let words = function.words();
    let beyond = |expr: &Expr| {
        let names = Names::of(expr);
        words.iter().map(String::as_str).chain(["Self"]).find(|word| names.has(word)).map(str::to_owned)
    };
    let refresh = options.refresh.as_ref().map(|refresh| &refresh.value);
    let timeout = options.timeout.as_ref().map(|timeout| &timeout.value);
    let times = [
        options.none_ttl.as_ref(),
        options.err_ttl.as_ref(),
        options.local_ttl.as_ref(),
        options.lease.as_ref(),
        options.grace.as_ref(),
        refresh.and_then(|refresh| refresh.idle.as_ref()),
        timeout.and_then(|timeout| timeout.soft.as_ref()),
        timeout.and_then(|timeout| timeout.hard.as_ref()),
    ];
    for given in times.into_iter().flatten() {
        if let Some(expr) = expr_of(&given.value)
            && let Some(word) = beyond(expr)
        {
            diagnostics.report(
                expr,
                format!(
                    "`{0}` is a constant and cannot use `{word}`: write `{0} = \"30s\"`, or the name of a `const` \
                     of type `Duration` outside of the `impl`",
                    given.option
                ),
            );
        }
    }
    if let Some(policy) = &options.policy
        && let Some(word) = beyond(&policy.value)
    {
        diagnostics.report(
            &policy.value,
            format!(
                "`policy` is a constant and cannot use `{word}`: write the name of a `const` of type `Policy` \
                 outside of the `impl`"
            ),
        );
    }
}

/// What decides by the value is asked for values that a handle puts, too: there are no arguments then.
fn closures(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let words = function.words();
    for (closure, instead) in [(&options.ttl_by, "ttl = EXPR"), (&options.tags_from, "tags = [..]")] {
        let Some(given) = closure else {
            continue;
        };
        for (word, place) in uses(&Expr::Closure(given.value.clone()), &words) {
            diagnostics.report(
                place,
                format!(
                    "`{} = |value| ..` decides by the value alone, whoever stores it: to use `{word}`, write `{instead}`",
                    given.option
                ),
            );
        }
    }
}

/// Looks for what would leave or suspend the function.
pub(crate) struct Detours<'a> {
    pub(crate) diagnostics: &'a mut Diagnostics,
    /// What to say of an expression that waits.
    pub(crate) waiting: &'static str,
}

const WAITING: &str = "the cache is asked before anything is waited for: write an expression without `.await`, \
                       or pass the value as an argument";

impl<'ast> Visit<'ast> for Detours<'_> {
    fn visit_expr_await(&mut self, expr: &'ast ExprAwait) {
        self.diagnostics.report(expr, self.waiting);
    }

    fn visit_expr_try(&mut self, expr: &'ast ExprTry) {
        self.diagnostics.report(
            expr,
            "an option cannot return from the function: write an expression without `?`, `.ok()` say, \
             or pass the value as an argument",
        );
    }

    fn visit_expr_return(&mut self, expr: &'ast ExprReturn) {
        self.diagnostics.report(expr, "an option cannot return from the function: write the value alone");
    }

    // These have a body of their own, to be left or suspended at will.
    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}
    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}
    fn visit_item(&mut self, _: &'ast Item) {}
}
