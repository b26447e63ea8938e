//! The one error type of Larder.

use std::fmt;
use std::sync::Arc;

/// Why an operation on the cache failed.
///
/// Calls to cached functions do not return it: a broken cache never breaks the function. Verbs on the
/// cache itself do. It is cheap to clone, so that all who wait for one operation can have it. `{error}` says what was attempted,
/// `{error:#}` what is beneath, too.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What a caller would act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting, URL or environment variable is wrong. The message ends with the fix.
    Configuration,
    /// An argument could not be made a key part: its `Serialize` failed.
    Key,
    /// A value could not be encoded.
    Encode,
    /// Bytes could not be decoded.
    Decode,
    /// A value is larger than the limit.
    TooLarge,
    /// The shared tier could not be reached in time.
    Unreachable,
    /// The shared tier answered that it cannot do that now: it is starting, full, or may only be read.
    Refused,
    /// The shared tier did it, but fewer replicas have it than were asked for: a fail-over may lose it.
    NotReplicated,
    /// The part of the shared tier that it concerns cannot be reached now. The backend keeps the change, makes it when
    /// that part is back, and answers nothing from there before.
    Postponed,
    /// The shared tier cannot do what was asked of it.
    Unsupported,
    /// A computation took longer than `timeout(hard = ..)` allows.
    TimedOut,
}

impl Error {
    /// Makes an error of `kind`; `operation` is a lower-case fragment that says what was attempted, on what.
    pub fn new(kind: ErrorKind, operation: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, operation: operation.into(), source: None }))
    }

    /// Adds the error beneath.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let (kind, operation) = (self.0.kind, self.0.operation.clone());
        Self(Arc::new(Inner { kind, operation, source: Some(source.into().into()) }))
    }

    /// The same error, on which a caller would act otherwise.
    #[must_use]
    pub fn with_kind(&self, kind: ErrorKind) -> Self {
        let Inner { operation, source, .. } = &*self.0;
        Self(Arc::new(Inner { kind, operation: operation.clone(), source: source.clone() }))
    }

    /// The same error, with `attempted` and a colon before its text.
    #[must_use]
    pub fn in_context(&self, attempted: &str) -> Self {
        let Inner { kind, operation, source } = &*self.0;
        Self(Arc::new(Inner {
            kind: *kind,
            operation: format!("{attempted}: {operation}"),
            source: source.clone(),
        }))
    }

    /// What a caller would act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.operation)?;
        let mut beneath = std::error::Error::source(self).filter(|_| f.alternate());
        while let Some(error) = beneath {
            write!(f, ": {error}")?;
            beneath = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beneath_is_told_where_it_is_asked_for_and_once() {
        let beneath = Error::new(ErrorKind::Unreachable, "ask the server: it is silent");
        let error = Error::new(ErrorKind::Refused, "store").with_source(beneath);

        assert_eq!(error.to_string(), "store");
        assert_eq!(format!("{error:#}"), "store: ask the server: it is silent");
        let other = error.in_context("at noon").with_kind(ErrorKind::Postponed);
        assert_eq!(other.kind(), ErrorKind::Postponed);
        assert_eq!(format!("{other:#}"), "at noon: store: ask the server: it is silent");
    }
}
