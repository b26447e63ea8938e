//! The static record of a function: its identity and the constant part of its options.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;

use super::{Emitted, call, signature, site};
use crate::args::Tier;
use crate::check::{LEASE_TOO_SHORT, SHORTEST_LEASE};
use crate::duration::Time;
use crate::model::Model;

/// The static record, out of sight of the body.
pub(super) fn record(model: &Model, emitted: Emitted) -> TokenStream {
    let p = call::private(model);
    let options = &model.options;
    let name = model.function.name();
    let emitted_name = match emitted {
        Emitted::Cached => name.clone(),
        Emitted::Refresh => signature::sibling_name(&model.function, "refresh").to_string(),
        Emitted::Entry => signature::sibling_name(&model.function, "entry").to_string(),
        Emitted::Clear => signature::sibling_name(&model.function, "clear").to_string(),
    };
    let mut policy = match &options.policy {
        Some(policy) => {
            let policy = &policy.value;
            quote_spanned!(call::at(policy)=> { let __larder_policy: #p::Policy = #policy; __larder_policy })
        }
        None => quote_spanned!(site()=> #p::Policy::new()),
    };
    let mut add = |setting: TokenStream| policy.extend(setting);
    if let Some(name) = &options.name {
        let name = &name.value;
        add(quote_spanned!(site()=> .name(#name)));
    }
    if let Some(version) = &options.version {
        let version = version.value;
        add(quote_spanned!(site()=> .version(#version)));
    }
    // Where the attribute stands, and which one of several there: the same in all that one attribute emits.
    let expansion = model.expansion;
    let position = quote_spanned!(site()=> (::core::file!(), ::core::line!(), ::core::column!(), #expansion));
    let record = |policy: &TokenStream| {
        quote_spanned! {site()=>
            {
                static __LARDER_CALL_SITE: #p::CallSite =
                    #p::CallSite::new(::core::module_path!(), #name, #emitted_name, #policy).at(#position);
                &__LARDER_CALL_SITE
            }
        }
    };
    if emitted == Emitted::Clear {
        // Who the function is, is all it needs.
        return record(&policy);
    }
    let mut add = |setting: TokenStream| policy.extend(setting);
    if let Some(ttl @ Time::Constant(_)) = options.ttl.as_ref().map(|ttl| &ttl.value) {
        let ttl = ttl.tokens();
        add(quote_spanned!(site()=> .ttl(#ttl)));
    }
    let refresh = options.refresh.as_ref().map(|refresh| &refresh.value);
    let timeout = options.timeout.as_ref().map(|timeout| &timeout.value);
    if let Some(refresh) = refresh {
        let after = refresh.after.map(|after| quote_spanned!(site()=> .refresh_after(#after)));
        let priority = refresh.priority.map(|priority| quote_spanned!(site()=> .refresh_priority(#priority)));
        add(quote_spanned!(site()=> .refreshing() #after #priority));
    }
    for (time, setting) in [
        (options.local_ttl.as_ref(), "local_ttl"),
        (options.none_ttl.as_ref(), "none_ttl"),
        (options.err_ttl.as_ref(), "err_ttl"),
        (options.grace.as_ref(), "grace"),
        (refresh.and_then(|refresh| refresh.idle.as_ref()), "refresh_idle"),
        (timeout.and_then(|timeout| timeout.soft.as_ref()), "soft_timeout"),
        (timeout.and_then(|timeout| timeout.hard.as_ref()), "hard_timeout"),
    ] {
        if let Some(time) = time {
            let (time, setting) = (time.value.tokens(), Ident::new(setting, site()));
            add(quote_spanned!(site()=> .#setting(#time)));
        }
    }
    if let Some(lease) = &options.lease {
        let time = lease.value.tokens();
        let time = match (&lease.value, emitted) {
            // A constant by name: the compiler has to look at it. In one of the emitted functions, so that it speaks once.
            (Time::Expr(expr), Emitted::Cached) => {
                let shortest = SHORTEST_LEASE.as_millis();
                quote_spanned!(call::at(expr)=> {
                    let __larder_lease: ::core::time::Duration = #time;
                    ::core::assert!(__larder_lease.as_millis() >= #shortest, #LEASE_TOO_SHORT);
                    __larder_lease
                })
            }
            _ => time,
        };
        add(quote_spanned!(site()=> .lease(#time)));
    }
    if let Some(stagger) = &options.stagger {
        let share = stagger.value;
        add(quote_spanned!(site()=> .stagger(#share)));
    }
    if options.is_kept_to(Tier::Shared) {
        add(quote_spanned!(site()=> .reads_through()));
    }
    if let Some(policy) = &options.policy {
        let (is_ttl_dynamic, has_refresh) = (options.is_ttl_dynamic(), refresh.is_some());
        add(quote_spanned!(call::at(&policy.value)=> .checked(#is_ttl_dynamic, #has_refresh)));
    }
    record(&policy)
}
