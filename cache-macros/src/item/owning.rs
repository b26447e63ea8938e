//! How the background can have an argument for itself.

use syn::{GenericArgument, PathArguments, Receiver, ReceiverKind, Type};

use super::{borrows, ungrouped};

/// How the background has an argument that outlives the call, told by the type as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owning {
    /// `T`, by `Clone`; also `&'static T`.
    Value,
    /// `&T`, by `ToOwned`.
    Reference,
    /// `Option<&T>`, by `ToOwned`.
    Optional,
    /// `&mut T`: it needs one of its own.
    Mutable,
    /// Anything else that borrows, like `Cow<'_, str>` and `&[&str]`.
    Impossible,
}

impl Owning {
    /// Looks at the type of an argument.
    pub(crate) fn of(ty: &Type) -> Self {
        match ungrouped(ty) {
            ty if borrows(ty).is_none() => Self::Value,
            Type::Reference(reference) if reference.mutability.is_some() => Self::Mutable,
            Type::Reference(reference) if borrows(&reference.elem).is_none() => Self::Reference,
            ty => match optional(ty) {
                Some(Type::Reference(inner))
                    if inner.mutability.is_none() && borrows(&inner.elem).is_none() =>
                {
                    Self::Optional
                }
                _ => Self::Impossible,
            },
        }
    }

    /// Looks at `self`.
    pub(crate) fn of_receiver(receiver: &Receiver) -> Self {
        match &receiver.kind {
            ReceiverKind::Value => Self::Value,
            ReceiverKind::Reference(_, _, Some(_)) => Self::Mutable,
            ReceiverKind::Reference(_, _, None) => Self::Reference,
            ReceiverKind::Typed(_, ty) => Self::of(ty),
            // A kind to come.
            _ => Self::Impossible,
        }
    }
}

/// `T` of `Option<T>`.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ungrouped(ty) else {
        return None;
    };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => Some(ungrouped(ty)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::*;

    fn owning(ty: TokenStream) -> Owning {
        Owning::of(&syn::parse2(ty).expect("a type"))
    }

    #[test]
    fn what_borrows_nothing_is_a_value() {
        for ty in [
            quote!(u64),
            quote!(Vec<String>),
            quote!(impl Into<String>),
            quote!(&'static str),
            quote!(Option<&'static [u8]>),
            quote!(fn(&str) -> &str),
            quote!(Arc<dyn Fn(&str) + Send + Sync>),
            quote!((u64, [T; N])),
        ] {
            assert_eq!(owning(ty.clone()), Owning::Value, "{ty}");
        }
    }

    #[test]
    fn a_plain_reference_is_owned_by_what_it_points_at() {
        for ty in [
            quote!(&str),
            quote!(&'a [u64]),
            quote!(&T),
            quote!(&impl Query),
            quote!((&Path)),
            quote!(&Option<String>),
            quote!(&Foo<'static>),
        ] {
            assert_eq!(owning(ty.clone()), Owning::Reference, "{ty}");
        }
        for ty in [quote!(Option<&str>), quote!(std::option::Option<&'a T>), quote!(Option<&[u64]>)] {
            assert_eq!(owning(ty.clone()), Owning::Optional, "{ty}");
        }
    }

    #[test]
    fn other_borrows_are_told_apart_from_mutable_ones() {
        for ty in [quote!(&mut Connection), quote!(&'a mut Transaction<'_, Postgres>)] {
            assert_eq!(owning(ty.clone()), Owning::Mutable, "{ty}");
        }
        for ty in [
            quote!(&[&str]),
            quote!(&&str),
            quote!(Cow<'_, str>),
            quote!(&Request<'_>),
            quote!(Option<&mut Connection>),
            quote!(Option<&&str>),
            quote!(Option<Option<&str>>),
            quote!(Vec<&str>),
            quote!((&str, u64)),
            quote!(impl Fn() -> u64 + 'a),
            quote!(&'static Foo<'a>),
        ] {
            assert_eq!(owning(ty.clone()), Owning::Impossible, "{ty}");
        }
    }
}
