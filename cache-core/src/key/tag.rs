//! Tags.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::sink::{Sink, StackText};

/// A label that many entries share, so that one invalidation reaches them all.
///
/// Cheap to clone. Any text will do; the empty one too.
///
/// ```
/// use cache_core::Tag;
/// let tag = Tag::from("restaurant:42");
/// assert_eq!(tag.as_str(), "restaurant:42");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The text of the tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&String> for Tag {
    fn from(text: &String) -> Self {
        Self(text.as_str().into())
    }
}

impl From<&Tag> for Tag {
    fn from(tag: &Tag) -> Self {
        tag.clone()
    }
}

/// Some tags; one alone needs no heap of its own.
#[derive(Debug, Clone, Default)]
pub(crate) enum TagList {
    #[default]
    None,
    One(Tag),
    Many(Box<[Tag]>),
}

impl Deref for TagList {
    type Target = [Tag];

    fn deref(&self) -> &[Tag] {
        match self {
            Self::None => &[],
            Self::One(tag) => std::slice::from_ref(tag),
            Self::Many(tags) => tags,
        }
    }
}

impl From<&[Tag]> for TagList {
    fn from(tags: &[Tag]) -> Self {
        match tags {
            [] => Self::None,
            [tag] => Self::One(tag.clone()),
            tags => Self::Many(tags.into()),
        }
    }
}

impl<const N: usize> From<[Tag; N]> for TagList {
    fn from(tags: [Tag; N]) -> Self {
        if N > 1 {
            return Self::Many(Box::new(tags));
        }
        tags.into_iter().next().map_or(Self::None, Self::One)
    }
}

impl From<fmt::Arguments<'_>> for Tag {
    fn from(text: fmt::Arguments<'_>) -> Self {
        match text.as_str() {
            Some(text) => text.into(),
            None => {
                // Mostly it fits there: a tag is then allocated once.
                let mut short = StackText::new();
                short.put_formatted(text);
                short.text().map_or_else(|| text.to_string().into(), Self::from)
            }
        }
    }
}

impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_the_tags_it_was_made_of() {
        let tag = |text: &str| Tag::from(text);

        assert_eq!(&*TagList::from([]), []);
        assert_eq!(&*TagList::from([tag("a")]), [tag("a")]);
        assert_eq!(&*TagList::from([tag("a"), tag("b")]), [tag("a"), tag("b")]);
        for count in 0..=3 {
            let tags: Vec<Tag> = ["a", "b", "c"][..count].iter().copied().map(tag).collect();
            assert_eq!(*TagList::from(&*tags), *tags);
        }
    }
}
