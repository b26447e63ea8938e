//! Closures of options that decide by the value.
//!
//! Given beside the value, a closure has the type of its argument from it: nobody has to write it.

use std::time::Duration;

use crate::key::Tag;

/// What an expression in `tags` gives, and each item of `tags_from`.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` is no tag",
    label = "neither a text nor a `Tag`",
    note = "write the text of one: with a placeholder, `tags = [\"menu:{{id}}\"]`, or `format!(\"menu:{{}}\", value.id)`"
)]
pub trait IntoTag {
    /// The tag.
    fn into_tag(self) -> Tag;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Tag>> IntoTag for T {
    fn into_tag(self) -> Tag {
        self.into()
    }
}

/// Asks what `ttl = |value| ..` says about a value.
pub fn ttl_of<V, F: FnOnce(&V) -> Duration>(value: &V, ttl: F) -> Duration {
    ttl(value)
}

/// Asks what `tags_from = |value| ..` says about a value. What it says may borrow from the value.
pub fn tags_of<'v, V, F, I>(value: &'v V, tags_from: F) -> Vec<Tag>
where
    F: FnOnce(&'v V) -> I,
    I: IntoIterator<Item: IntoTag>,
{
    tags_from(value).into_iter().map(IntoTag::into_tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_may_borrow_from_the_value() {
        let names = vec!["soup".to_owned(), "salad".to_owned()];

        let tags = tags_of(&names, |names| names.iter().map(String::as_str));

        assert_eq!(tags, [Tag::from("soup"), Tag::from("salad")]);
        assert_eq!(ttl_of(&names, |names| Duration::from_secs(names.len() as u64)), Duration::from_secs(2));
    }
}
