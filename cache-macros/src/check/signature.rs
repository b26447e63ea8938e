//! Rules about the function alone.

use syn::Type;
use syn::TypeImplTrait;
use syn::visit::{self, Visit};

use crate::args::Options;
use crate::diag::Diagnostics;
use crate::item::{Function, Place, borrows};

pub(super) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    let sig = &function.sig;
    if let Some(constness) = &sig.constness {
        diagnostics.report(constness, "a `const fn` cannot be cached: remove `const` and write `async fn`");
    }
    if let syn::Safety::Unsafe(token) = &sig.safety {
        diagnostics.report(
            token,
            "an `unsafe fn` cannot be cached: cache a safe `async fn` that calls it and upholds its contract",
        );
    }
    if let Some(abi) = &sig.abi {
        diagnostics.report(
            abi,
            "an `extern fn` cannot be cached: cache an `async fn` that it calls, or that calls it",
        );
    }
    if let Some(variadic) = &sig.variadic {
        diagnostics.report(variadic, "variable arguments cannot be cached: write a slice, `&[T]`");
    }
    if sig.asyncness.is_none() && function.place != Place::Boxed {
        diagnostics
            .report(sig.fn_token, "`#[cached]` caches the result of an async function: write `async fn`");
    }
    if let (Some(in_trait), Place::Boxed) = (&options.in_trait, function.place) {
        diagnostics.report(
            &in_trait.option,
            "`in_trait` is for an `async fn` in a trait's `impl`; this function returns a boxed future: remove `in_trait`",
        );
    }
    output(&function.output, diagnostics);
}

fn output(ty: &Type, diagnostics: &mut Diagnostics) {
    if let Some(borrow) = borrows(ty) {
        diagnostics.report(
            borrow,
            "a cached value outlives the call, so it cannot borrow from the arguments: return an owned type \
             (`String` for `&str`, `Vec<T>` for `&[T]`, `Arc<T>` for what is costly to clone)",
        );
    }
    struct Opaque(Vec<TypeImplTrait>);
    impl<'ast> Visit<'ast> for Opaque {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            self.0.push(ty.clone());
            visit::visit_type_impl_trait(self, ty);
        }
    }
    let mut opaque = Opaque(Vec::new());
    opaque.visit_type(ty);
    for ty in opaque.0 {
        diagnostics.report(
            ty,
            "a cached value needs a type with a name: write it instead of `impl ..`, `Vec<T>` say",
        );
    }
}
