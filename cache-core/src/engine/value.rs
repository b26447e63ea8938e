//! Values of types that the engine does not know.
//!
//! The engine is compiled once, and not again for each type of values: that would be most of what a cached function costs a
//! build. What it does with a value it asks of the [value](AnyValue); what it does without one, of its [`Kind`]. Whoever asks the
//! engine knows the type, and takes the value out again.

use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::codec::AnyCodec;
use crate::error::Error;
use crate::local::{Header, StoredEntry};
use crate::storage::Storage;

/// A value, and how it is kept.
pub(super) struct AnyValue(Box<dyn Erased>);

/// A type of values, and how they are kept.
#[derive(Clone, Copy)]
pub(super) struct Kind(&'static dyn AnyKind);

/// A value under the rules of its storage.
struct Typed<V, S> {
    value: V,
    storage: S,
}

trait Erased: Any + Send + Sync {
    fn value(&self) -> &dyn Any;
    fn encoded_size(&self) -> Option<usize>;
    fn encode(&self, codec: AnyCodec, into: &mut Vec<u8>) -> Result<(), Error>;
    fn is_inline(&self) -> bool;
    fn overhead(&self, has_care: bool) -> usize;
    fn into_entry(self: Box<Self>, header: Header) -> Arc<StoredEntry>;
}

impl<V, S> Erased for Typed<V, S>
where
    V: Send + Sync + 'static,
    S: Storage<V>,
{
    fn value(&self) -> &dyn Any {
        &self.value
    }

    fn encoded_size(&self) -> Option<usize> {
        self.storage.encoded_size(&self.value)
    }

    fn encode(&self, codec: AnyCodec, into: &mut Vec<u8>) -> Result<(), Error> {
        self.storage.encode(codec, &self.value, into)
    }

    fn is_inline(&self) -> bool {
        !std::mem::needs_drop::<V>()
    }

    fn overhead(&self, has_care: bool) -> usize {
        StoredEntry::<V>::overhead(has_care)
    }

    fn into_entry(self: Box<Self>, header: Header) -> Arc<StoredEntry> {
        Arc::new(StoredEntry::new(header, self.value))
    }
}

impl AnyValue {
    pub(super) fn new<V, S>(value: V, storage: S) -> Self
    where
        V: Send + Sync + 'static,
        S: Storage<V>,
    {
        Self(Box::new(Typed { value, storage }))
    }

    /// Takes the value out, if it is a `V` that is kept in `S`.
    pub(super) fn take<V: 'static, S: 'static>(self) -> Option<V> {
        let typed: Box<dyn Any> = self.0;
        typed.downcast::<Typed<V, S>>().ok().map(|typed| typed.value)
    }

    pub(super) fn as_any(&self) -> &dyn Any {
        self.0.value()
    }

    /// Its size in bytes when encoded, or `None` where it cannot be.
    pub(super) fn encoded_size(&self) -> Option<usize> {
        self.0.encoded_size()
    }

    /// Appends its bytes.
    ///
    /// # Errors
    ///
    /// `Encode`, when the value cannot be written so that it is read back as it is.
    pub(super) fn encode(&self, codec: AnyCodec, into: &mut Vec<u8>) -> Result<(), Error> {
        self.0.encode(codec, into)
    }

    /// Whether it keeps nothing outside of its own struct.
    pub(super) fn is_inline(&self) -> bool {
        self.0.is_inline()
    }

    /// What its entry takes beside what the value keeps outside of its own struct, in bytes.
    pub(super) fn overhead(&self, has_care: bool) -> usize {
        self.0.overhead(has_care)
    }

    /// Its entry.
    pub(super) fn into_entry(self, header: Header) -> Arc<StoredEntry> {
        self.0.into_entry(header)
    }
}

impl fmt::Debug for AnyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyValue(..)")
    }
}

trait AnyKind: Send + Sync {
    fn value_type(&self) -> TypeId;
    fn id(&self) -> TypeId;
    fn fingerprint(&self, version: u32) -> Option<u64>;
    fn decode(&self, codec: AnyCodec, bytes: &[u8]) -> Result<AnyValue, Error>;
}

struct Of<V, S>(PhantomData<fn() -> (V, S)>);

impl<V, S> AnyKind for Of<V, S>
where
    V: Send + Sync + 'static,
    S: Storage<V>,
{
    fn value_type(&self) -> TypeId {
        TypeId::of::<V>()
    }

    fn id(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    fn fingerprint(&self, version: u32) -> Option<u64> {
        S::default().fingerprint(version)
    }

    fn decode(&self, codec: AnyCodec, bytes: &[u8]) -> Result<AnyValue, Error> {
        let storage = S::default();
        Ok(AnyValue::new(storage.decode(codec, bytes)?, storage))
    }
}

impl Kind {
    /// Values of type `V`, kept in `S`.
    pub(super) const fn of<V, S>() -> Self
    where
        V: Send + Sync + 'static,
        S: Storage<V>,
    {
        Self(&Of::<V, S>(PhantomData))
    }

    /// The type of the values.
    pub(super) fn value_type(self) -> TypeId {
        self.0.value_type()
    }

    /// What tells it from all other kinds, of the same type of values also.
    pub(super) fn id(self) -> TypeId {
        self.0.id()
    }

    /// The fingerprint of the type in a version of its function, or `None` where values stay in this process.
    pub(super) fn fingerprint(self, version: u32) -> Option<u64> {
        self.0.fingerprint(version)
    }

    /// Reads a value back.
    ///
    /// # Errors
    ///
    /// `Decode`, when the bytes are not those of one such value.
    pub(super) fn decode(self, codec: AnyCodec, bytes: &[u8]) -> Result<AnyValue, Error> {
        self.0.decode(codec, bytes)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::AnyCodec;
    use crate::storage::{Encoded, LocalOnly};

    #[test]
    fn a_value_is_taken_out_as_what_it_is_and_as_nothing_else() {
        let value = || AnyValue::new("soup".to_owned(), Encoded);

        assert_eq!(value().take::<String, Encoded>().as_deref(), Some("soup"));
        assert_eq!(value().take::<Vec<u8>, Encoded>(), None);
        assert_eq!(value().take::<String, LocalOnly>(), None);
    }

    #[test]
    fn a_kind_reads_what_its_values_write() {
        let (kind, mut bytes) = (Kind::of::<String, Encoded>(), Vec::new());
        AnyValue::new("soup".to_owned(), Encoded).encode(AnyCodec::default(), &mut bytes).unwrap();

        let read = kind.decode(AnyCodec::default(), &bytes).unwrap();

        assert_eq!(kind.value_type(), read.as_any().type_id());
        assert_eq!(read.take::<String, Encoded>().as_deref(), Some("soup"));
    }

    #[test]
    fn what_stays_in_the_process_has_neither_fingerprint_nor_bytes() {
        let value = AnyValue::new("soup".to_owned(), LocalOnly);

        assert_eq!(Kind::of::<String, LocalOnly>().fingerprint(0), None);
        assert_eq!(value.encoded_size(), None);
        assert!(value.encode(AnyCodec::default(), &mut Vec::new()).is_err());
    }
}
