//! The identity of one call. (Contract; the helper for keys owns this file and its siblings.)

mod probe;
mod tag;

pub use probe::{
    KeyPart, KeyReceiver, PartProbe, ReceiverProbe, RefusesPart, RefusesReceiver, WritesPart,
};
pub use tag::Tag;

use serde::Serialize;

/// Who a cached function is, interned for the life of the process: equal identities are one pointer.
#[derive(Clone, Copy)]
pub struct Identity(&'static IdentityRecord);

struct IdentityRecord {
    /// `menu::menu_of`, `menu::Repo<alloc::string::String>::find`, or the explicit name; type arguments at the end.
    name: String,
    version: u32,
}

impl Identity {
    /// Interns. `types` are the type arguments that tell instances of one generic function apart.
    pub fn intern(name: &str, types: &[&str], version: u32) -> Self { let _ = (name, types, version); todo!() }
    pub fn name(self) -> &'static str { &self.0.name }
    pub fn version(self) -> u32 { self.0.version }
    /// Where the record lies: a number that tells identities apart within this process.
    pub fn address(self) -> usize { self.0 as *const IdentityRecord as usize }
}

/// Key for the digests of `secret(..)` arguments: 32 bytes, never shown.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

/// The identity of one call: function + canonical arguments. 48 bytes at most; short ones own no heap.
#[derive(Clone)]
pub struct Key { identity: Identity, /* arguments: inline up to 38 bytes or so, else Arc<[u8]> */ }

/// Collects key parts.
pub struct KeyWriter { identity: Identity }

impl KeyWriter {
    pub fn new(identity: Identity) -> Self { Self { identity } }
    /// Appends one argument in canonical form. A failing `Serialize` is remembered and answered by `finish`.
    pub fn part<T: Serialize + ?Sized>(&mut self, value: &T) { let _ = value; todo!() }
    /// Appends a keyed BLAKE3 digest of one argument.
    pub fn secret<T: Serialize + ?Sized>(&mut self, key: &SecretKey, value: &T) { let _ = (key, value); todo!() }
    pub fn finish(self) -> Result<Key, crate::Error> { todo!() }
}
