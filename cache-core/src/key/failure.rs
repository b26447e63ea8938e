//! Why an argument cannot be written.

use std::fmt;

use super::canonical::DEPTH;

/// Why an argument cannot be written. One word, so that writing an integer returns in a register.
#[derive(Debug)]
pub(super) struct Failure(Box<str>);

impl Failure {
    #[cold]
    pub(super) fn too_deep() -> Self {
        Self(format!("it nests deeper than {DEPTH} levels").into())
    }

    #[cold]
    pub(super) fn ignored() -> Self {
        Self("its `Serialize` goes on after a value within could not be written".into())
    }

    #[cold]
    pub(super) fn key_without_value() -> Self {
        Self("its `Serialize` writes a map value without a key, or a key without a value".into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl serde::ser::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}
