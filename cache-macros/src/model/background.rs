//! Where the background gets what it computes with.

use super::Options;
use crate::item::{Argument, Function, Owning};
use crate::scan::plain;

/// What recomputes without its caller: for each argument, whence it comes.
pub(crate) struct Background {
    pub(crate) receiver: Option<Origin>,
    /// In the order of the arguments.
    pub(crate) arguments: Vec<Origin>,
}

/// Whence the background has an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the call that left it behind.
    Owned(Owning),
    /// From `with(..)`, by its place there.
    Given(usize),
}

impl Background {
    /// What the options ask for, if they leave work to the background.
    pub(super) fn of(function: &Function, options: &Options) -> Option<Self> {
        options.has_background().then(|| Self {
            receiver: function.receiver.as_ref().map(|receiver| {
                options
                    .given("self")
                    .map_or_else(|| Origin::Owned(Owning::of_receiver(receiver)), Origin::Given)
            }),
            arguments: function.arguments.iter().map(|argument| Origin::of(argument, options)).collect(),
        })
    }
}

impl Origin {
    /// Whence an argument comes.
    pub(crate) fn of(argument: &Argument, options: &Options) -> Self {
        let name = (!argument.is_pattern).then(|| plain(&argument.name));
        match name.and_then(|word| options.given(&word)) {
            Some(given) => Self::Given(given),
            None => Self::Owned(Owning::of(&argument.ty)),
        }
    }
}

impl Options {
    /// The place in `with(..)` of what it gives by this name.
    pub(crate) fn given(&self, word: &str) -> Option<usize> {
        self.with.iter().position(|with| with.argument.word == word)
    }
}
