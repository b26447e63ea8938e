//! The engine of Larder.
#[doc(hidden)]
pub mod __private;
mod answer;
pub mod backend;
mod call_site;
pub mod codec;
mod error;
pub mod key;
mod storage;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Error, ErrorKind};
pub use key::Tag;

/// Stub.
pub struct Cache;
/// Typed handle to one entry. Stub.
pub struct Entry<R>(std::marker::PhantomData<R>);
