//! The annotated function, taken apart.

mod borrow;
mod future;
mod owning;
mod pattern;
mod place;
mod single;
mod used;
mod written;

pub(crate) use borrow::{borrows, borrows_mutably};
pub(crate) use owning::Owning;
pub(crate) use pattern::by_reference;
pub(crate) use place::Place;
pub(crate) use single::{Held, Ids};
pub(crate) use written::{named, ungrouped};

use proc_macro2::{Ident, Span, TokenStream};
use syn::spanned::Spanned;
use syn::{
    AttrStyle, Attribute, Block, FnArg, ItemFn, Pat, Receiver, ReturnType, Signature, TraitItemFn, Type,
    Visibility,
};

use crate::names;
use crate::scan::{Names, plain};
use crate::together::Taken;

/// The annotated function.
#[derive(Clone)]
pub(crate) struct Function {
    /// Foreign attributes, all in outer style.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// As written.
    pub(crate) sig: Signature,
    pub(crate) block: Block,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    /// What the future yields.
    pub(crate) output: Type,
    pub(crate) place: Place,
    /// The names that options use.
    used: Names,
}

/// What an attribute says of an item that it cannot stand on.
pub(crate) struct Wording {
    pub(crate) without_body: &'static str,
    pub(crate) no_function: &'static str,
}

/// What `#[cached]` says.
pub(crate) const CACHED: Wording = Wording {
    without_body: "a function without a body has nothing to cache: write `#[cached]` on its implementations",
    no_function: "`#[cached]` caches the result of an async function: write it on an `async fn`, on each function of an `impl`",
};

/// An argument other than `self`.
#[derive(Clone)]
pub(crate) struct Argument {
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    /// The name it has in the emitted functions: its own, or a fresh one for a pattern.
    pub(crate) name: Ident,
    /// Whether `name` is fresh, so that the pattern must be matched where its names are used.
    pub(crate) is_pattern: bool,
    /// Whether an attribute before this one has matched the pattern already, in the body.
    pub(crate) is_matched: bool,
    /// The names it brings into the body.
    pub(crate) bound: Vec<Ident>,
}

impl Function {
    /// Takes the annotated item apart; it must be a function with a body.
    pub(crate) fn parse(item: TokenStream, in_trait: bool, wording: &Wording) -> syn::Result<Self> {
        let function: ItemFn =
            syn::parse2(item.clone()).map_err(|error| match syn::parse2::<TraitItemFn>(item.clone()) {
                Ok(required) => syn::Error::new_spanned(required.sig.ident, wording.without_body),
                Err(_) if starts_like_a_function(&item) => error,
                Err(_) => syn::Error::new(item.span(), wording.no_function),
            })?;
        let ItemFn { mut attrs, vis, sig, block, .. } = function;
        attrs.iter_mut().for_each(|attr| attr.style = AttrStyle::Outer);
        let future = match sig.asyncness {
            Some(_) => None,
            None => future::boxed_output(&sig.output),
        };
        let place = Place::of(&sig, &block, future.is_some(), in_trait);
        let output = future.unwrap_or_else(|| match &sig.output {
            ReturnType::Default => syn::parse_quote_spanned!(sig.ident.span()=> ()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        });
        let arguments = sig.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(argument) => Some((&argument.pat, &argument.ty)),
        });
        let arguments =
            arguments.enumerate().map(|(index, (pattern, ty))| Argument::new(index, pattern, ty)).collect();
        Ok(Self {
            attrs,
            vis,
            receiver: sig.receiver().cloned(),
            arguments,
            output,
            place,
            sig,
            block: *block,
            used: Names::default(),
        })
    }

    /// The same, where an attribute before this one has given names to these patterns.
    pub(crate) fn taken_apart(mut self, patterns: &[Taken]) -> Self {
        for (index, pattern) in patterns {
            if let Some(argument) = self.arguments.get_mut(*index) {
                argument.pattern = pattern.clone();
                argument.bound = pattern::bound(pattern);
                (argument.is_pattern, argument.is_matched) = (true, true);
            }
        }
        self
    }

    /// The name of the function without `r#`.
    pub(crate) fn name(&self) -> String {
        plain(&self.sig.ident)
    }

    /// `self`, as the body may write it, to be shown at `span`.
    pub(crate) fn self_at(&self, span: Span) -> Option<Ident> {
        let token = self.receiver.as_ref()?.self_token.span;
        Some(Ident::new("self", token.located_at(span)))
    }

    /// The identifier that `word` names in options: an argument, or a name bound by one.
    pub(crate) fn binding(&self, word: &str) -> Option<&Ident> {
        self.arguments.iter().flat_map(|argument| &argument.bound).find(|bound| plain(bound) == word)
    }

    /// The argument that has this name, and not one that a pattern takes apart.
    pub(crate) fn argument(&self, word: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| !argument.is_pattern && plain(&argument.name) == word)
    }

    /// The names that options can refer to.
    pub(crate) fn words(&self) -> Vec<String> {
        let receiver = self.receiver.iter().map(|_| "self".to_owned());
        let bound = self.arguments.iter().flat_map(|argument| argument.bound.iter().map(plain));
        receiver.chain(bound).filter(|word| !word.starts_with(names::PREFIX)).collect()
    }
}

impl Argument {
    fn new(index: usize, pattern: &Pat, ty: &Type) -> Self {
        let bound = pattern::bound(pattern);
        let (name, is_pattern) = match pattern {
            Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
                (ident.ident.clone(), false)
            }
            _ => {
                let span = Span::mixed_site().located_at(pattern.span());
                (names::own(&format!("argument{index}"), span), true)
            }
        };
        Self { pattern: pattern.clone(), ty: ty.clone(), name, is_pattern, is_matched: false, bound }
    }

    /// Whether `word` names this argument or something in it; `_` names every argument that binds nothing.
    pub(crate) fn is_named(&self, word: &str) -> bool {
        match word {
            "_" => self.bound.is_empty(),
            _ => self.bound.iter().any(|bound| plain(bound) == word),
        }
    }
}

/// Whether it was meant as a function, so that the parser's own message fits best.
fn starts_like_a_function(item: &TokenStream) -> bool {
    let word = |token: proc_macro2::TokenTree| match token {
        proc_macro2::TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    };
    let mut words = item.clone().into_iter().filter_map(word);
    words.find(|word| !matches!(word.as_str(), "pub" | "async" | "unsafe" | "const" | "extern" | "default"))
        == Some("fn".to_owned())
}
