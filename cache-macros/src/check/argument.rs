//! Rules about the arguments that options name, and about those that they do not.

use quote::quote;
use syn::ReceiverKind;

use crate::args::{ArgumentName, Given, Options, TagOption};
use crate::diag::{Diagnostics, listed, nearest};
use crate::item::{Function, borrows_mutably};
use crate::scan::{Names, plain, uses};
use crate::template::Template;
use crate::together::lost;

pub(super) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    named("skip", &options.skip, function, diagnostics);
    named("secret", &options.secret, function, diagnostics);
    if let (true, Some(skip)) = (options.mentions("key"), &options.skip) {
        diagnostics.report(&skip.option, "`key` already says what counts: remove `skip(..)`");
    }
    skipped_secrets(options, diagnostics);
    changed(function, options, diagnostics);
    unused_secrets(function, options, diagnostics);
    for tag in options.tags.iter().flat_map(|tags| &tags.value) {
        match tag {
            TagOption::Template(template) => places(template, function, options, diagnostics),
            TagOption::Expr(expr) => {
                let names = Names::of(expr);
                for secret in secrets(options).filter(|secret| names.has(&secret.word)) {
                    diagnostics.report(expr, secret_in_tag(&secret.word));
                }
                for (word, place) in uses(expr, &skipped(function, options)) {
                    diagnostics.report(place, skipped_in_tag(&word, &word));
                }
            }
        }
    }
}

fn secrets(options: &Options) -> impl Iterator<Item = &ArgumentName> {
    options.secret.iter().flat_map(|secret| &secret.value)
}

fn secret_in_tag(word: &str) -> String {
    format!(
        "`{word}` is secret, and tags can be read in logs and stores: remove it from the tag, or from `secret(..)`"
    )
}

/// The names that skipped arguments bring.
fn skipped(function: &Function, options: &Options) -> Vec<String> {
    let skip = || options.skip.iter().flat_map(|skip| &skip.value);
    let receiver = skip().filter(|name| name.word == "self" && function.receiver.is_some());
    let arguments = function.arguments.iter();
    let arguments = arguments.filter(|argument| skip().any(|name| argument.is_named(&name.word)));
    let bound = arguments.flat_map(|argument| argument.bound.iter().map(plain));
    receiver.map(|name| name.word.clone()).chain(bound).collect()
}

/// Calls that differ in it share an entry, which can bear the tags of one alone.
fn skipped_in_tag(word: &str, part: &str) -> String {
    format!(
        "`{word}` is skipped, so calls that differ in it share one entry, and that would bear the tag of whoever computed it: \
         say what counts, `key = ({part}, ..)`, or remove it from the tag"
    )
}

/// The names in `skip(..)` and `secret(..)` are arguments, each once.
fn named(
    option: &str,
    names: &Option<Given<Vec<ArgumentName>>>,
    function: &Function,
    diagnostics: &mut Diagnostics,
) {
    let names = names.iter().flat_map(|names| &names.value);
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        let word = name.word.as_str();
        if seen.contains(&word) {
            diagnostics.report_at(name.span, format!("`{word}` is named twice: write it once"));
        } else if word == "self" && function.receiver.is_none() {
            diagnostics
                .report_at(name.span, format!("this function has no `self`: remove it from `{option}(..)`"));
        } else if word != "self" && !function.arguments.iter().any(|argument| argument.is_named(word)) {
            diagnostics
                .report_at(name.span, format!("`{word}` is not an argument: {}", instead(word, function)));
        }
        seen.push(word);
    }
}

/// What the body changes through a key part is not changed on a hit. Who writes `key = ..` has said what counts.
fn changed(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    if options.mentions("key") {
        return;
    }
    let message = |word: &str| {
        format!(
            "a hit does not run the body, so nothing is changed through this `&mut`: write `skip({word})` if it is only \
             borrowed for the work (a connection), or `key = (..)` to say what counts"
        )
    };
    if let Some(receiver) = &function.receiver
        && matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_)))
        && function.has_key_receiver(options)
    {
        diagnostics.report(receiver, message("self"));
    }
    for (argument, is_key_part) in function.arguments.iter().zip(function.key_arguments(options)) {
        if is_key_part && borrows_mutably(&argument.ty) {
            let (pattern, ty) = (&argument.pattern, &argument.ty);
            let word = argument.bound.first().map_or_else(|| "_".to_owned(), plain);
            diagnostics.report(quote!(#pattern: #ty), message(&word));
        }
    }
}

/// What to write for a name that does not exist.
pub(super) fn instead(word: &str, function: &Function) -> String {
    if let Some(lost) = lost(function) {
        return lost.to_owned();
    }
    let words = function.words();
    let words = || words.iter().map(String::as_str);
    match nearest(word, words()) {
        Some(near) if words().count() == 1 => format!("write `{near}`"),
        Some(near) => format!("write `{near}`; there are {}", listed(words())),
        None if words().next().is_none() => "this function has none: remove it".to_owned(),
        None => format!("write one of {}", listed(words())),
    }
}

fn skipped_secrets(options: &Options, diagnostics: &mut Diagnostics) {
    let skipped: Vec<&str> =
        options.skip.iter().flat_map(|skip| &skip.value).map(|name| name.word.as_str()).collect();
    for secret in secrets(options).filter(|secret| skipped.contains(&secret.word.as_str())) {
        diagnostics.report_at(
            secret.span,
            format!(
                "`{0}` is skipped, so it enters no key: remove it from `secret(..)` or from `skip(..)`",
                secret.word
            ),
        );
    }
}

/// With `key`, a secret argument must be used there: its parts are digested.
fn unused_secrets(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let Some(key) = &options.key else {
        return;
    };
    let mut names = Names::default();
    key.value.iter().for_each(|part| names.add(part));
    let known = |word: &str| word == "self" || function.binding(word).is_some();
    for secret in secrets(options).filter(|secret| known(&secret.word) && !names.has(&secret.word)) {
        diagnostics.report_at(
            secret.span,
            format!(
                "`{0}` is secret, but `key` does not use it: remove it from `secret(..)`, or write it in `key = (..)`",
                secret.word
            ),
        );
    }
}

/// Placeholders name arguments, none of them secret.
fn places(template: &Template, function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    for place in &template.places {
        let word = place.name.as_str();
        let exists = match word {
            "self" => function.receiver.is_some(),
            _ => function.binding(word).is_some(),
        };
        if !exists {
            diagnostics.report_at(
                template.span,
                format!("`{word}` in this tag is not an argument: {}", instead(word, function)),
            );
        } else if secrets(options).any(|secret| secret.word == word) {
            diagnostics.report_at(template.span, secret_in_tag(word));
        } else if skipped(function, options).iter().any(|skipped| skipped == word) {
            let fields = place.fields.iter().map(|field| format!(".{field}"));
            diagnostics.report_at(
                template.span,
                skipped_in_tag(word, &(word.to_owned() + &fields.collect::<String>())),
            );
        }
    }
}
