//! The identity of one call: who the function is, and what it was asked.
//!
//! A key has two forms. In the process it is the function's [`Identity`] (a pointer) and the arguments in
//! a canonical form (`canonical.rs`), inline where they are short. Outside, in Redis, logs and tools, the
//! same bytes are text (`text.rs`). Both mappings are injective: two different calls never share a key.

mod arguments;
mod buffer;
pub(crate) mod canonical;
mod compound;
mod escape;
mod failure;
mod identity;
mod limit;
mod name;
mod parser;
mod probe;
mod reader;
mod secret;
mod serializer;
mod sink;
mod tag;
pub(crate) mod text;
mod view;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::Serialize;

use crate::Error;
use arguments::Arguments;

pub use identity::Identity;
pub use parser::MalformedText;
pub use probe::{
    KeyPart, KeyReceiver, KeySecret, PartProbe, ReceiverProbe, RefusesPart, RefusesReceiver, RefusesSecret,
    SecretProbe, WritesPart, WritesSecret,
};
pub use reader::Malformed;
pub use secret::SecretKey;
pub use tag::Tag;
pub(crate) use tag::TagList;
pub use text::render;
pub(crate) use view::{KeyView, ShortKey};
pub use writer::KeyWriter;

/// The identity of one call: a function and its arguments.
///
/// Its text, by `Display` and `Debug`, is what Redis, logs and tools see: `name:v2:42:"en"`, or
/// `name:v2:#<64 hex digits>` where the arguments are long. The text never contains a brace, a
/// whitespace or a control character, no two keys have the same one, and [`parse`](Key::parse) reads it back.
///
/// 48 bytes; arguments of up to 38 canonical bytes own no heap, longer ones share one allocation, and
/// those above 200 are replaced by their 256-bit BLAKE3 digest.
///
/// ```
/// use cache_core::key::Key;
///
/// let key = Key::of("menu", (42, "en"))?;
/// assert_eq!(key.to_string(), r#"menu:v0:42:"en""#);
/// assert_eq!(key, Key::of("menu", (42_u64, String::from("en")))?);
/// # Ok::<(), cache_core::Error>(())
/// ```
// In this order: of a short key only the end is looked at.
#[derive(Clone)]
#[repr(C)]
pub struct Key {
    arguments: Arguments,
    identity: Identity,
}

impl Key {
    /// Makes a key without the macro: a name, in version 0, and its parts.
    ///
    /// A tuple or array is that many parts, anything else is one part, `()` is none; so `42` and `(42,)` name the
    /// same entry. For another version, secret parts, or a name that need not be looked up again, use
    /// [`Identity::intern`] and a [`KeyWriter`]. The name is interned for the life of the process, which
    /// is why it is a constant: put what varies into the parts.
    ///
    /// # Errors
    ///
    /// Of kind [`Key`](crate::ErrorKind::Key) when a part's `Serialize` fails or nests too deeply.
    pub fn of<P: Serialize>(name: &'static str, parts: P) -> Result<Self, Error> {
        let mut writer = KeyWriter::new(Identity::intern(name, &[], 0));
        writer.parts(&parts);
        writer.finish()
    }

    /// Reads a key back from its text, which is what processes tell each other, and what operators see.
    ///
    /// The inverse of `Display`: the text of a key gives that key, whoever wrote it. `None` means that the text is
    /// well-formed, but this process knows no such function (none was called or [interned](Identity::intern) yet), so
    /// there is nothing of it here. Such a function is not interned: a text costs no memory once it is read.
    ///
    /// Strict: any text that no key has is an error, never some other key. Takes time in proportion to the text.
    ///
    /// ```
    /// use cache_core::key::Key;
    ///
    /// let key = Key::of("menu", (42, "en"))?;
    /// assert_eq!(Key::parse(r#"menu:v0:42:"en""#)?, Some(key));
    /// assert_eq!(Key::parse(r#"menu:v3:42:"en""#)?, None);
    /// assert!(Key::parse(r#"menu:v0:042:"en""#).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MalformedText`] when the text is not that of a key.
    pub fn parse(text: &str) -> Result<Option<Self>, MalformedText> {
        let (identity, arguments) = parser::parse(text)?;
        Ok(identity.map(|identity| Self::new(identity, arguments)))
    }

    #[inline]
    fn new(identity: Identity, arguments: Arguments) -> Self {
        Self { identity, arguments }
    }

    /// The function that this key belongs to.
    #[inline]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The arguments in canonical form, or their digest.
    pub fn arguments(&self) -> Cow<'_, [u8]> {
        self.arguments.bytes()
    }

    #[inline]
    pub(crate) fn view(&self) -> KeyView<'_> {
        KeyView { identity: self.identity, arguments: self.arguments.view() }
    }

    /// The text, as `Display` writes it.
    pub(crate) fn text(&self) -> String {
        text::of_key(self.identity, &self.arguments)
    }

    /// Shows the text, without the heap if it is short.
    pub(crate) fn with_text<R>(&self, show: impl FnOnce(&str) -> R) -> R {
        text::with_key(self.identity, &self.arguments, show)
    }

    /// The bytes that this key owns on the heap: 0 for short ones. Clones share them.
    pub fn heap_size(&self) -> usize {
        self.arguments.heap_size()
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Key {}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.view().hash(state);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
