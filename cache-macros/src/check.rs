//! Every rule of the attribute. All of them are asked, whatever the others say.

mod argument;
mod expression;
mod signature;

use proc_macro2::Span;

use crate::args::{Options, Tier};
use crate::diag::Diagnostics;
use crate::item::Function;

/// Reports all that is wrong with the options, the function, and the two together.
pub(crate) fn check(function: &Function, options: &Options, diagnostics: &mut Diagnostics) {
    signature::check(function, options, diagnostics);
    times(options, diagnostics);
    tiers(options, diagnostics);
    argument::check(function, options, diagnostics);
    expression::check(function, options, diagnostics);
}

fn times(options: &Options, diagnostics: &mut Diagnostics) {
    if !options.mentions("ttl") {
        diagnostics.report_at(
            Span::call_site(),
            "`ttl` is missing; there is no endless default: write `#[cached(ttl = 3600)]` or `#[cached(ttl = \"1h\")]`",
        );
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
