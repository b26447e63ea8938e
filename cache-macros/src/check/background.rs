//! Rules about what is left to the background: it computes without its caller, and needs every argument for itself.

use quote::quote;

use super::argument::instead;
use crate::args::{Options, Tier, With};
use crate::diag::Diagnostics;
use crate::item::{Function, Owning};
use crate::model::Origin;
use crate::scan::{plain, uses};

pub(super) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    timeouts(options, diagnostics);
    warmth(options, diagnostics);
    for (place, with) in options.with.iter().enumerate() {
        given(with, function, options, diagnostics);
        at_hand(with, &options.with[place..], diagnostics);
    }
    if options.has_background() {
        owned(function, options, diagnostics);
        judged(options, diagnostics);
    } else if let (false, Some(with)) = (options.mentions("refresh"), options.with.first()) {
        diagnostics.report_at(
            with.argument.span,
            "only a refresh or a soft timeout leaves work to the background: write `refresh`, or remove `with(..)`",
        );
    }
}

/// A soft timeout needs something to answer with, and comes before the hard one.
fn timeouts(options: &Options, diagnostics: &mut Diagnostics) {
    let Some(timeout) = options.timeout.as_ref().map(|timeout| &timeout.value) else {
        return;
    };
    let Some(soft) = &timeout.soft else {
        return;
    };
    // A policy may bring the grace.
    if !options.mentions("grace") && !options.mentions("policy") {
        diagnostics.report(
            &soft.option,
            "a soft timeout answers with a stale value, and nothing stands in without grace: \
             write `grace = \"10m\"` too, or `timeout(hard = ..)` to give up",
        );
    }
    if let (Some(soft_time), Some(hard_time)) =
        (soft.value.constant(), timeout.hard.as_ref().and_then(|hard| hard.value.constant()))
        && soft_time >= hard_time
    {
        diagnostics.report(
            &soft.option,
            "`soft` is not shorter than `hard`, and would have no effect: write a shorter time, or remove it",
        );
    }
}

fn warmth(options: &Options, diagnostics: &mut Diagnostics) {
    let idle = options.refresh.as_ref().and_then(|refresh| refresh.value.idle.as_ref());
    if let (true, Some(idle)) = (options.is_kept_to(Tier::Shared), idle) {
        diagnostics.report(
            &idle.option,
            "with `tier = shared` the local tier has no entry to keep warm: remove `idle`, or remove `tier = shared`",
        );
    }
}

/// `with(..)` gives arguments, and none that the key depends on.
fn given(with: &With, function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let word = with.argument.word.as_str();
    let is_key_part = match word {
        "self" if function.receiver.is_none() => {
            return diagnostics
                .report_at(with.argument.span, "this function has no `self`: remove it from `with(..)`");
        }
        "self" => function.has_key_receiver(options),
        _ => {
            let Some(place) = function.arguments.iter().position(|argument| argument.is_named(word)) else {
                return diagnostics.report_at(
                    with.argument.span,
                    format!("`{word}` is not an argument: {}", instead(word, function)),
                );
            };
            if function.arguments[place].is_pattern {
                return diagnostics.report_at(
                    with.argument.span,
                    format!(
                        "`{word}` is part of a pattern, and `with(..)` gives whole arguments: \
                         write a name for the argument, and the pattern in the body"
                    ),
                );
            }
            function.key_arguments(options)[place]
        }
    };
    if is_key_part {
        let fix = match options.key {
            Some(_) => "leave it out of `key = ..`".to_owned(),
            None => format!("write `skip({word})`"),
        };
        diagnostics.report_at(
            with.argument.span,
            format!(
                "`{word}` is part of the key, and with another one the background computes for another entry: \
                 {fix}, or remove it from `with(..)`"
            ),
        );
    }
}

