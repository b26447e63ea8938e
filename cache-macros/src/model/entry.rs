//! What `f_entry` and `f_clear` take.

use quote::quote;
use syn::Generics;

use super::generics::restricted;
use crate::args::Options;
use crate::item::{Argument, Function};
use crate::scan::{Names, plain};

/// The signature of `f_entry`: the key arguments, and what the cache, the ttl and the tags refer to.
///
/// A handle can put a value, which needs its tags and its ttl as much as the function does.
pub(crate) struct EntryShape {
    /// Whether it takes `&self`.
    pub(crate) has_receiver: bool,
    /// The arguments it takes, by their place.
    pub(crate) arguments: Vec<usize>,
    pub(crate) generics: Generics,
}

impl EntryShape {
    pub(super) fn of(function: &Function, options: &Options, counted: &Names) -> Self {
        let companions = options.companion_names();
        let has_receiver =
            function.has_key_receiver(options) || function.receiver.is_some() && companions.has("self");
        let arguments: Vec<usize> = function
            .arguments
            .iter()
            .zip(function.key_arguments(options))
            .enumerate()
            .filter(|(_, (argument, counts))| {
                *counts || argument.bound.iter().any(|bound| companions.has(&plain(bound)))
            })
            .map(|(index, _)| index)
            .collect();

        let types = arguments.iter().map(|index| &function.arguments[*index].ty);
        let used = quote!(#(#types,)*);
        let mut kept = Names::of(&used);
        for param in function.sig.generics.params.iter() {
            let word = match param {
                syn::GenericParam::Type(param) => plain(&param.ident),
                syn::GenericParam::Const(param) => plain(&param.ident),
                syn::GenericParam::Lifetime(_) => continue,
            };
            if counted.has(&word) {
                kept.add_word(&word);
            }
        }
        let generics = restricted(&function.sig.generics, &kept, &used);
        Self { has_receiver, arguments, generics }
    }
}

/// The signature of `f_clear`: what the cache refers to.
pub(crate) struct ClearShape {
    /// Whether it takes `&self`.
    pub(crate) has_receiver: bool,
    /// The arguments it takes, by their place.
    pub(crate) arguments: Vec<usize>,
    pub(crate) generics: Generics,
}

impl ClearShape {
    pub(super) fn of(function: &Function, options: &Options) -> Self {
        let mut names = Names::default();
        options.cache.iter().for_each(|cache| names.add(&cache.value));
        let is_named =
            |(_, argument): &(usize, &Argument)| argument.bound.iter().any(|bound| names.has(&plain(bound)));
        let arguments: Vec<_> = function.arguments.iter().enumerate().filter(is_named).collect();

        let types = arguments.iter().map(|(_, argument)| &argument.ty);
        let used = quote!(#(#types,)*);
        // Whatever the type arguments are: all instances have one epoch.
        let generics = restricted(&function.sig.generics, &Names::of(&used), &used);
        Self {
            has_receiver: function.receiver.is_some() && names.has("self"),
            arguments: arguments.into_iter().map(|(index, _)| index).collect(),
            generics,
        }
    }
}
