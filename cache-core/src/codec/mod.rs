//! (Contract; the helper for codecs owns this folder.)

/// The size in bytes of `value` in the default codec, without building the bytes.
pub fn encoded_size<T: serde::Serialize + ?Sized>(value: &T) -> Result<usize, crate::Error> { let _ = value; todo!() }