/// What `with(..)` evaluates in the background may use what is there by then: not itself, and nothing given after it.
fn at_hand(with: &With, missing: &[With], diagnostics: &mut Diagnostics) {
    let words: Vec<&str> = missing.iter().map(|with| with.argument.word.as_str()).collect();
    for (word, place) in uses(&with.value, &words) {
        let message = match word == with.argument.word {
            true => format!(
                "the background does not have the caller's `{word}`: write where it gets one of its own, \
                 `{word} = POOL.acquire().await?` say"
            ),
            false => format!("`{word}` is given after this: write it before"),
        };
        diagnostics.report(place, message);
    }
}

/// What is not given must be owned.
fn owned(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let with = match options.refresh {
        Some(_) => "refresh(with",
        None => "timeout(soft = .., with",
    };
    // A mutable borrow in the key is refused whoever computes.
    let is_refused_anyway =
        |owning, is_key_part| owning == Owning::Mutable && is_key_part && !options.mentions("key");
    if let (Some(receiver), None) = (&function.receiver, options.given("self"))
        && !is_refused_anyway(Owning::of_receiver(receiver), function.has_key_receiver(options))
    {
        let give = match function.has_key_receiver(options) {
            true => None,
            false => Some(format!("say where it gets its own: `{with}(self = EXPR))`")),
        };
        if let Some(message) = refusal(Owning::of_receiver(receiver), give) {
            diagnostics.report(receiver, message);
        }
    }
    for (argument, is_key_part) in function.arguments.iter().zip(function.key_arguments(options)) {
        let Origin::Owned(owning) = Origin::of(argument, options) else {
            continue;
        };
        if is_refused_anyway(owning, is_key_part) {
            continue;
        }
        let origin = if owning == Owning::Mutable { "POOL.acquire().await?" } else { "EXPR" };
        let give = match (is_key_part, argument.is_pattern) {
            (true, _) => None,
            (false, true) => Some(format!(
                "write a name for the argument, the pattern in the body, and where the background gets its own: \
                 `{with}(name = {origin}))`"
            )),
            (false, false) => {
                let word = plain(&argument.name);
                Some(format!("say where it gets its own: `{with}({word} = {origin}))`"))
            }
        };
        if let Some(message) = refusal(owning, give) {
            let (pattern, ty) = (&argument.pattern, &argument.ty);
            diagnostics.report(quote!(#pattern: #ty), message);
        }
    }
}

/// Why an argument cannot be owned, and what to write; `give` is how to give another one, where the key allows it.
fn refusal(owning: Owning, give: Option<String>) -> Option<String> {
    const OWNED: &str = "write an owned type (`String` for `Cow<'_, str>`, `&[String]` for `&[&str]`)";
    match (owning, give) {
        (Owning::Value | Owning::Reference | Owning::Optional, _) => None,
        (Owning::Mutable, Some(give)) => {
            Some(format!("the background cannot use what its caller borrowed mutably: {give}"))
        }
        (Owning::Mutable, None) => Some(
            "the background cannot use what its caller borrowed mutably: write an owned type, or `skip(..)` it and \
             say where the background gets its own: `with(..)`"
                .to_owned(),
        ),
        (Owning::Impossible, Some(give)) => {
            Some(format!("the background cannot own what this borrows: {OWNED}, or {give}"))
        }
        (Owning::Impossible, None) => Some(format!("the background cannot own what this borrows: {OWNED}")),
    }
}

/// `store_if` is asked in the background, too.
fn judged(options: &Options, diagnostics: &mut Diagnostics) {
    let words: Vec<&str> = options.with.iter().map(|with| with.argument.word.as_str()).collect();
    let store_if = options.store_if.iter().flat_map(|store_if| uses(&store_if.value, &words));
    for (word, place) in store_if {
        diagnostics.report(
            place,
            format!(
                "`store_if` is asked in the background too, before `with(..)` gives it a `{word}`: \
                 write a condition over the value and the other arguments"
            ),
        );
    }
}
