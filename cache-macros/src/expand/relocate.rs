//! Moving what the user wrote out of the function, to where there is neither `self` nor the function's lifetimes.

use proc_macro2::{Group, Ident, Literal, Spacing, Span, TokenStream, TokenTree};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, ExprBreak, ExprContinue, ExprPath, Item, Label, Lifetime, Macro, TraitBound, Type, TypeFnPtr,
};

use crate::model::Model;
use crate::scan::plain;

/// What stands for `self` in the background. Text in format strings has to name it too, so it cannot be a name that
/// only this macro sees.
const THIS: &str = "__larder_self";

/// The name that stands for `self`.
pub(super) fn this(place: Span) -> Ident {
    Ident::new(THIS, place)
}

/// The body, moved.
pub(super) fn block(model: &Model) -> Block {
    let mut block = model.function.block.clone();
    Relocation { model }.visit_block_mut(&mut block);
    block
}

/// An expression of an option, moved.
pub(super) fn expr(model: &Model, expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    Relocation { model }.visit_expr_mut(&mut expr);
    expr
}

/// A type without the names of its lifetimes.
pub(super) fn ty(ty: &Type) -> Type {
    let mut ty = ty.clone();
    Nameless.visit_type_mut(&mut ty);
    ty
}

struct Nameless;

impl VisitMut for Nameless {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            lifetime.ident = Ident::new("_", lifetime.ident.span());
        }
    }

    // Those of `for<'a> Fn(&'a str)` are its own.
    fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
        if bound.lifetimes.is_none() {
            visit_mut::visit_trait_bound_mut(self, bound);
        }
    }
    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
}

/// Replaces `self`, and the lifetimes that the function declares: what is lent to the background lives for a time
/// without a name. Items inside have a `self` and lifetimes of their own.
struct Relocation<'a> {
    model: &'a Model,
}

impl VisitMut for Relocation<'_> {
    fn visit_expr_path_mut(&mut self, path: &mut ExprPath) {
        if path.qself.is_none() && path.path.is_ident("self") {
            path.path.segments.iter_mut().for_each(|segment| segment.ident = this(segment.ident.span()));
        }
        visit_mut::visit_expr_path_mut(self, path);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        let generics = &self.model.function.sig.generics;
        if generics.lifetimes().any(|param| param.lifetime.ident == lifetime.ident) {
            lifetime.ident = Ident::new("_", lifetime.ident.span());
        }
    }

    // That of a loop may have the name of a lifetime.
    fn visit_label_mut(&mut self, _: &mut Label) {}
    fn visit_expr_break_mut(&mut self, expr: &mut ExprBreak) {
        expr.expr.iter_mut().for_each(|value| self.visit_expr_mut(value));
    }
    fn visit_expr_continue_mut(&mut self, _: &mut ExprContinue) {}

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        let format = call.path.segments.last().and_then(|name| format_of(&plain(&name.ident)));
        call.tokens = without_self(std::mem::take(&mut call.tokens), format);
        visit_mut::visit_macro_mut(self, call);
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Which argument of a macro is a format string, at the earliest: the first of these that is a text alone is. `None` where texts are just
/// that.
fn format_of(name: &str) -> Option<usize> {
    match name {
        "anyhow" | "bail" | "eprint" | "eprintln" | "eyre" | "format" | "format_args" | "panic" | "print"
        | "println" | "todo" | "unimplemented" | "unreachable" => Some(0),
        "debug" | "error" | "event" | "info" | "log" | "trace" | "warn" => Some(0),
        "assert" | "debug_assert" | "ensure" | "write" | "writeln" => Some(1),
        "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne" => Some(2),
        _ => None,
    }
}

