//! From the model to tokens: a static, a key, one call.
//!
//! Local names have the span of this macro (`mixed_site`), so they never meet local names of the user. They meet the user's
//! items all the same, so all of them begin as [`crate::names`] says.

mod attribute;
mod background;
mod batch;
pub(crate) mod body;
pub(crate) mod call;
mod give;
mod means;
mod record;
mod relocate;
mod siblings;
pub(crate) mod signature;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::quote_spanned;

use crate::item::{Function, Place};
use crate::model::Model;
use crate::together;

/// The emitted functions, told apart in the static record that sits in each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emitted {
    /// `f`.
    Cached,
    /// `f_refresh`.
    Refresh,
    /// `f_entry`.
    Entry,
    /// `f_clear`.
    Clear,
}

/// The cached function and its siblings.
pub(crate) fn expand(model: &Model) -> TokenStream {
    if let Some(batch) = &model.batch {
        return batch::expand(model, batch);
    }
    let cached = cached(model);
    match model.function.place.has_siblings() {
        true => {
            let siblings = siblings::siblings(model);
            quote_spanned!(site()=> #cached #siblings)
        }
        false => cached,
    }
}

/// `f`.
fn cached(model: &Model) -> TokenStream {
    let function = &model.function;
    let attrs = attribute::own(&together::told(function));
    let vis = &function.vis;
    let sig = signature::wrapper(&model.function);
    let call = call::prepared(model, Emitted::Cached);
    let tags = call::tags(model);
    let means = means::means(model, Emitted::Cached);
    let background = background::background(model);
    let body = body::body(model);
    let output = call::at(&function.output);
    let p = call::private(model);
    let look = quote_spanned! {output=>
        if let ::core::option::Option::Some(__larder_found) = __larder_call.look() {
            return __larder_found;
        }
    };
    let find = match model.options.refresh {
        // What is found may be due: then it is answered all the same, after everything that a refresh needs was made.
        Some(_) => quote_spanned! {output=>
            let (__larder_found, mut __larder_call) = match __larder_call.find() {
                #p::Found::Value(__larder_found) => return __larder_found,
                #p::Found::Due(__larder_found, __larder_call) => (::core::option::Option::Some(__larder_found), __larder_call),
                #p::Found::Nothing(__larder_call) => (::core::option::Option::None, __larder_call),
            };
        },
        None => quote_spanned! {output=>
            let mut __larder_call = match __larder_call.find() {
                #p::Found::Value(__larder_found) | #p::Found::Due(__larder_found, _) => return __larder_found,
                #p::Found::Nothing(__larder_call) => __larder_call,
            };
        },
    };
    // What the background cannot do is shown at the option that asks for it.
    let cause = model.options.background_option().map(call::at).unwrap_or(output);
    let refresh = model.options.refresh.as_ref().map(|_| {
        let later = quote_spanned!(cause=> __larder_call.refresh_later(__larder_means, __larder_background););
        quote_spanned! {output=>
            if let ::core::option::Option::Some(__larder_found) = __larder_found {
                #later
                return __larder_found;
            }
        }
    });
    let run = match &background {
        Some(_) => quote_spanned!(cause=> __larder_call.run_with(__larder_means, __larder_background, #body)),
        None => quote_spanned!(output=> __larder_call.run(__larder_means, #body)),
    };
    let background =
        background.map(|background| quote_spanned!(output=> let __larder_background = #background;));
    // In a block that ends before the wait: what is alive across it makes the future of every call larger.
    let steps = quote_spanned! {output=>
        let __larder_pending = {
            #call
            #look
            #find
            #tags
            let __larder_means = #means;
            #background
            #refresh
            #run
        };
        __larder_pending.await
    };
    // `#[instrument]` looks for this very shape in what `#[async_trait]` made.
    let block = match function.place {
        Place::Boxed => quote_spanned!(site()=> ::std::boxed::Box::pin(async move { #steps })),
        _ => steps,
    };
    let block = braced(function, block);
    quote_spanned!(site()=> #(#attrs)* #vis #sig #block)
}

/// The new block of a function. Its braces stand where the user's do: of a function without them the compiler says nothing when nobody
/// calls it.
pub(crate) fn braced(function: &Function, block: TokenStream) -> Group {
    let mut braced = Group::new(Delimiter::Brace, block);
    braced.set_span(function.block.brace_token.span.join());
    braced
}

pub(crate) fn site() -> Span {
    Span::mixed_site()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::args::Options;
    use crate::diag::Diagnostics;
    use crate::item::Function;

    /// All that is emitted, without spaces.
    fn expanded(options: TokenStream, item: TokenStream) -> String {
        let mut diagnostics = Diagnostics::default();
        let options = Options::parse(options, &mut diagnostics);
        let function =
            Function::parse(item, options.in_trait.is_some(), &crate::item::CACHED).expect("a function");
        crate::check::check(&function, &options, &mut diagnostics);
        assert_eq!(diagnostics.messages(), [""; 0]);
        let text = expand(&Model::new(function, options, None)).to_string();
        text.replace(char::is_whitespace, "")
    }

    fn menu() -> TokenStream {
        quote!(
            async fn menu(conn: &mut Conn, id: u64) -> Result<u64, Error> {
                conn.query(id).await
            }
        )
    }

    /// How often `part` occurs in what `options` add to a function that skips its connection.
    fn count(options: TokenStream, part: &str) -> usize {
        expanded(quote!(skip(conn), #options), menu()).matches(part).count()
    }

    #[test]
    fn a_background_is_emitted_where_an_option_asks_for_it() {
        let with = quote!(with(conn = POOL.get()));

        for options in
            [quote!(ttl = 60), quote!(ttl = 60, grace = 60, timeout(hard = 1)), quote!(policy = MENU)]
        {
            assert_eq!(count(options.clone(), "__larder_background"), 0, "{options}");
            assert_eq!(count(options.clone(), "Due(__larder_found,__larder_call)"), 0, "{options}");
            assert_eq!(count(options.clone(), "__larder_call.run(__larder_means,"), 1, "{options}");
        }
        for options in
            [quote!(refresh(#with)), quote!(refresh(#with), grace = 60, timeout(soft = 1, hard = 2))]
        {
            assert_eq!(
                count(quote!(ttl = 60, #options), "Found::Due(__larder_found,__larder_call)"),
                1,
                "{options}"
            );
            assert_eq!(
                count(
                    quote!(ttl = 60, #options),
                    "__larder_call.refresh_later(__larder_means,__larder_background)"
                ),
                1,
                "{options}"
            );
            assert_eq!(
                count(
                    quote!(ttl = 60, #options),
                    "__larder_call.run_with(__larder_means,__larder_background,"
                ),
                1,
                "{options}"
            );
            assert_eq!(count(quote!(ttl = 60, #options), "POOL.get()"), 1, "{options}");
        }
        let soft = quote!(ttl = 60, grace = 60, timeout(soft = 1, #with));
        assert_eq!(
            count(soft.clone(), "Due(__larder_found,__larder_call)") + count(soft.clone(), "refresh_later"),
            0
        );
        assert_eq!(count(soft, "__larder_call.run_with(__larder_means,__larder_background,"), 1);
    }

    #[test]
    fn each_part_of_an_option_arrives_where_it_belongs() {
        let all = expanded(
            quote!(
                ttl = 60,
                policy = MENU,
                skip(conn),
                refresh(after = 0.5, priority = -3, idle = "4s", with(conn = POOL.get())),
                grace = 5,
                timeout(soft = "6ms", hard = 7),
            ),
            menu(),
        );

        let time =
            |seconds: u64, nanos: u32| format!("(::core::time::Duration::new({seconds}u64,{nanos}u32))");
        // `f_clear` needs the name that a policy may bring.
        assert_eq!(
            all.matches("let__larder_policy:::larder::__private::Policy=MENU;__larder_policy}").count(),
            4,
            "{all}"
        );
        for setting in [
            format!(".ttl{}", time(60, 0)),
            format!(".grace{}", time(5, 0)),
            format!(".refresh_idle{}", time(4, 0)),
            format!(".soft_timeout{}", time(0, 6_000_000)),
            format!(".hard_timeout{}", time(7, 0)),
            ".refreshing().refresh_after(0.5f64).refresh_priority(-3i8)".to_owned(),
            ".checked(false,true)".to_owned(),
        ] {
            // In the records of `f`, `f_refresh` and `f_entry`.
            assert_eq!(all.matches(&setting).count(), 3, "{setting} in {all}");
        }
    }

    #[test]
    fn a_policy_is_told_what_the_attribute_brings() {
        let is_told = |options: TokenStream, told| count(quote!(policy = MENU, #options), told) == 3;

        assert!(is_told(quote!(), ".checked(false,false)"));
        assert!(is_told(quote!(ttl = TTL), ".checked(true,false)"));
        assert!(is_told(quote!(ttl = |value| value.ttl), ".checked(true,false)"));
        assert!(is_told(quote!(ttl = 5, refresh(with(conn = 1))), ".checked(false,true)"));
        assert_eq!(count(quote!(ttl = 60), "checked"), 0);
    }

    #[test]
    fn an_entry_asks_the_value_and_nothing_else() {
        let all = expanded(
            quote!(
                ttl = |value| value.ttl,
                tags_from = |value| value.tags(),
                store_if = |value| value.is_good(),
                timeout(hard = 1),
                skip(conn),
                refresh(with(conn = 1)),
            ),
            menu(),
        );
        let (functions, entry) = all.split_once("fnmenu_entry").expect("an entry");

        for means in [".ttl_by(|__larder_value|", ".tags_by(|__larder_value|"] {
            assert_eq!((functions.matches(means).count(), entry.matches(means).count()), (2, 1), "{means}");
        }
        for means in [".sharing({", ".store_if(|__larder_value|", ".give_up({"] {
            assert_eq!((functions.matches(means).count(), entry.matches(means).count()), (2, 0), "{means}");
        }
        // The background asks `store_if` as well, before it computes.
        assert_eq!(
            functions
                .matches("Recomputed::judged(__larder_answer,__larder_output,__larder_store_if)")
                .count(),
            1
        );
        let (before, _) = functions.split_once("letmutconn=1").expect("what is given");
        assert!(
            before.contains("let__larder_store_if=::larder::__private::accepting(__larder_answer,"),
            "{before}"
        );
    }

    #[test]
    fn what_is_not_asked_for_costs_nothing() {
        let plain = expanded(quote!(ttl = 60, skip(conn)), menu());

        for part in ["ttl_by", "tags_by", "store_if", "give_up", "own", "Recomputed", "checked"] {
            assert!(!plain.contains(part), "{part} in {plain}");
        }
    }
}
