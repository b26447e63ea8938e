//! Who a cached function is.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;
use once_cell::sync::Lazy;

use super::escape::unescape;
use super::name;

/// Who a cached function is: name, type arguments and version.
///
/// Interned for the life of the process: equal identities are one pointer, so comparing and hashing cost nothing. The
/// records are never freed; there are as many as there are cached functions and instances of generic ones.
///
/// ```
/// use cache_core::key::Identity;
///
/// let menu = Identity::intern("menu_of", &[], 2);
/// assert_eq!(menu, Identity::intern("menu_of", &[], 2));
/// assert_ne!(menu, Identity::intern("menu_of", &["u64"], 2));
/// assert_eq!(menu.to_string(), "menu_of:v2");
/// ```
#[derive(Clone, Copy)]
pub struct Identity(&'static IdentityRecord);

struct IdentityRecord {
    function: String,
    types: Vec<String>,
    /// The function, and the types in angle brackets: for people.
    name: String,
    /// The escaped beginning of every key's text: `name:v2`, or `name(u64;&str):v2`.
    text: String,
    version: u32,
    id: u64,
}

#[derive(Default)]
struct Table {
    /// By the hash of name, types and version.
    by_parts: HashMap<u64, Vec<Identity>>,
    /// Only looked into with texts from outside, never filled from them.
    by_text: HashMap<&'static str, Identity, RandomState>,
}

static TABLE: Lazy<(RandomState, RwLock<Table>)> = Lazy::new(Default::default);

impl Identity {
    /// Interns a function. `types` are the type arguments that tell instances of a generic one apart.
    ///
    /// Takes a shared lock and hashes the names: tens of nanoseconds once known. Keep the result where it can be kept.
    pub fn intern(name: &str, types: &[&str], version: u32) -> Self {
        let (hasher, table) = &*TABLE;
        let hash = hasher.hash_one((name, types, version));
        // A panic cannot leave the table half changed: records are made before they are put in.
        if let Some(known) =
            find(&table.read().unwrap_or_else(PoisonError::into_inner), hash, name, types, version)
        {
            return known;
        }
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&table, hash, name, types, version) {
            return known;
        }
        let identity = Self(Box::leak(Box::new(IdentityRecord::new(name, types, version))));
        table.by_parts.entry(hash).or_default().push(identity);
        table.by_text.insert(identity.text(), identity);
        identity
    }

    /// Finds a function by its text, `menu_of:v2`, if it was interned in this process. Interns nothing, so the text may
    /// come from anywhere.
    ///
    /// ```
    /// use cache_core::key::Identity;
    ///
    /// let menu = Identity::intern("menu_of", &["u64"], 2);
    /// assert_eq!(Identity::find("menu_of(u64):v2"), Some(menu));
    /// assert_eq!(Identity::find("menu_of(u64):v3"), None);
    /// ```
    pub fn find(text: &str) -> Option<Self> {
        TABLE.1.read().unwrap_or_else(PoisonError::into_inner).by_text.get(text).copied()
    }

    /// The name, with the type arguments in angle brackets: `menu::menu_of`, `menu::find<u64>`.
    #[inline]
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// The name alone, without the type arguments.
    pub(crate) fn function(self) -> &'static str {
        &self.0.function
    }

    /// The version that the function declares; 0 by default.
    #[inline]
    pub fn version(self) -> u32 {
        self.0.version
    }

    /// 64 bits of the BLAKE3 digest of name, types and version: the same number in every process.
    #[inline]
    pub fn id(self) -> u64 {
        self.0.id
    }

    /// Where the record lies: a number that tells identities apart within this process.
    #[inline]
    pub fn address(self) -> usize {
        std::ptr::from_ref(self.0).addr()
    }

    /// The beginning of the text of every key of this function: `menu_of:v2`.
    #[inline]
    pub(super) fn text(self) -> &'static str {
        &self.0.text
    }

    fn is(self, name: &str, types: &[&str], version: u32) -> bool {
        let record = self.0;
        record.version == version && record.function == name && record.types.iter().eq(types)
    }
}

fn find(table: &Table, hash: u64, name: &str, types: &[&str], version: u32) -> Option<Identity> {
    table.by_parts.get(&hash)?.iter().copied().find(|known| known.is(name, types, version))
}

impl IdentityRecord {
    fn new(name: &str, types: &[&str], version: u32) -> Self {
        Self {
            function: name.into(),
            types: types.iter().map(|&name| name.into()).collect(),
            name: if types.is_empty() { name.into() } else { format!("{name}<{}>", types.join(", ")) },
            text: text(name, types, version),
            version,
            id: id(name, types, version),
        }
    }
}

/// `;`, `(` and `)` are outside the alphabet of paths, so the parts can be told apart.
fn text<T: AsRef<str>>(name: &str, types: &[T], version: u32) -> String {
    let mut text = String::new();
    name::write_path(name, &mut text);
    for (index, part) in types.iter().enumerate() {
        text.push(if index == 0 { '(' } else { ';' });
        name::write_path(part.as_ref(), &mut text);
    }
    if !types.is_empty() {
        text.push(')');
    }
    text + ":v" + &version.to_string()
}

/// Whether a text could be that of an identity: taken apart and put together again, it is the same.
pub(super) fn is_text(whole: &str) -> bool {
    let parts = || {
        let (path, version) = whole.rsplit_once(":v")?;
        let (name, types) = match path.split_once('(') {
            Some((name, types)) => {
                (name, types.strip_suffix(')')?.split(';').map(unescape).collect::<Option<_>>()?)
            }
            None => (path, Vec::new()),
        };
        Some(text(&unescape(name)?, &types, version.parse().ok()?))
    };
    parts().is_some_and(|again| again == whole)
}

fn id(name: &str, types: &[&str], version: u32) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&version.to_le_bytes());
    for part in std::iter::once(&name).chain(types) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = [0; 8];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(id)
}

impl PartialEq for Identity {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.address());
    }
}

impl fmt::Display for Identity {
    /// The beginning of the text of every key of this function: `menu_of:v2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
