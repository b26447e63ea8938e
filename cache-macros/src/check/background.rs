//! Rules about what is left to the background: it computes without its caller, and needs every argument for itself.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

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
            let is_meant = |argument: &&crate::item::Argument| argument.is_named(word);
            let Some(place) = function.arguments.iter().position(|argument| is_meant(&argument)) else {
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
    if let (Some(receiver), None) = (&function.receiver, options.given("self")) {
        let is_given = !function.has_key_receiver(options);
        refuse(
            Owning::of_receiver(receiver),
            "self",
            is_given,
            receiver.to_token_stream(),
            options,
            diagnostics,
        );
    }
    for (argument, is_key_part) in function.arguments.iter().zip(function.key_arguments(options)) {
        if let Origin::Owned(owning) = Origin::of(argument, options) {
            let (pattern, ty) = (&argument.pattern, &argument.ty);
            let word = match argument.is_pattern {
                true => "name".to_owned(),
                false => plain(&argument.name),
            };
            refuse(owning, &word, !is_key_part, quote!(#pattern: #ty), options, diagnostics);
        }
    }
}

fn refuse(
    owning: Owning,
    word: &str,
    can_be_given: bool,
    place: TokenStream,
    options: &Options,
    diagnostics: &mut Diagnostics,
) {
    let what = match owning {
        Owning::Value | Owning::Reference | Owning::Optional => return,
        Owning::Mutable => "the background cannot use what its caller borrowed mutably",
        Owning::Impossible => "the background cannot own what this borrows",
    };
    let origin = match word {
        "self" => "Repo::new()",
        _ => "POOL.acquire().await?",
    };
    let give = match options.refresh {
        Some(_) => format!("`refresh(with({word} = {origin}))`"),
        None => format!("`timeout(soft = .., with({word} = {origin}))`"),
    };
    let fix = match (owning, can_be_given) {
        (Owning::Mutable, true) => format!("say where it gets its own: {give}"),
        (Owning::Mutable, false) => format!("write `skip({word})`, and say where it gets its own: {give}"),
        (_, true) => format!(
            "write an owned type (`String` for `Cow<'_, str>`, `Vec<String>` for `&[&str]`), \
             or say where it gets its own: {give}"
        ),
        (_, false) => {
            "write an owned type (`String` for `Cow<'_, str>`, `&[String]` for `&[&str]`)".to_owned()
        }
    };
    diagnostics.report(place, format!("{what}: {fix}"));
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
