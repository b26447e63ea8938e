//! What a call needs to decide about a value, and to hand on errors.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::{Expr, ExprClosure, ReturnType, parse_quote_spanned};

use super::{Emitted, call, site};
use crate::args::bare;
use crate::model::Model;

/// `Means::new(answer, storage)`, and what the options add to it.
pub(super) fn means(model: &Model, emitted: Emitted) -> TokenStream {
    let p = call::private(model);
    let options = &model.options;
    let ttl_by = options.ttl_by.as_ref().map(|ttl| {
        let by_value = by_value(&p, &ttl.value, "ttl_of");
        quote_spanned!(call::at(&ttl.value)=> .ttl_by(#by_value))
    });
    let tags_by = options.tags_from.as_ref().map(|tags| {
        let by_value = by_value(&p, &tags.value, "tags_of");
        quote_spanned!(call::at(&tags.value)=> .tags_by(#by_value))
    });
    let new = quote_spanned!(site()=> #p::Means::new(__larder_answer, __larder_storage) #ttl_by #tags_by);
    if emitted == Emitted::Entry {
        return new;
    }
    let sharing = quote_spanned! {site()=>
        {
            use #p::{OwnsErrors as _, SharesErrors as _};
            (&&#p::Answer::error_probe(__larder_answer)).sharing()
        }
    };
    let store_if = options.store_if.as_ref().map(|store_if| {
        let store_if = asking(model, &store_if.value);
        let method = if model.batch.is_some() { "store_each_if" } else { "store_if" };
        let method = Ident::new(method, site());
        quote_spanned!(site()=> .#method(#store_if))
    });
    let hard = options.timeout.as_ref().and_then(|timeout| timeout.value.hard.as_ref());
    let give_up = hard.map(|_| {
        quote_spanned! {call::at(&model.function.output)=>
            .give_up({
                use #p::{GivesUp as _, GivesUpWithNoError as _, GivesUpWithoutError as _};
                (&&&#p::GiveUpProbe(__larder_answer)).give_up()
            })
        }
    });
    quote_spanned!(site()=> #new.sharing(#sharing) #store_if #give_up)
}

/// A closure that captures nothing and asks the one of an option, whose argument so gets its type.
pub(super) fn by_value(p: &TokenStream, closure: &ExprClosure, ask: &str) -> TokenStream {
    let span = call::at(closure);
    let ask = Ident::new(ask, span);
    let mut closure = closure.clone();
    // Where `|value| ttl_of(value)` stands, a lint would have `ttl_of`, which is an expression and no closure.
    if let ReturnType::Default = closure.output {
        let body = &closure.body;
        let body = parse_quote_spanned!(call::at(body)=> { #body });
        closure.output = parse_quote_spanned!(span=> -> _);
        *closure.body = body;
    }
    quote_spanned!(span=> |__larder_value| { use #p::#ask as __larder_ask; __larder_ask(__larder_value, #closure) })
}

/// What `store_if` says, asked for its type in one place, so that a mistake in it is told once.
pub(super) fn asking(model: &Model, store_if: &Expr) -> TokenStream {
    let p = call::private(model);
    let span = call::at(store_if);
    let is_batch = model.batch.is_some();
    match bare(store_if) {
        // Where it stands its arguments get their types.
        Expr::Closure(closure) => {
            let capture = &closure.capture;
            quote_spanned!(span=> #capture |__larder_value| {
                use #p::accepts as __larder_ask;
                __larder_ask(__larder_value, #store_if)
            })
        }
        // What ends in a closure needs that too, and is evaluated before the body, as all options are.
        Expr::Block(_) | Expr::If(_) | Expr::Match(_) | Expr::Macro(_) => {
            let accepting = Ident::new(if is_batch { "accepting_each" } else { "accepting" }, span);
            quote_spanned!(span=> #p::#accepting(__larder_answer, #store_if))
        }
        _ => {
            // A batch asks more than once.
            let lent = is_batch.then(|| quote_spanned!(span=> &));
            quote_spanned! {span=>
                {
                    let __larder_store_if = #store_if;
                    move |__larder_value| #p::accepts(__larder_value, #lent __larder_store_if)
                }
            }
        }
    }
}
