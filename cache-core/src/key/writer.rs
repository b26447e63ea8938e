//! Collects the parts of a key.

use std::fmt;

use serde::Serialize;

use super::arguments::Arguments;
use super::buffer::Buffer;
use super::canonical;
use super::failure::Failure;
use super::serializer::Canonical;
use super::view::{KeyView, ShortKey};
use super::{Identity, Key, SecretKey};
use crate::{Error, ErrorKind};

/// Collects the parts of a key.
///
/// ```
/// use cache_core::key::{Identity, KeyWriter};
///
/// let mut key = KeyWriter::new(Identity::intern("menu", &[], 2));
/// key.part(&42);
/// key.part("en");
/// assert_eq!(key.finish()?.to_string(), r#"menu:v2:42:"en""#);
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyWriter {
    identity: Identity,
    buffer: Buffer,
    /// With it the buffer is spoilt.
    failure: Option<Error>,
}

impl KeyWriter {
    /// Starts a key of the function `identity`.
    #[inline(always)]
    pub fn new(identity: Identity) -> Self {
        Self { identity, buffer: Buffer::new(), failure: None }
    }

    /// The function of this key.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Appends one argument in canonical form. A failing `Serialize` is remembered and answered by [`finish`](Self::finish).
    #[inline(always)]
    pub fn part<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(failure) = value.serialize(Canonical::new(&mut self.buffer)) {
            self.fail::<T>(failure);
        }
    }

    /// Appends the parts of a tuple or array, or one part.
    pub(super) fn parts<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(failure) = value.serialize(Canonical::of_parts(&mut self.buffer)) {
            self.fail::<T>(failure);
        }
    }

    /// Appends a keyed BLAKE3 digest of one argument, in place of the argument.
    pub fn secret<T: Serialize + ?Sized>(&mut self, key: &SecretKey, value: &T) {
        let mut secret = Buffer::new();
        match value.serialize(Canonical::new(&mut secret)) {
            Ok(()) => {
                self.buffer.push(canonical::SECRET);
                self.buffer.extend(&key.digest(&secret.to_bytes()));
            }
            // The message of a user's `Serialize` may quote the value.
            Err(_) => self.fail::<T>(serde::ser::Error::custom("the reason is not shown, as it is secret")),
        }
    }

    /// The key as it stands, if it is short and nothing failed.
    #[inline]
    pub(crate) fn view(&self) -> Option<KeyView<'_>> {
        Some(KeyView { identity: self.identity, arguments: self.buffer.view()? })
    }

    /// The key as it stands, if it is one of those short ones that need no closer look.
    #[inline(always)]
    pub(crate) fn short(&self) -> Option<ShortKey<'_>> {
        self.buffer.short(self.identity)
    }

    /// Completes the key.
    ///
    /// # Errors
    ///
    /// Of kind [`Key`](ErrorKind::Key) when a part's `Serialize` failed or nested too deeply.
    #[inline]
    pub fn finish(self) -> Result<Key, Error> {
        match self.failure {
            None => Ok(Key::new(self.identity, Arguments::from_buffer(self.buffer))),
            Some(failure) => Err(failure),
        }
    }

    /// Makes no key: digests under a key that each process draws for itself would name other entries in each.
    #[cold]
    pub(crate) fn refuse_secrets(&mut self) {
        let message = format!(
            "could not make a key of `{}`: it has secret arguments, and the processes that share its entries need one \
             key for their digests; set `Cache::builder().secret_key(..)`, or LARDER_SECRET_KEY, alike in all of them",
            self.identity.name()
        );
        self.refuse(Error::new(ErrorKind::Configuration, message));
    }

    #[cold]
    fn fail<T: ?Sized>(&mut self, failure: Failure) {
        // The reason is part of the message, and not a source beneath, since the message has to end with the fix.
        let (part, function) = (std::any::type_name::<T>(), self.identity.name());
        let message = format!(
            "could not make a key part of `{function}` from a `{part}`: {failure}; \
             leave it out with `skip(..)`, or say what of it counts with `key = (..)`"
        );
        self.refuse(Error::new(ErrorKind::Key, message).with_source(failure));
    }

    /// The first failure is the one that is told.
    fn refuse(&mut self, failure: Error) {
        self.failure.get_or_insert(failure);
        self.buffer.spoil();
    }
}

impl fmt::Debug for KeyWriter {
    /// Names the function alone: the parts may be half written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWriter").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serializer;

    use super::*;

    struct Broken;

    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("broken"))
        }
    }

    #[test]
    fn what_failed_is_never_looked_up() {
        for parts_before in [0, 1, 3, 40] {
            let mut writer = KeyWriter::new(Identity::intern("broken", &[], 0));
            (0..parts_before).for_each(|part| writer.part(&part));
            writer.part(&Broken);
            writer.part("more");

            assert!(writer.short().is_none() && writer.view().is_none(), "{parts_before} parts before");
            assert_eq!(writer.finish().map_err(|error| error.kind()), Err(ErrorKind::Key));
        }
    }

    #[test]
    fn what_has_secrets_without_a_common_key_is_never_looked_up() {
        let mut writer = KeyWriter::new(Identity::intern("secretive", &[], 0));
        writer.refuse_secrets();
        writer.part(&7);

        assert!(writer.short().is_none() && writer.view().is_none());
        assert_eq!(writer.finish().map_err(|error| error.kind()), Err(ErrorKind::Configuration));
    }

    #[test]
    fn a_short_key_is_the_one_that_is_stored() {
        for length in 0..60 {
            let mut writer = KeyWriter::new(Identity::intern("short", &[], 0));
            writer.part(&"x".repeat(length));
            writer.part(&1_000_000_u32);

            let key = writer.clone().finish().unwrap();
            assert!(writer.short().is_none_or(|short| short.view() == key.view()), "{length} bytes");
            assert_eq!(writer.short().is_some(), key.arguments().len() <= super::super::limit::SAFE);
        }
    }
}
