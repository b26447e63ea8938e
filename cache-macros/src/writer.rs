//! `#[invalidates]` and `#[updates]`: what a writing function does to the cache once it has returned `Ok`.

mod args;
mod check;
mod expand;

use proc_macro2::TokenStream;

use args::Options;

use crate::diag::Diagnostics;
use crate::item::{Function, Wording};
use crate::scan::Names;
use crate::together;

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

/// One attribute of a writer.
struct Written {
    kind: Kind,
    options: Options,
}

impl Written {
    fn parse(kind: Kind, options: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        Self { kind, options: Options::parse(kind, options, diagnostics) }
    }

    fn check(&self, function: &Function, diagnostics: &mut Diagnostics) {
        check::check(self.kind, function, &self.options, diagnostics);
    }
}

/// The function with its body as written, and what comes before and after it.
pub(crate) fn expanded(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    if together::is_done(&options) {
        return item;
    }
    let mut diagnostics = Diagnostics::default();
    let first = Written::parse(kind, options, &mut diagnostics);
    // No functions are emitted beside it, so it may stand in a trait's `impl`.
    let function = match Function::parse(item.clone(), true, kind.wording()) {
        Ok(function) => function.taken_apart(&first.options.patterns),
        Err(mistake) => {
            diagnostics.absorb(mistake);
            return crate::with_mistakes(item, diagnostics);
        }
    };
    first.check(&function, &mut diagnostics);
    match diagnostics.is_empty() {
        true => {
            let (function, all) = all_of(first, function);
            expand::expand(&function, &all)
        }
        false => crate::with_mistakes(item, diagnostics),
    }
}

/// The attributes of the function that are expanded together with the first: what they do after the body has one end, and takes
/// effect as a whole. One that is wrong is left to tell so itself.
fn all_of(first: Written, mut function: Function) -> (Function, Vec<Written>) {
    let mut all = vec![first];
    let mut diagnostics = Diagnostics::default();
    let (others, attrs) = together::writers(&function);
    for (kind, options) in others {
        let other = Written::parse(kind, options, &mut diagnostics);
        other.check(&function, &mut diagnostics);
        all.push(other);
    }
    match diagnostics.is_empty() {
        true => function.attrs = attrs,
        false => all.truncate(1),
    }
    let mut names = Names::default();
    all.iter().for_each(|written| written.options.add_names(&mut names));
    (function.used_by(names), all)
}
