//! Rules about batches.

use crate::args::{Each, Options};
use crate::diag::Diagnostics;
use crate::item::{Function, Ids, Place, named};
use crate::scan::{Names, plain};

use super::argument::instead;

/// Finds the ids of a batch, and reports what speaks against caching them one by one.
pub(crate) fn ids(
    function: &Function,
    each: &Each,
    options: &Options,
    diagnostics: &mut Diagnostics,
) -> Option<Ids> {
    options_beside(each, options, diagnostics);
    place(function, each, diagnostics);
    output(function, each, diagnostics);
    let word = plain(&each.ids);
    let argument = function
        .arguments
        .iter()
        .enumerate()
        .find(|(_, argument)| !argument.is_pattern && plain(&argument.name) == word);
    let Some((index, argument)) = argument else {
        diagnostics.report(&each.ids, format!("`{word}` is not an argument: {}", instead(&word, function)));
        return None;
    };
    let id = plain(&each.id);
    if function.arguments.iter().any(|other| other.bound.iter().any(|bound| plain(bound) == id)) {
        diagnostics.report(
            &each.id,
            format!("`{id}` is an argument already: give one of the ids a name of its own, `each({id}_of_item in {word})`"),
        );
        return None;
    }
    let ids = Ids::of(index, &argument.ty);
    if ids.is_none() {
        diagnostics.report(
            &argument.ty,
            "it does not show what one of the ids is: write `&[Id]`, `Vec<Id>`, `HashSet<Id>` or `BTreeSet<Id>`",
        );
    }
    ids
}

fn options_beside(each: &Each, options: &Options, diagnostics: &mut Diagnostics) {
    let refused = [
        (
            options.refresh.as_ref().map(|given| &given.option),
            "a batch is not computed in the background: remove `refresh`, or write it on the function of a single item \
             that has the same `name`",
        ),
        (
            options.timeout.as_ref().map(|given| &given.option),
            "a batch waits for its body: remove `timeout`, or put a time limit around what the body waits for",
        ),
        (
            options.err_ttl.as_ref().map(|given| &given.option),
            "an error of a batch belongs to no single item, so it cannot be stored: remove `err_ttl`",
        ),
    ];
    for (option, message) in refused {
        if let Some(option) = option {
            diagnostics.report(option, message);
        }
    }
    let id = plain(&each.id);
    if let Some(key) = &options.key {
        let mut names = Names::default();
        key.value.iter().for_each(|part| names.add(part));
        if !names.has(&id) {
            diagnostics.report(
                &key.option,
                format!("all items would have one key: write `{id}` in it, `key = (self.tenant, {id})` say"),
            );
        }
    }
    for name in options.skip.iter().flat_map(|skip| &skip.value).filter(|name| name.word == id) {
        diagnostics
            .report_at(name.span, format!("all items would have one key: remove `{id}` from `skip(..)`"));
    }
}

fn place(function: &Function, each: &Each, diagnostics: &mut Diagnostics) {
    if matches!(function.place, Place::Boxed | Place::InTrait) {
        diagnostics.report(
            &each.ids,
            "a batch in a trait's `impl` has no function beside it that could be asked again: write `each` on a function in an \
             inherent `impl`, and call that",
        );
    }
}

/// What is returned has to tell whose each item is. An alias is left to the compiler.
fn output(function: &Function, each: &Each, diagnostics: &mut Diagnostics) {
    let all = match named(&function.output) {
        Some((name, inner)) if name == "Result" && !inner.is_empty() => inner[0],
        _ => &function.output,
    };
    let Some((name, inner)) = named(all) else { return };
    let is_optional = inner.first().and_then(|ty| named(ty)).is_some_and(|(name, _)| name == "Option");
    match (name.as_str(), &each.by) {
        ("Vec", None) if !is_optional => diagnostics.report(
            all,
            "a list does not tell whose an item is: write `each(id in ids, by = |item| item.id)`, or return a \
             `HashMap<Id, Item>`, or a `Vec<Option<Item>>` in the order of the ids",
        ),
        ("HashMap" | "BTreeMap", Some(by)) => {
            diagnostics.report(&by.option, "the keys of a map tell whose an item is: remove `by`");
        }
        ("Option" | "String" | "bool" | "u8" | "u32" | "u64" | "i32" | "i64" | "usize" | "HashSet" | "BTreeSet", _) => {
            diagnostics.report(
                all,
                "it does not divide into an item for each id: return a `HashMap<Id, Item>`, or a `Vec<Option<Item>>` in the \
                 order of the ids; or remove `each` to cache it as one value",
            );
        }
        _ => {}
    }
}
