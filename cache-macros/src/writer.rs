//! `#[invalidates]` and `#[updates]`: what a writing function does to the cache once it has returned `Ok`.

mod args;
mod check;
mod expand;

use proc_macro2::TokenStream;

use crate::diag::Diagnostics;
use crate::item::{Function, Wording};

/// Which of the two attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invalidates,
    Updates,
}

impl Kind {
    /// As it is written.
    fn name(self) -> &'static str {
        match self {
            Self::Invalidates => "#[invalidates]",
            Self::Updates => "#[updates]",
        }
    }

    fn wording(self) -> &'static Wording {
        match self {
            Self::Invalidates => &Wording {
                without_body: "a function without a body writes nothing: write `#[invalidates]` on its implementations",
                no_function: "`#[invalidates]` stands on an async function that writes: write it on an `async fn`, on each \
                              function of an `impl`",
            },
            Self::Updates => &Wording {
                without_body: "a function without a body writes nothing: write `#[updates]` on its implementations",
                no_function: "`#[updates]` stands on an async function that writes: write it on an `async fn`, on each \
                              function of an `impl`",
            },
        }
    }
}

/// The function with its body as written, and what comes before and after it.
pub(crate) fn expanded(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let options = args::Options::parse(kind, options, &mut diagnostics);
    // No functions are emitted beside it, so it may stand in a trait's `impl`.
    let function = match Function::parse(item.clone(), true, kind.wording()) {
        Ok(function) => function.taken_apart(&options.patterns).used_by(options.names()),
        Err(mistake) => {
            diagnostics.absorb(mistake);
            return crate::with_mistakes(item, diagnostics);
        }
    };
    check::check(kind, &function, &options, &mut diagnostics);
    match diagnostics.is_empty() {
        true => expand::expand(kind, &function, &options),
        false => crate::with_mistakes(item, diagnostics),
    }
}
