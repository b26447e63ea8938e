//! Whether a type borrows, and how.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Lifetime, ParenthesizedGenericArguments, Type, TypeFnPtr, TypeReference};

/// Where a type borrows for a time shorter than `'static`, as far as it shows.
pub(crate) fn borrows(ty: &Type) -> Option<TokenStream> {
    let mut search = Search::default();
    search.visit_type(ty);
    search.found
}

/// Whether a type has a mutable borrow in it, as far as it shows.
pub(crate) fn borrows_mutably(ty: &Type) -> bool {
    let mut search = Search::default();
    search.visit_type(ty);
    search.is_mutable
}

#[derive(Default)]
struct Search {
    found: Option<TokenStream>,
    is_mutable: bool,
}

impl<'ast> Visit<'ast> for Search {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.is_mutable |= reference.mutability.is_some();
        if reference.lifetime.is_none() {
            self.found.get_or_insert(reference.to_token_stream());
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.found.get_or_insert(lifetime.to_token_stream());
        }
    }

    // The lifetimes in `fn(&str) -> &str` and `Fn(&str)` are those of a call to come.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}
