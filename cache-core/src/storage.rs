//! What storing a value asks of its type, and the messages for a type that lacks it.
//!
//! The same method-lookup device as in [`answer`](crate::answer) picks the storage: a blanket
//! implementation would make the compiler complain about `Serialize` alone and hide the second way out.

use std::any::{Any, TypeId};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, SharingProbe, StorageProbe};
use crate::codec::{AnyCodec, Codec};
use crate::entry::fingerprint::fingerprint;
use crate::error::{Error, ErrorKind};

/// How values of one type are kept. Zero-sized; chosen once per call site.
pub trait Storage<V>: Copy + Default + Send + Sync + 'static {
    /// The encoded size of a value in bytes, or `None` where it cannot be encoded.
    fn encoded_size(self, value: &V) -> Option<usize>;

    /// The fingerprint of the value type in a version of its function, or `None` where values stay in this process.
    fn fingerprint(self, version: u32) -> Option<u64>;

    /// Appends the bytes of a value.
    ///
    /// # Errors
    ///
    /// `Encode`, when the value cannot be written so that it is read back as it is.
    fn encode(self, codec: AnyCodec, value: &V, into: &mut Vec<u8>) -> Result<(), Error>;

    /// Reads a value back.
    ///
    /// # Errors
    ///
    /// `Decode`, when the bytes are not those of one such value.
    fn decode(self, codec: AnyCodec, bytes: &[u8]) -> Result<V, Error>;
}

/// Values that every tier can keep: `Serialize + DeserializeOwned + Clone + Send + Sync + 'static`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Encoded;

/// Values that only the local tier keeps: `Clone + Send + Sync + 'static`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalOnly;

impl<V: Serialize + DeserializeOwned> Storage<V> for Encoded {
    fn encoded_size(self, value: &V) -> Option<usize> {
        crate::codec::encoded_size(value).ok()
    }

    fn fingerprint(self, version: u32) -> Option<u64> {
        Some(fingerprint::<V>(version))
    }

    fn encode(self, codec: AnyCodec, value: &V, into: &mut Vec<u8>) -> Result<(), Error> {
        codec.encode(value, into)
    }

    fn decode(self, codec: AnyCodec, bytes: &[u8]) -> Result<V, Error> {
        codec.decode(bytes)
    }
}

impl<V> Storage<V> for LocalOnly {
    fn encoded_size(self, _: &V) -> Option<usize> {
        None
    }

    fn fingerprint(self, _: u32) -> Option<u64> {
        None
    }

    fn encode(self, _: AnyCodec, _: &V, _: &mut Vec<u8>) -> Result<(), Error> {
        Err(stays_here())
    }

    fn decode(self, _: AnyCodec, _: &[u8]) -> Result<V, Error> {
        Err(stays_here())
    }
}

/// Nobody asks for it: without a fingerprint nothing goes to the shared tier.
#[cold]
fn stays_here() -> Error {
    Error::new(ErrorKind::Unsupported, "encode a value of `tier = local`: leave that option out")
}

/// First choice of the storage probe: the value can go to every tier.
pub trait StoresEncoded {
    /// The storage.
    fn storage(&self) -> Encoded;
}

impl<V> StoresEncoded for &StorageProbe<V>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    fn storage(&self) -> Encoded {
        Encoded
    }
}

/// Last choice: something is missing; the bound says what to do.
pub trait StoresNothing<V> {
    /// Never callable: `V` never implements `Cacheable`.
    ///
    /// The result is named through the bound, so that its absence silences every later complaint about
    /// the same value.
    fn storage(&self) -> V::Storage
    where
        V: Cacheable;
}

impl<V> StoresNothing<V> for StorageProbe<V> {
    fn storage(&self) -> V::Storage
    where
        V: Cacheable,
    {
        V::STORAGE
    }
}

/// Carries the message for a value that cannot be stored. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached in every tier",
    label = "the value of this function is not `Serialize + DeserializeOwned + Clone + Send + Sync + 'static`",
    note = "either derive what is missing: `#[derive(Clone, serde::Serialize, serde::Deserialize)]`",
    note = "or keep it in this process only, which asks for `Clone + Send + Sync + 'static` alone: write `tier = local`",
    note = "a type parameter needs the bounds written: `T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static`"
)]
pub trait Cacheable {
    /// How it would be kept.
    type Storage;
    /// That, as a value.
    const STORAGE: Self::Storage;
}

/// First choice of the storage probe with `tier = local`.
pub trait StoresLocally {
    /// The storage.
    fn storage(&self) -> LocalOnly;
}

impl<V: Clone + Send + Sync + 'static> StoresLocally for &StorageProbe<V> {
    fn storage(&self) -> LocalOnly {
        LocalOnly
    }
}

/// Last choice with `tier = local`: something is missing; the bound says what to do.
pub trait StoresNowhere<V> {
    /// Never callable: `V` never implements `CacheableLocally`.
    fn storage(&self) -> V::Storage
    where
        V: CacheableLocally;
}

impl<V> StoresNowhere<V> for StorageProbe<V> {
    fn storage(&self) -> V::Storage
    where
        V: CacheableLocally,
    {
        V::STORAGE
    }
}

