//! Every rule of the attribute. All of them are asked, whatever the others say.

mod argument;
mod background;
mod each;
pub(crate) mod expression;
pub(crate) mod signature;
mod stored;

use std::time::Duration;

use proc_macro2::Span;

use crate::args::{Options, Tier};
use crate::diag::Diagnostics;
use crate::item::Function;

pub(crate) use each::ids;

/// A lease is renewed three times within its life; each renewal has to get through.
pub(crate) const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// For a lease below that.
pub(crate) const LEASE_TOO_SHORT: &str = "a lease this short is lost by a holder that lives, when the network is slow \
                                          for a moment: write at least `lease = \"100ms\"`, or remove it for 10 s";

/// Reports all that is wrong with the options, the function, and the two together.
pub(crate) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    signature::check(function, options, diagnostics);
    stored::check(function, options, diagnostics);
    times(options, diagnostics);
    tiers(options, diagnostics);
    argument::check(function, options, diagnostics);
    background::check(function, options, diagnostics);
    expression::check(function, options, diagnostics);
}

fn times(options: &Options, diagnostics: &mut Diagnostics) {
    if !options.mentions_ttl() && !options.mentions("policy") {
        diagnostics.report_at(
            Span::call_site(),
            "`ttl` is missing; there is no endless default: write `#[cached(ttl = 3600)]` or `#[cached(ttl = \"1h\")]`",
        );
    }
    if let Some(lease) = &options.lease
        && lease.value.constant().is_some_and(|time| time < SHORTEST_LEASE)
    {
        diagnostics.report(&lease.option, LEASE_TOO_SHORT);
    }
    let (Some(ttl), Some(local)) = (&options.ttl, &options.local_ttl) else {
        return;
    };
    if let (Some(whole), Some(part)) = (ttl.value.constant(), local.value.constant())
        && part > whole
    {
        diagnostics.report(
            &local.option,
            "`local_ttl` is longer than `ttl`, and would have no effect: write a shorter time, or remove it",
        );
    }
}

/// Options that the one tier left makes no use of.
fn tiers(options: &Options, diagnostics: &mut Diagnostics) {
    if options.is_kept_to(Tier::Local)
        && let Some(lease) = &options.lease
    {
        diagnostics.report(
            &lease.option,
            "with `tier = local` no other process waits for this one: remove `lease`, or remove `tier = local`",
        );
    }
    if options.is_kept_to(Tier::Shared)
        && let Some(local_ttl) = &options.local_ttl
    {
        diagnostics.report(
            &local_ttl.option,
            "with `tier = shared` nothing is kept in the local tier: remove `local_ttl`, or remove `tier = shared` \
             to keep values in this process for that time",
        );
    }
}
