//! The function of one item behind a batch.

use proc_macro2::Ident;
use syn::{FnArg, GenericArgument, Pat, PatIdent, PathArguments, Type};

use super::{Argument, Function, ungrouped};

/// How an argument holds many ids.
#[derive(Clone)]
pub(crate) struct Ids {
    /// By its place among the arguments.
    pub(crate) index: usize,
    /// What one of them is.
    pub(crate) id: Type,
    /// What it refers to, or is.
    pub(crate) held: Held,
    pub(crate) is_reference: bool,
}

/// What holds the ids.
#[derive(Clone)]
pub(crate) enum Held {
    /// `[K]`
    Slice,
    /// `Vec<K>`, `HashSet<K>`, ...
    Collection(Box<Type>),
}

/// Collections whose first type argument is what they hold.
const COLLECTIONS: [&str; 4] = ["Vec", "VecDeque", "HashSet", "BTreeSet"];

impl Ids {
    /// Sees how a type holds ids; `None` for one that does not show it.
    pub(crate) fn of(index: usize, ty: &Type) -> Option<Self> {
        let (ty, is_reference) = match ungrouped(ty) {
            Type::Reference(reference) if reference.mutability.is_none() => {
                (ungrouped(&reference.elem), true)
            }
            ty => (ty, false),
        };
        match ty {
            Type::Slice(slice) if is_reference => {
                Some(Self { index, id: (*slice.elem).clone(), held: Held::Slice, is_reference })
            }
            Type::Path(path) => {
                let last = path.path.segments.last()?;
                if !COLLECTIONS.iter().any(|name| last.ident == name) {
                    return None;
                }
                let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
                let id = arguments.args.iter().find_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty.clone()),
                    _ => None,
                })?;
                Some(Self { index, id, held: Held::Collection(Box::new(ty.clone())), is_reference })
            }
            _ => None,
        }
    }
}

impl Function {
    /// The same with one id in place of many.
    pub(crate) fn single(&self, ids: &Ids, id: &Ident) -> Self {
        let mut single = self.clone();
        let pattern = Pat::Ident(PatIdent {
            attrs: Vec::new(),
            by_ref: None,
            mutability: None,
            ident: id.clone(),
            subpat: None,
        });
        single.arguments[ids.index] = Argument::new(ids.index, &pattern, &ids.id);
        let typed = single.sig.inputs.iter_mut().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        if let Some(typed) = typed.into_iter().nth(ids.index) {
            *typed.pat = pattern;
            *typed.ty = ids.id.clone();
        }
        single
    }
}
