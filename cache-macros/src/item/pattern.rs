//! Patterns of arguments.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Pat, PatIdent};

use super::Argument;

/// The names a pattern binds.
pub(super) fn bound(pattern: &Pat) -> Vec<Ident> {
    struct Bound(Vec<Ident>);
    impl<'ast> Visit<'ast> for Bound {
        fn visit_pat_ident(&mut self, ident: &'ast PatIdent) {
            self.0.push(ident.ident.clone());
            visit::visit_pat_ident(self, ident);
        }
    }
    let mut names = Bound(Vec::new());
    names.visit_pat(pattern);
    names.0
}

/// Binds the names of an argument's pattern by reference, for options that refer to them.
pub(crate) fn by_reference(argument: &Argument) -> TokenStream {
    let mut pattern = argument.pattern.clone();
    match &mut pattern {
        Pat::Reference(outermost) => Plainly.visit_pat_mut(&mut outermost.pat),
        pattern => Plainly.visit_pat_mut(pattern),
    }
    let Argument { name, bound, .. } = argument;
    // The second line uses what no option does; an `allow` would offend who forbids it.
    quote_spanned! {name.span()=>
        let #pattern = &#name;
        let _ = (#(&#bound,)*);
    }
}

/// Removes `ref`, `mut` and inner `&`: matching through a reference binds by reference without them, and
/// refuses them.
struct Plainly;

impl VisitMut for Plainly {
    fn visit_pat_mut(&mut self, pattern: &mut Pat) {
        while let Pat::Reference(reference) = pattern {
            *pattern = (*reference.pat).clone();
        }
        visit_mut::visit_pat_mut(self, pattern);
    }

    fn visit_pat_ident_mut(&mut self, ident: &mut PatIdent) {
        ident.by_ref = None;
        ident.mutability = None;
        visit_mut::visit_pat_ident_mut(self, ident);
    }
}
