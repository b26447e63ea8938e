//! Where the function stands, as far as it shows from within.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Block, Ident, Item, Macro, Signature};

use crate::scan::Names;

/// Where the function stands; it decides where its body lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an inherent `impl` or a trait: `Self::f_uncached` is the body.
    Member,
    /// A free function, or an associated one that never says `Self`: no path is right in both cases, so
    /// the body is repeated in each emitted function.
    Anywhere,
    /// It returns a boxed future, as `#[async_trait]` makes it: probably in a trait's `impl`, where
    /// siblings would be no members of the trait.
    Boxed,
    /// `in_trait`: an async function in a trait's `impl`; no siblings either.
    InTrait,
}

impl Place {
    pub(super) fn of(sig: &Signature, block: &Block, is_boxed: bool, in_trait: bool) -> Self {
        match () {
            () if is_boxed => Self::Boxed,
            () if in_trait => Self::InTrait,
            () if sig.receiver().is_some() || says_self(sig, block) => Self::Member,
            () => Self::Anywhere,
        }
    }

    /// Whether `f_uncached`, `f_refresh` and `f_entry` can stand beside the function.
    pub(crate) fn has_siblings(self) -> bool {
        matches!(self, Self::Member | Self::Anywhere)
    }
}

/// Whether `Self` occurs, outside of items in the body that have their own.
fn says_self(sig: &Signature, block: &Block) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_ident(&mut self, ident: &'ast Ident) {
            self.0 |= ident == "Self";
        }
        fn visit_macro(&mut self, call: &'ast Macro) {
            self.visit_token_stream(&call.tokens);
            visit::visit_macro(self, call);
        }
        fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
            self.0 |= Names::of(tokens.to_token_stream()).has("Self");
        }
        fn visit_item(&mut self, _: &'ast Item) {}
    }
    let mut search = Search(false);
    search.visit_signature(sig);
    search.visit_block(block);
    search.0
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::ItemFn;

    use super::*;

    fn place(function: TokenStream) -> Place {
        let function: ItemFn = syn::parse2(function).expect("a function");
        Place::of(&function.sig, &function.block, false, false)
    }

    #[test]
    fn a_receiver_or_self_type_tells_a_member() {
        assert_eq!(
            place(quote!(
                async fn f(&self) {}
            )),
            Place::Member
        );
        assert_eq!(
            place(quote!(
                async fn f() -> Option<Self> {
                    None
                }
            )),
            Place::Member
        );
        assert_eq!(
            place(quote!(
                async fn f() {
                    Self::g()
                }
            )),
            Place::Member
        );
        assert_eq!(
            place(quote!(
                async fn f() {
                    vec![Self { x: 1 }];
                }
            )),
            Place::Member
        );
    }

    #[test]
    fn the_self_of_an_inner_item_is_its_own() {
        assert_eq!(
            place(quote!(
                async fn f() {
                    impl A {
                        fn new() -> Self {
                            A
                        }
                    }
                }
            )),
            Place::Anywhere
        );
        assert_eq!(
            place(quote!(
                async fn f(id: u64) -> u64 {
                    id
                }
            )),
            Place::Anywhere
        );
    }
}
