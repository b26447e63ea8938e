//! The names of what a backend stores.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind, Tag};

/// The rendered text of a key: all that a backend knows of one.
///
/// The engine makes it; rendering is injective, so equal texts are equal keys. Any text will do.
///
/// ```
/// use cache_core::backend::EntryKey;
/// let key = EntryKey::from("menu_of:v2:42");
/// assert_eq!(key.as_str(), "menu_of:v2:42");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(Arc<str>);

impl EntryKey {
    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for EntryKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for EntryKey {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryKey({:?})", &*self.0)
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one tag: a tag of the user's, or one of the two reserved kinds, which no text can imitate.
///
/// ```
/// use cache_core::Tag;
/// use cache_core::backend::TagKey;
/// let tags = [TagKey::Everything, TagKey::Function("menu_of".into()), Tag::from("menu").into()];
/// assert_ne!(tags[1], TagKey::from(Tag::from("menu_of")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagKey {
    /// The tag that every entry of a prefix bears: `clear` invalidates it.
    Everything,
    /// The tag that every entry of one function bears.
    Function(Arc<str>),
    /// A tag of the user's.
    Tag(Tag),
}

impl From<Tag> for TagKey {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

/// What sets the entries, tags and messages of one cache apart from those of others in the same store.
///
/// 1 to 64 bytes without braces, whitespace and control characters. Braces would let one prefix reach
/// into another, since stored names are `prefix:e:{key}`.
///
/// ```
/// use cache_core::backend::Prefix;
/// assert_eq!(Prefix::new("shop:eu")?.as_str(), "shop:eu");
/// assert!(Prefix::new("shop{eu}").is_err());
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// The longest prefix, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks the text of a prefix.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the text is empty, too long, or has a forbidden character.
    pub fn new(text: &str) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Configuration, what));
        if text.is_empty() {
            return refuse("the prefix is empty: write a name for this application, like \"app\"".into());
        }
        if text.len() > Self::MAX_BYTES {
            return refuse(format!("the prefix has {} bytes: shorten it to 64 at most", text.len()));
        }
        match text.chars().find(|c| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control()) {
            Some(bad) => refuse(format!("the prefix {text:?} contains {bad:?}: remove that character")),
            None => Ok(Self(text.into())),
        }
    }

    /// The text of the prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({:?})", &*self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
