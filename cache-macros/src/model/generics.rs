//! Which generic parameters tell calls apart, and which only carry a skipped argument.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{GenericParam, Generics, TypeParamBound, WherePredicate};

use crate::args::Options;
use crate::item::Function;
use crate::scan::{Names, plain};

/// The type and const parameters that count: all but those that occur in the type of a skipped argument
/// (or in the bounds of such a parameter) and in neither a key argument's type nor the return type.
pub(super) fn counted(function: &Function, options: &Options) -> Names {
    let generics = &function.sig.generics;
    let (mut keyed, mut skipped) = (Names::of(&function.output), Names::default());
    for (argument, counts) in function.arguments.iter().zip(function.key_arguments(options)) {
        if counts { keyed.add(&argument.ty) } else { skipped.add(&argument.ty) }
    }
    // `P: Pool<C>` with a skipped `pool: P` makes `C` a mere carrier too; so on until nothing is new.
    for _ in 0..generics.params.len() {
        for param in generics.type_params() {
            let word = plain(&param.ident);
            if skipped.has(&word) && !keyed.has(&word) {
                skipped.add(&param.bounds);
                predicates_on(generics, &word).for_each(|predicate| skipped.add(predicate));
            }
        }
    }
    let mut counted = Names::default();
    for word in generics.params.iter().filter_map(word_of) {
        if keyed.has(&word) || !skipped.has(&word) {
            counted.add_word(&word);
        }
    }
    counted
}

/// The generics of a function that keeps the parameters in `kept` (and lifetimes in use) alone.
pub(super) fn restricted(generics: &Generics, kept: &Names, used: &impl ToTokens) -> Generics {
    let dropped: Vec<String> =
        generics.params.iter().filter_map(word_of).filter(|word| !kept.has(word)).collect();
    let mentions_dropped = |names: &Names| dropped.iter().any(|word| names.has(word));
    let mut generics = generics.clone();

    let params = std::mem::take(&mut generics.params);
    let mut params: Vec<GenericParam> =
        params.into_iter().filter(|param| word_of(param).is_none_or(|word| kept.has(&word))).collect();
    for param in &mut params {
        if let GenericParam::Type(param) = param {
            let bounds = std::mem::take(&mut param.bounds);
            param.bounds = bounds
                .into_iter()
                .filter(|bound: &TypeParamBound| !mentions_dropped(&Names::of(bound)))
                .collect();
        }
    }
    let mut predicates: Vec<WherePredicate> = Vec::new();
    if let Some(clause) = generics.where_clause.take() {
        predicates = clause
            .predicates
            .into_iter()
            .filter(|predicate| !mentions_dropped(&Names::of(predicate)))
            .collect();
    }

    // A lifetime stays where something that stays names it.
    let mut names = Names::of(used);
    params
        .iter()
        .filter(|param| !matches!(param, GenericParam::Lifetime(_)))
        .for_each(|param| names.add(param));
    for predicate in predicates.iter().filter(|predicate| matches!(predicate, WherePredicate::Type(_))) {
        names.add(predicate);
    }
    let is_kept = |lifetime: &syn::Lifetime| {
        lifetime.ident == "static" || names.has_lifetime(&lifetime.ident.to_string())
    };
    params.retain(|param| match param {
        GenericParam::Lifetime(param) => is_kept(&param.lifetime),
        _ => true,
    });
    for param in &mut params {
        if let GenericParam::Lifetime(param) = param {
            let bounds = std::mem::take(&mut param.bounds);
            param.bounds = bounds.into_iter().filter(|bound| is_kept(bound)).collect();
            if param.bounds.is_empty() {
                param.colon_token = None;
            }
        }
    }
    predicates.retain(|predicate| match predicate {
        WherePredicate::Lifetime(predicate) => {
            is_kept(&predicate.lifetime) && predicate.bounds.iter().all(is_kept)
        }
        _ => true,
    });

    generics.params = Punctuated::from_iter(params);
    if generics.params.is_empty() {
        (generics.lt_token, generics.gt_token) = (None, None);
    }
    if !predicates.is_empty() {
        generics.make_where_clause().predicates = Punctuated::from_iter(predicates);
    }
    generics
}

/// The predicates whose bounded type names the parameter.
fn predicates_on<'a>(generics: &'a Generics, word: &'a str) -> impl Iterator<Item = &'a WherePredicate> {
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    predicates.filter(move |predicate| match predicate {
        WherePredicate::Type(predicate) => Names::of(&predicate.bounded_ty).has(word),
        _ => false,
    })
}

fn word_of(param: &GenericParam) -> Option<String> {
    match param {
        GenericParam::Type(param) => Some(plain(&param.ident)),
        GenericParam::Const(param) => Some(plain(&param.ident)),
        GenericParam::Lifetime(_) => None,
    }
}
