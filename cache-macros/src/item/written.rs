//! Types as they are written, also where a `macro_rules!` hands them over.

use syn::{GenericArgument, PathArguments, Type};

use crate::scan::plain;

/// A type without the parentheses and invisible groups around it: `$t:ty` comes in one.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        _ => ty,
    }
}

/// The last name of a type, and its type arguments.
pub(crate) fn named(ty: &Type) -> Option<(String, Vec<&Type>)> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last()?;
    let inner = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            let types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    };
    Some((plain(&last.ident), inner))
}
