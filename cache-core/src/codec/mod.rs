//! stub

/// stub
pub fn encoded_size<T: serde::Serialize + ?Sized>(value: &T) -> Result<usize, crate::Error> {
    let config = bincode::config::standard();
    bincode::serde::encode_to_vec(value, config).map(|v| v.len()).map_err(|e| crate::Error::new(crate::ErrorKind::Encode, e.to_string()))
}
