//! Whether a type borrows.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Lifetime, ParenthesizedGenericArguments, Type, TypeFnPtr, TypeReference};

/// Where a type borrows for a time shorter than `'static`, as far as it shows.
pub(crate) fn borrows(ty: &Type) -> Option<Span> {
    let mut search = Search::default();
    search.visit_type(ty);
    search.found
}

#[derive(Default)]
struct Search {
    found: Option<Span>,
}

impl<'ast> Visit<'ast> for Search {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference.lifetime.is_none() {
            self.found.get_or_insert(reference.span());
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.found.get_or_insert(lifetime.span());
        }
    }

    // The lifetimes in `fn(&str) -> &str` and `Fn(&str)` are those of a call to come.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}
