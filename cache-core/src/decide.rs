//! Closures of options that decide by the value.
//!
//! Given beside the value, a closure has the type of its argument from it: nobody has to write it.

use std::time::Duration;

use crate::key::Tag;

/// Asks what `ttl = |value| ..` says about a value.
pub fn ttl_of<V, F: FnOnce(&V) -> Duration>(value: &V, ttl: F) -> Duration {
    ttl(value)
}

/// Asks what `tags_from = |value| ..` says about a value. What it says may borrow from the value.
pub fn tags_of<'v, V, F, I>(value: &'v V, tags_from: F) -> Vec<Tag>
where
    F: FnOnce(&'v V) -> I,
    I: IntoIterator<Item: Into<Tag>>,
{
    tags_from(value).into_iter().map(Into::into).collect()
}
