//! The fingerprint of a value type, so that bytes of a changed type are a miss.

mod access;
mod probe;
mod record;

use serde::de::DeserializeOwned;

use probe::Probe;
use record::{Attempt, Record};

/// How often a type is probed at most: each time finds another variant, or another stand-in for a value.
const ATTEMPTS: usize = 512;

/// Computes 64 bits that change when `T` changes what it reads, or the function its `version`.
///
/// It is made of what `T::deserialize` asks for: names of structs and fields, variants and their content, types of
/// primitives, in their order. Where it lies (the module, the crate) and how it behaves does not count, nor do
/// names of type parameters. A probing deserializer answers with made-up values to see what is asked next, once for
/// each variant that can be reached; recursive types end when a type occurs within itself.
///
/// A type that refuses made-up values (a checked text, say), or asks the format what comes (`untagged`, `flatten`,
/// `serde_json::Value`), is known by its name alone from there on: raise `version` when it changes.
///
/// Takes microseconds: once per call site, not per call.
///
/// ```
/// use cache_core::entry::fingerprint::fingerprint;
///
/// assert_eq!(fingerprint::<(u64, String)>(0), fingerprint::<(u64, String)>(0));
/// assert_ne!(fingerprint::<(u64, String)>(0), fingerprint::<(String, u64)>(0));
/// assert_ne!(fingerprint::<(u64, String)>(0), fingerprint::<(u64, String)>(1));
/// ```
pub fn fingerprint<T: DeserializeOwned>(version: u32) -> u64 {
    let mut record = Record::new(version);
    for _ in 0..ATTEMPTS {
        record.start();
        let is_read = record.named::<T, _, _>(|record| T::deserialize(Probe::new(record))).is_ok();
        match record.finish(is_read) {
            Attempt::Again => {}
            Attempt::Done => break,
        }
    }
    record.digest()
}
