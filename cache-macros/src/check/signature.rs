//! Rules about the function alone.

use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, Type, TypeImplTrait};

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
    conditions(function, diagnostics);
    twice(function, diagnostics);
}

/// An argument that may be missing: what is emitted beside the function would have to lack it too.
pub(crate) fn conditions(function: &Function, diagnostics: &mut Diagnostics) {
    for input in &function.sig.inputs {
        let attrs = match input {
            FnArg::Receiver(receiver) => &receiver.attrs,
            FnArg::Typed(typed) => &typed.attrs,
        };
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("cfg")) {
            diagnostics.report(
                attr,
                "an attribute does not learn whether this argument is there: write `#[cfg(..)]` on the function, twice, with \
                 and without the argument",
            );
        }
    }
}

/// Each attribute would emit the same functions beside this one.
fn twice(function: &Function, diagnostics: &mut Diagnostics) {
    let is_second = |attr: &&Attribute| {
        let path = attr.path();
        path.is_ident("cached")
            || path.segments.len() == 2
                && path.segments.iter().map(|segment| &segment.ident).eq(["larder", "cached"].iter())
    };
    for attr in function.attrs.iter().filter(is_second) {
        diagnostics.report(attr, "this function is cached already: write all options in one `#[cached(..)]`");
    }
}

fn output(ty: &Type, diagnostics: &mut Diagnostics) {
    if let Some(borrow) = borrows(ty) {
        diagnostics.report(
            borrow,
            "what a cached function returns outlives the call, so it cannot borrow from the arguments: return an owned type \
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
