//! The names of what the macros bind.
//!
//! Where a unit struct, a constant or a static is in scope, a pattern of its name binds nothing, whatever the span says; and
//! Diesel's `use schema::dsl::*` brings in a unit struct for each column. So all that an expansion binds for itself has a name that
//! nobody else gives.

use proc_macro2::{Ident, Span};

/// How each of them begins, also where it stands in a `quote!`.
pub(crate) const PREFIX: &str = "__larder_";

/// A name for what the macros bind, where it is not the same each time.
pub(crate) fn own(word: &str, span: Span) -> Ident {
    Ident::new(&format!("{PREFIX}{word}"), span)
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;
    use syn::PatIdent;
    use syn::visit::{self, Visit};

    use super::*;
    use crate::scan::plain;
    use crate::writer::Kind;

    /// What an expansion binds by names that the user did not write.
    #[derive(Default)]
    struct Bound {
        users: Vec<&'static str>,
        others: Vec<String>,
        count: usize,
    }

    impl<'ast> Visit<'ast> for Bound {
        fn visit_pat_ident(&mut self, ident: &'ast PatIdent) {
            let word = plain(&ident.ident);
            self.count += 1;
            if !word.starts_with(PREFIX) && !self.users.contains(&word.as_str()) {
                self.others.push(word);
            }
            visit::visit_pat_ident(self, ident);
        }
    }

    fn bound(expansion: TokenStream, users: &[&'static str]) -> Bound {
        let text = expansion.to_string();
        assert!(!text.contains("compile_error"), "{text}");
        let file: syn::File = syn::parse2(expansion).expect("what is emitted");
        let mut bound = Bound { users: users.to_vec(), ..Bound::default() };
        bound.visit_file(&file);
        bound
    }

    #[test]
    fn whatever_an_expansion_binds_has_a_name_of_ours() {
        let one = quote!(
            async fn f(id: u64, (a, _): (u64, u64), token: &str) -> Result<Option<u64>, E> {
                Ok(Some(id))
            }
        );
        let options = [
            quote!(ttl = 60),
            quote!(
                ttl = of(id),
                tags = ["a:{a}", OF],
                secret(token),
                when = id > 1,
                none_ttl = 1,
                err_ttl = 1
            ),
            quote!(
                ttl = |v| of(v),
                tags_from = |v| of(v),
                store_if = |v| of(v),
                refresh,
                timeout(soft = 1, hard = 2),
                grace = 1
            ),
            quote!(policy = P, store_if = of, lease = LEASE, refresh(with(token = of(id))), skip(token)),
            quote!(ttl = 60, store_if = if A { of } else { of }, cache = of(id), tier = local),
        ];
        for options in options {
            let all = bound(crate::expanded(options.clone(), one.clone()), &["id", "a", "token", "v"]);
            assert_eq!(all.others, [""; 0], "{options}");
            assert!(all.count > 10, "{options}");
        }
        let boxed = quote!(
            fn f<'a>(&'a self, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
                Box::pin(async move { id })
            }
        );
        let all = bound(crate::expanded(quote!(ttl = 60, skip(self)), boxed), &["id"]);
        assert_eq!(all.others, [""; 0]);
    }

    #[test]
    fn so_has_what_a_batch_binds() {
        for (ids, by) in [
            (quote!(&[u64]), quote!()),
            (quote!(&HashSet<u64>), quote!()),
            (quote!(Vec<u64>), quote!(, by = |v| v.id)),
        ] {
            let batch = quote!(
                async fn f(db: &Db, ids: #ids) -> Result<Vec<u64>, E> {
                    Ok(Vec::new())
                }
            );
            let options = quote!(ttl = 60, each(id in ids #by), skip(db), tags = ["{id}"], store_if = |v| of(v), none_ttl = 1);
            let batch = match by.is_empty() {
                true => quote!(
                    async fn f(db: &Db, ids: #ids) -> Result<HashMap<u64, u64>, E> {
                        Ok(HashMap::new())
                    }
                ),
                false => batch,
            };

            let all = bound(crate::expanded(options, batch), &["id", "ids", "db", "v"]);

            assert_eq!(all.others, [""; 0]);
            assert!(all.count > 10);
        }
    }

    #[test]
    fn so_has_what_a_writer_binds() {
        let writer = quote!(
            async fn f(id: u64, (a, _): (u64, u64)) -> Result<u64, E> {
                Ok(id)
            }
        );
        for (kind, options) in [
            (
                Kind::Invalidates,
                quote!(
                    tags = ["{id}", "{a}:{result}", OF],
                    entries = [of(id, result), of(a)],
                    function = g,
                    strict,
                    expire
                ),
            ),
            (Kind::Updates, quote!(entry = of(result), value = |v| Ok(*v + id), when = |v| *v > a)),
        ] {
            let all =
                bound(crate::writer::expanded(kind, options, writer.clone()), &["id", "a", "v", "result"]);

            assert_eq!(all.others, [""; 0]);
            assert!(all.count > 5);
        }
    }
}