/// Replaces `self` in the tokens of a macro, but not in the path `self::..`; and in its `format` string.
fn without_self(tokens: TokenStream, mut format: Option<usize>) -> TokenStream {
    let is_end = |token: Option<&TokenTree>| match token {
        Some(TokenTree::Punct(punct)) => punct.as_char() == ',',
        other => other.is_none(),
    };
    let mut tokens = tokens.into_iter().peekable();
    let mut replaced: Vec<TokenTree> = Vec::new();
    let mut argument = 0;
    while let Some(token) = tokens.next() {
        let is_alone = is_end(replaced.last()) && is_end(tokens.peek());
        replaced.push(match token {
            TokenTree::Ident(ident) if plain(&ident) == "self" => {
                let is_path = matches!(
                    tokens.peek(),
                    Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint
                );
                TokenTree::Ident(if is_path { ident } else { this(ident.span()) })
            }
            TokenTree::Group(group) => {
                let inside = match &replaced[..] {
                    [.., TokenTree::Ident(name), TokenTree::Punct(bang)] if bang.as_char() == '!' => {
                        format_of(&plain(name))
                    }
                    _ => None,
                };
                let mut inner = Group::new(group.delimiter(), without_self(group.stream(), inside));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            TokenTree::Literal(literal) if is_alone && format.is_some_and(|first| argument >= first) => {
                format = None;
                TokenTree::Literal(without_captured_self(literal))
            }
            token => {
                argument += usize::from(is_end(Some(&token)));
                token
            }
        });
    }
    replaced.into_iter().collect()
}

/// `"{self}"` captures too.
fn without_captured_self(literal: Literal) -> Literal {
    let text = literal.to_string();
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(brace) = rest.find('{') {
        let (before, from_brace) = rest.split_at(brace + 1);
        replaced.push_str(before);
        rest = match from_brace.strip_prefix('{') {
            Some(rest) => {
                replaced.push('{');
                rest
            }
            None => match from_brace.strip_prefix("self") {
                Some(rest) if rest.starts_with([':', '}']) => {
                    replaced.push_str(THIS);
                    rest
                }
                _ => from_brace,
            },
        };
    }
    replaced.push_str(rest);
    if replaced == text {
        return literal;
    }
    match replaced.parse::<Literal>() {
        Ok(mut replaced) => {
            replaced.set_span(literal.span());
            replaced
        }
        Err(_) => literal,
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

    use super::*;
    use crate::args::Options;
    use crate::diag::Diagnostics;
    use crate::item::Function;

    fn moved(body: TokenStream) -> String {
        let function = quote!(async fn f<'a>(&'a self, text: &'a str) -> u64 { #body });
        let function = Function::parse(function, true, &crate::item::CACHED).expect("a function");
        let options = Options::parse(quote!(ttl = 60, refresh), &mut Diagnostics::default());
        block(&Model::new(function, options, None)).to_token_stream().to_string()
    }

    fn same(body: TokenStream) -> String {
        quote!({ #body }).to_string()
    }

    #[test]
    fn self_is_replaced_wherever_it_is_a_variable() {
        let body = moved(quote!((self, self.id, |x| self.f(x), vec![self.id, { self }], g!((self)))));

        let this = quote!((
            __larder_self,
            __larder_self.id,
            |x| __larder_self.f(x),
            vec![__larder_self.id, { __larder_self }],
            g!((__larder_self))
        ));
        assert_eq!(body, same(this));
    }

    #[test]
    fn format_strings_capture_what_stands_for_self() {
        let body = moved(quote!(println!("{self}{self:?} {{self}} {{{self}}} {selfish}", "{self.id}")));

        let this = quote!(println!(
            "{__larder_self}{__larder_self:?} {{self}} {{{__larder_self}}} {selfish}",
            "{self.id}"
        ));
        assert_eq!(body, same(this));
    }

    #[test]
    fn a_text_that_is_no_format_string_is_left_alone() {
        for text in [
            quote!(vec!["{self}"]),
            quote!(format!("{}", "{self}")),
            quote!(assert_eq!("{self}", name)),
            quote!(json!({ "{self}": "{self}" })),
        ] {
            assert_eq!(moved(text.clone()), same(text));
        }
        for (format, this) in [
            (quote!(write!(f, "{self}")), quote!(write!(f, "{__larder_self}"))),
            (quote!(assert_eq!("{self}", b, "{self}")), quote!(assert_eq!("{self}", b, "{__larder_self}"))),
            (
                quote!(tracing::info!(target: "{self}", id = "{self}", "{self}", "{self}")),
                quote!(tracing::info!(target: "{self}", id = "{self}", "{__larder_self}", "{self}")),
            ),
            (quote!(vec![format!("{self}"), "{self}"]), quote!(vec![format!("{__larder_self}"), "{self}"])),
        ] {
            assert_eq!(moved(format), same(this));
        }
    }

    #[test]
    fn paths_and_items_inside_keep_theirs() {
        let body = quote! {
            impl A {
                fn g<'a>(&'a self) -> &'a str {
                    self.0
                }
            }
            self::g();
            vec![self::g()];
            "{self}"
        };

        assert_eq!(moved(body.clone()), same(body));
    }

    #[test]
    fn lifetimes_of_the_function_lose_their_names() {
        let body = moved(quote!(let x: &'a Foo<'a, 'static> = f::<&'a str>(text); 'b: loop { break 'b }));

        assert_eq!(
            body,
            same(quote!(let x: &'_ Foo<'_, 'static> = f::<&'_ str>(text); 'b: loop { break 'b }))
        );
    }

    #[test]
    fn a_label_keeps_its_name_whatever_that_is() {
        let body = quote!('a: loop {
            loop {
                continue 'a;
            }
            break 'a self;
        });

        let this = quote!('a: loop {
            loop {
                continue 'a;
            }
            break 'a __larder_self;
        });
        assert_eq!(moved(body), same(this));
    }

    #[test]
    fn a_type_keeps_the_lifetimes_that_it_declares() {
        let nameless = |tokens| ty(&syn::parse2(tokens).expect("a type")).to_token_stream().to_string();

        assert_eq!(nameless(quote!(&'a mut Foo<'b, 'static>)), quote!(&'_ mut Foo<'_, 'static>).to_string());
        let declares = quote!(&dyn for<'a> Fn(&'a str));
        assert_eq!(nameless(declares.clone()), declares.to_string());
    }
}
