//! What is known about a cached function once every rule holds.

mod background;
mod entry;
mod generics;

pub(crate) use background::{Background, Origin};
pub(crate) use entry::{ClearShape, EntryShape};

use proc_macro2::Ident;
use syn::Expr;
use syn::visit::{self, Visit};
use syn::{GenericParam, Type, TypeImplTrait};

use crate::args::{Options, TagOption};
use crate::duration::Time;
use crate::item::{Function, Ids};
use crate::scan::{Names, plain};

/// A cached function.
pub(crate) struct Model {
    pub(crate) function: Function,
    pub(crate) options: Options,
    pub(crate) parts: Vec<Part>,
    pub(crate) types: Vec<CountedType>,
    pub(crate) entry: EntryShape,
    pub(crate) clear: ClearShape,
    pub(crate) background: Option<Background>,
    /// For a function of many ids: the rest is about the one of a single id.
    pub(crate) batch: Option<Batch>,
    /// The names of the type and const parameters that tell calls apart; others only carry a skipped argument.
    pub(crate) counted: Names,
    /// What tells the function from another one of its path and its place.
    pub(crate) expansion: u64,
}

/// The function of many ids, as written.
pub(crate) struct Batch {
    pub(crate) function: Function,
    pub(crate) ids: Ids,
}

/// One part of the key, in order.
pub(crate) struct Part {
    pub(crate) source: PartSource,
    /// Enters the key as a digest.
    pub(crate) is_secret: bool,
}

pub(crate) enum PartSource {
    Const(Ident),
    Receiver,
    /// By its place among the arguments.
    Argument(usize),
    Expr(Expr),
}

/// A type that tells instances of a generic function apart.
pub(crate) enum CountedType {
    Parameter(Ident),
    /// The type of an `impl Trait` argument, by its place.
    Opaque(usize),
}

impl Model {
    pub(crate) fn new(function: Function, options: Options, batch: Option<Batch>) -> Self {
        let counted = generics::counted(&function, &options);
        let types = types(&function, &options, &counted);
        let parts = parts(&function, &options, &counted);
        let entry = EntryShape::of(&function, &options, &counted);
        let clear = ClearShape::of(&function, &options);
        let background = Background::of(&function, &options);
        Self { function, options, parts, types, entry, clear, background, batch, counted, expansion: 0 }
    }
}

impl Options {
    /// Whether an option names this argument, or `self`.
    fn skips(&self, is_named: impl Fn(&str) -> bool) -> bool {
        self.skip.iter().flat_map(|skip| &skip.value).any(|name| is_named(&name.word))
    }

    fn is_secret(&self, is_named: impl Fn(&str) -> bool) -> bool {
        self.secret.iter().flat_map(|secret| &secret.value).any(|name| is_named(&name.word))
    }

    /// The names that the key parts of `key = ..` use.
    fn key_names(&self) -> Option<Names> {
        let key = self.key.as_ref()?;
        let mut names = Names::default();
        key.value.iter().for_each(|part| names.add(part));
        Some(names)
    }

    /// The names that any option uses, but for what it only skips.
    pub(crate) fn names(&self) -> Names {
        let mut names = self.companion_names();
        self.key.iter().flat_map(|key| &key.value).for_each(|part| names.add(part));
        self.secret.iter().flat_map(|secret| &secret.value).for_each(|name| names.add_word(&name.word));
        let conditions = [&self.when, &self.store_if];
        conditions.into_iter().flatten().for_each(|condition| names.add(&condition.value));
        self.with.iter().for_each(|with| names.add(&with.value));
        names
    }

    /// The names that must be at hand wherever an entry is named: for its cache, its ttl and its tags.
    fn companion_names(&self) -> Names {
        let mut names = Names::default();
        self.cache.iter().for_each(|cache| names.add(&cache.value));
        if let Some(Time::Expr(ttl)) = self.ttl.as_ref().map(|ttl| &ttl.value) {
            names.add(ttl);
        }
        self.tags.iter().flat_map(|tags| &tags.value).for_each(|tag| tag.add_names(&mut names));
        names
    }
}

impl TagOption {
    /// Adds the names that it uses.
    pub(crate) fn add_names(&self, names: &mut Names) {
        match self {
            Self::Template(template) => {
                template.places.iter().for_each(|place| names.add_word(&place.name));
            }
            Self::Expr(expr) => names.add(expr),
        }
    }
}

impl Function {
    /// Which arguments the key depends on.
    pub(crate) fn key_arguments(&self, options: &Options) -> Vec<bool> {
        let names = options.key_names();
        let counts = |argument: &crate::item::Argument| match &names {
            Some(names) => argument.bound.iter().any(|bound| names.has(&plain(bound))),
            None => !options.skips(|word| argument.is_named(word)),
        };
        self.arguments.iter().map(counts).collect()
    }

    /// Whether the key depends on `self`.
    pub(crate) fn has_key_receiver(&self, options: &Options) -> bool {
        let counts = match options.key_names() {
            Some(names) => names.has("self"),
            None => !options.skips(|word| word == "self"),
        };
        self.receiver.is_some() && counts
    }
}

fn parts(function: &Function, options: &Options, counted: &Names) -> Vec<Part> {
    let constants = function.sig.generics.const_params().filter(|param| counted.has(&plain(&param.ident)));
    let mut parts: Vec<Part> = constants
        .map(|param| Part { source: PartSource::Const(param.ident.clone()), is_secret: false })
        .collect();
    if let Some(key) = &options.key {
        parts.extend(key.value.iter().map(|expr| {
            let names = Names::of(expr);
            Part {
                source: PartSource::Expr(expr.clone()),
                is_secret: options.is_secret(|word| names.has(word)),
            }
        }));
        return parts;
    }
    if function.has_key_receiver(options) {
        parts
            .push(Part { source: PartSource::Receiver, is_secret: options.is_secret(|word| word == "self") });
    }
    let arguments = function.arguments.iter().zip(function.key_arguments(options)).enumerate();
    parts.extend(arguments.filter(|(_, (_, counts))| *counts).map(|(index, (argument, _))| Part {
        source: PartSource::Argument(index),
        is_secret: options.is_secret(|word| argument.is_named(word)),
    }));
    parts
}

fn types(function: &Function, options: &Options, counted: &Names) -> Vec<CountedType> {
    let parameters = function.sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) if counted.has(&plain(&param.ident)) => {
            Some(CountedType::Parameter(param.ident.clone()))
        }
        _ => None,
    });
    let opaque = function.arguments.iter().zip(function.key_arguments(options)).enumerate();
    let opaque = opaque
        .filter(|(_, (argument, counts))| *counts && is_opaque(&argument.ty))
        .map(|(index, _)| CountedType::Opaque(index));
    parameters.chain(opaque).collect()
}

/// Whether `impl Trait` occurs in the type of an argument.
fn is_opaque(ty: &Type) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            self.0 = true;
            visit::visit_type_impl_trait(self, ty);
        }
    }
    let mut search = Search(false);
    search.visit_type(ty);
    search.0
}