/// Carries the message for a value that not even the local tier can keep. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "the value of this function is not `Clone + Send + Sync + 'static`",
    note = "derive `Clone` for it, or return it in an `Arc`",
    note = "a type parameter needs the bounds written: `T: Clone + Send + Sync + 'static`"
)]
pub trait CacheableLocally {
    /// How it would be kept.
    type Storage;
    /// That, as a value.
    const STORAGE: Self::Storage;
}

/// Last choice with `err_ttl`, for a value that can be stored with an error that cannot; the bound says what to do.
pub trait StoresNoError<E> {
    /// Never callable: `E` never implements `CacheableError`.
    fn storage(&self) -> E::Storage
    where
        E: CacheableError;
}

impl<T, E> StoresNoError<E> for StorageProbe<Result<T, E>> {
    fn storage(&self) -> E::Storage
    where
        E: CacheableError,
    {
        E::STORAGE
    }
}

/// Carries the message for an error that `err_ttl` cannot store. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "with `err_ttl` the error is stored too, and `{Self}` cannot be cached in every tier",
    label = "the error of this function is not `Serialize + DeserializeOwned + Clone + Send + Sync + 'static`",
    note = "either derive what is missing: `#[derive(Clone, serde::Serialize, serde::Deserialize)]`",
    note = "or return errors without storing them, which asks for nothing: remove `err_ttl`",
    note = "or keep both in this process only, which asks for `Clone + Send + Sync + 'static` alone: write `tier = local`"
)]
pub trait CacheableError {
    /// How it would be kept.
    type Storage;
    /// That, as a value.
    const STORAGE: Self::Storage;
}

/// Last choice with `err_ttl` and `tier = local`, for an error that cannot be stored; the bound says what to do.
pub trait StoresErrorNowhere<E> {
    /// Never callable: `E` never implements `CacheableErrorLocally`.
    fn storage(&self) -> E::Storage
    where
        E: CacheableErrorLocally;
}

impl<T, E> StoresErrorNowhere<E> for StorageProbe<Result<T, E>> {
    fn storage(&self) -> E::Storage
    where
        E: CacheableErrorLocally,
    {
        E::STORAGE
    }
}

/// Carries the message for an error that not even the local tier can keep. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "with `err_ttl` the error is stored too, and `{Self}` cannot be cached",
    label = "the error of this function is not `Clone + Send + Sync + 'static`",
    note = "either derive `Clone` for it, or return it in an `Arc`",
    note = "or return errors without storing them, which asks for nothing: remove `err_ttl`"
)]
pub trait CacheableErrorLocally {
    /// How it would be kept.
    type Storage;
    /// That, as a value.
    const STORAGE: Self::Storage;
}

/// A storage that fits an answer: lets the answer through.
///
/// Where the storage is an error, so is the answer, and the one message about the value stands alone.
pub trait Fits<A> {
    /// The answer, unchanged.
    type Answer;
    /// Lets the answer through.
    fn fit(self, answer: A) -> Self::Answer;
}

macro_rules! fits {
    ($storage:ty) => {
        impl<A: Answer> Fits<A> for $storage {
            type Answer = A;
            fn fit(self, answer: A) -> A {
                answer
            }
        }
    };
}
fits!(Encoded);
fits!(LocalOnly);

/// Lets an answer through whose value can be stored.
pub fn fitting<A, S: Fits<A>>(answer: A, storage: S) -> S::Answer {
    storage.fit(answer)
}

/// Asks what `store_if` says about a value.
pub fn accepts<V, P: FnOnce(&V) -> bool>(value: &V, store_if: P) -> bool {
    store_if(value)
}

/// Lets through what `store_if` says, once it fits the value.
pub fn accepting<A: Answer, P: FnOnce(&A::Value) -> bool>(
    _: A,
    store_if: P,
) -> impl FnOnce(&A::Value) -> bool + use<A, P> {
    store_if
}

/// The same for a batch, which asks for each item.
pub fn accepting_each<A: Answer, P: Fn(&A::Value) -> bool>(
    _: A,
    store_if: P,
) -> impl Fn(&A::Value) -> bool + use<A, P> {
    store_if
}

/// How followers get the leader's error: a clone of it, or (`None`) a computation of their own.
pub type Sharing<E> = Option<Shared<E>>;

/// The two ends of handing an error on.
#[derive(Debug)]
pub struct Shared<E> {
    /// The type of the error.
    pub(crate) of: TypeId,
    pub(crate) pack: fn(&E) -> Packed,
    pub(crate) unpack: fn(&Packed) -> Option<E>,
}

impl<E> Clone for Shared<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Shared<E> {}

/// An error on its way from a leader to its followers, who may be other callers of the same function only.
pub(crate) type Packed = Arc<dyn Any + Send + Sync>;

/// First choice of the sharing probe: the error is `Clone`.
pub trait SharesErrors<E> {
    /// The way to share.
    fn sharing(&self) -> Sharing<E>;
}

impl<E: Clone + Send + Sync + 'static> SharesErrors<E> for &SharingProbe<E> {
    fn sharing(&self) -> Sharing<E> {
        Some(Shared {
            of: TypeId::of::<E>(),
            pack: |error| Arc::new(error.clone()),
            unpack: |packed| packed.downcast_ref().cloned(),
        })
    }
}

/// Last choice: each follower computes for itself.
pub trait OwnsErrors<E> {
    /// No way to share.
    fn sharing(&self) -> Sharing<E>;
}

impl<E> OwnsErrors<E> for SharingProbe<E> {
    fn sharing(&self) -> Sharing<E> {
        None
    }
}
