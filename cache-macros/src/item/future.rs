//! Functions that return a boxed future: what `#[async_trait]` leaves behind, and hand-written ones.

use syn::{
    AngleBracketedGenericArguments, GenericArgument, Path, PathArguments, ReturnType, Type, TypeParamBound,
};

use super::ungrouped;

/// `R` of `Pin<Box<dyn Future<Output = R> + ..>>`, or of `BoxFuture<'_, R>`.
pub(super) fn boxed_output(output: &ReturnType) -> Option<Type> {
    let ReturnType::Type(_, ty) = output else {
        return None;
    };
    if let Some(output) = only_type(ty, "BoxFuture").or_else(|| only_type(ty, "LocalBoxFuture")) {
        return Some(output.clone());
    }
    let Type::TraitObject(object) = ungrouped(only_type(only_type(ty, "Pin")?, "Box")?) else {
        return None;
    };
    object.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            arguments(&bound.path, "Future")?.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(assoc.ty.clone()),
                _ => None,
            })
        }
        _ => None,
    })
}

/// `T` of `Name<T>`, whatever the path before the name.
fn only_type<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ungrouped(ty) else {
        return None;
    };
    arguments(&path.path, name)?.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn arguments<'a>(path: &'a Path, name: &str) -> Option<&'a AngleBracketedGenericArguments> {
    let last = path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if last.ident == name => Some(arguments),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

    use super::*;

    fn output(ty: proc_macro2::TokenStream) -> Option<String> {
        let output: ReturnType = syn::parse2(quote!(-> #ty)).expect("a return type");
        boxed_output(&output).map(|ty| ty.to_token_stream().to_string())
    }

    #[test]
    fn a_boxed_future_is_known_by_its_spelling() {
        let boxed =
            output(quote!(::core::pin::Pin<Box<dyn ::core::future::Future<Output = u8> + Send + 'a>>));
        let alias = output(quote!(futures::BoxFuture<'_, u8>));
        let plain = output(quote!(Result<Box<dyn Error>, E>));

        assert_eq!((boxed.as_deref(), alias.as_deref(), plain), (Some("u8"), Some("u8"), None));
    }
}
