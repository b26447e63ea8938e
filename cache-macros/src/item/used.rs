//! What the options use of the arguments. That the body uses none of it is no reason for a warning.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::{Expr, Local, Pat, Stmt, parse_quote_spanned};

use super::{Function, Place};
use crate::expand::site;
use crate::scan::{Names, plain};
use crate::together;

impl Function {
    /// The same, once it is known which names the options use.
    pub(crate) fn used_by(mut self, names: Names) -> Self {
        self.used = names;
        if self.place == Place::Boxed {
            self.use_moved();
        }
        self
    }

    /// A statement that uses those of `bound` that an option names.
    pub(crate) fn using<'b>(&self, bound: impl IntoIterator<Item = &'b Ident>) -> TokenStream {
        let used: Vec<_> = bound.into_iter().filter(|bound| self.is_used(bound)).collect();
        match used.is_empty() {
            true => TokenStream::new(),
            false => quote_spanned!(site()=> let _ = (#(&#used,)*);),
        }
    }

    /// The same for all arguments, where the signature is as written.
    pub(crate) fn using_all(&self) -> TokenStream {
        let arguments = self.arguments.iter().filter(|argument| !argument.is_matched);
        self.using(arguments.flat_map(|argument| &argument.bound))
    }

    /// What an attribute behind this one uses is not known here, and taken for used.
    fn is_used(&self, bound: &Ident) -> bool {
        self.used.has(&plain(bound)) || self.attrs.iter().any(together::is_ours)
    }

    /// `#[async_trait]` begins the future with a `let id = id;` for each argument: that second `id` is the one that the
    /// compiler misses in the body.
    fn use_moved(&mut self) {
        let Some(Stmt::Expr(Expr::Call(call), None)) = self.block.stmts.last() else { return };
        let mut call = call.clone();
        let Some(Expr::Async(future)) = call.args.first_mut() else { return };
        let mut statements = Vec::new();
        for statement in std::mem::take(&mut future.block.stmts) {
            let using = moved(&statement).filter(|moved| self.is_used(moved));
            let using = using.map(|moved| parse_quote_spanned!(site()=> let _ = &#moved;));
            statements.push(statement);
            statements.extend(using);
        }
        future.block.stmts = statements;
        if let Some(last) = self.block.stmts.last_mut() {
            *last = Stmt::Expr(Expr::Call(call), None);
        }
    }
}

/// `id` of `let id = id;`.
fn moved(statement: &Stmt) -> Option<Ident> {
    let Stmt::Local(Local { pat: Pat::Ident(pattern), init: Some(init), .. }) = statement else {
        return None;
    };
    let Expr::Path(from) = &*init.expr else { return None };
    from.path.is_ident(&pattern.ident).then(|| pattern.ident.clone())
}
