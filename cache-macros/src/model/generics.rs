//! Which generic parameters tell calls apart, and which only carry a skipped argument.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{
    GenericArgument, GenericParam, Generics, Ident, PathArguments, Type, TypeParamBound, TypePath,
    WherePredicate,
};

use crate::args::Options;
use crate::item::{Function, ungrouped};
use crate::scan::{Names, plain};

/// The type and const parameters that count: all but those that are the type of a skipped argument, or behind a pointer to it, and
/// occur in neither a key argument's type nor the return type. One inside of another type (`Pool<T>`), or in bounds alone, may decide
/// what the function reads.
pub(super) fn counted(function: &Function, options: &Options) -> Names {
    let (mut keyed, mut carriers) = (Names::of(&function.output), Names::default());
    for (argument, counts) in function.arguments.iter().zip(function.key_arguments(options)) {
        match counts {
            true => keyed.add(&argument.ty),
            false => carried(&argument.ty).into_iter().for_each(|carrier| carriers.add_word(&plain(carrier))),
        }
    }
    let mut counted = Names::default();
    for word in function.sig.generics.params.iter().filter_map(word_of) {
        if keyed.has(&word) || !carriers.has(&word) {
            counted.add_word(&word);
        }
    }
    counted
}

/// Types that point to what is inside of them.
const POINTERS: [&str; 5] = ["Arc", "Box", "Option", "Pin", "Rc"];

/// `C` of `C`, `&mut C`, `Arc<C>`, `Option<&C>`.
fn carried(ty: &Type) -> Option<&Ident> {
    match ungrouped(ty) {
        Type::Reference(reference) => carried(&reference.elem),
        Type::Path(TypePath { qself: None, path, .. }) => {
            let last = path.segments.last()?;
            match &last.arguments {
                PathArguments::AngleBracketed(inner) if POINTERS.contains(&plain(&last.ident).as_str()) => {
                    match inner.args.iter().collect::<Vec<_>>()[..] {
                        [GenericArgument::Type(inner)] => carried(inner),
                        _ => None,
                    }
                }
                _ => path.get_ident(),
            }
        }
        _ => None,
    }
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

fn word_of(param: &GenericParam) -> Option<String> {
    match param {
        GenericParam::Type(param) => Some(plain(&param.ident)),
        GenericParam::Const(param) => Some(plain(&param.ident)),
        GenericParam::Lifetime(_) => None,
    }
}
