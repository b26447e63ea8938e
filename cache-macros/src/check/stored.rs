//! Rules about what is stored, as far as they show: another process may have to read it.

use syn::{Type, TypeReference};

use crate::args::{Options, Tier};
use crate::diag::Diagnostics;
use crate::item::{Function, named, ungrouped};

/// Types that hold what their type arguments say. Of others nothing is said: a mark need not be a value.
const HOLDERS: [&str; 11] =
    ["Option", "Result", "Vec", "VecDeque", "HashMap", "BTreeMap", "HashSet", "BTreeSet", "Box", "Arc", "Rc"];

/// What lives forever in this process cannot come from another one. The compiler says so in words about lifetimes.
pub(super) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    if options.is_kept_to(Tier::Local) {
        return;
    }
    let mut found = Vec::new();
    stored(&function.output, options).into_iter().for_each(|ty| static_references(ty, &mut found));
    for reference in found {
        diagnostics.report(
            reference,
            "a value from another process cannot be `'static`: write an owned type, `String` for `&'static str`, or keep it in \
             this process only, `tier = local`",
        );
    }
}

/// What of an answer is stored: of a `Result` the error with `err_ttl` alone, of a batch no ids.
fn stored<'a>(output: &'a Type, options: &Options) -> Vec<&'a Type> {
    let (value, error) = match named(output) {
        Some((name, inner)) if name == "Result" && !inner.is_empty() => (inner[0], inner.get(1).copied()),
        _ => (output, None),
    };
    let item = match named(value) {
        Some((_, inner)) if options.each.is_some() && inner.len() > 1 => inner[1],
        _ => value,
    };
    [item].into_iter().chain(error.filter(|_| options.err_ttl.is_some())).collect()
}

fn static_references<'a>(ty: &'a Type, found: &mut Vec<&'a TypeReference>) {
    match ungrouped(ty) {
        Type::Reference(reference) => {
            let lifetime = reference.lifetime.as_ref();
            found.extend(lifetime.filter(|lifetime| lifetime.ident == "static").map(|_| reference));
        }
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| static_references(ty, found)),
        Type::Array(array) => static_references(&array.elem, found),
        ty => {
            let held = named(ty).filter(|(name, _)| HOLDERS.contains(&name.as_str()));
            held.into_iter().flat_map(|(_, inner)| inner).for_each(|ty| static_references(ty, found));
        }
    }
}
