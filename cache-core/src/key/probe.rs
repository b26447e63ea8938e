//! Which arguments can be key parts, and the message for those that cannot.

use serde::Serialize;

use super::{KeyWriter, SecretKey};

/// Carries one argument to the traits that tell whether it can be a key part.
#[derive(Debug)]
pub struct PartProbe<'a, T: ?Sized>(pub &'a T);

/// First choice: the argument is `Serialize`, and enters the key in canonical form.
pub trait WritesPart {
    /// Appends the argument.
    fn write(&self, key: &mut KeyWriter);
}

impl<T: Serialize + ?Sized> WritesPart for &PartProbe<'_, T> {
    #[inline(always)]
    fn write(&self, key: &mut KeyWriter) {
        key.part(self.0);
    }
}

/// Last choice: it cannot; the bound says what to do.
pub trait RefusesPart<T: ?Sized> {
    /// Never callable: `T` never implements [`KeyPart`].
    fn write(&self, key: &mut KeyWriter)
    where
        T: KeyPart;
}

impl<T: ?Sized> RefusesPart<T> for PartProbe<'_, T> {
    fn write(&self, _: &mut KeyWriter)
    where
        T: KeyPart,
    {
    }
}

/// Carries the message for an argument that cannot be a key part. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key: it does not implement `serde::Serialize`",
    label = "this argument tells calls apart, unless it is skipped",
    note = "if the answer does not depend on it (a pool, a client, a context), write `skip(..)` with the name of this argument",
    note = "if it does, derive `serde::Serialize` for it, or say what of it counts: `key = (..)`"
)]
pub trait KeyPart {}

/// Carries a receiver, whose refusal has a message of its own.
#[derive(Debug)]
pub struct ReceiverProbe<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> WritesPart for &ReceiverProbe<'_, T> {
    #[inline(always)]
    fn write(&self, key: &mut KeyWriter) {
        key.part(self.0);
    }
}

/// Last choice for a receiver: it cannot be a key part; the bound says what to do.
pub trait RefusesReceiver<T: ?Sized> {
    /// Never callable: `T` never implements [`KeyReceiver`].
    fn write(&self, key: &mut KeyWriter)
    where
        T: KeyReceiver;
}

impl<T: ?Sized> RefusesReceiver<T> for ReceiverProbe<'_, T> {
    fn write(&self, _: &mut KeyWriter)
    where
        T: KeyReceiver,
    {
    }
}

/// Carries the message for a receiver that cannot be a key part. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key: it does not implement `serde::Serialize`",
    label = "`self` tells calls apart, unless its scope is stated",
    note = "if every instance gives the same answer (a repository over one database), write `skip(self)`",
    note = "if it does not, say what of it counts: `key = (self.tenant, id)`"
)]
pub trait KeyReceiver {}

/// Carries an argument that enters the key as a digest, whose refusal has a message of its own: to skip it would let
/// calls with other secrets have its answers.
#[derive(Debug)]
pub struct SecretProbe<'a, T: ?Sized>(pub &'a T);

/// First choice: the secret is `Serialize`.
pub trait WritesSecret {
    /// Appends a keyed digest of the argument.
    fn write_secret(&self, key: &mut KeyWriter, secret: &SecretKey);
}

impl<T: Serialize + ?Sized> WritesSecret for &SecretProbe<'_, T> {
    fn write_secret(&self, key: &mut KeyWriter, secret: &SecretKey) {
        key.secret(secret, self.0);
    }
}

/// Last choice: it cannot be a key part; the bound says what to do.
pub trait RefusesSecret<T: ?Sized> {
    /// Never callable: `T` never implements [`KeySecret`].
    fn write_secret(&self, key: &mut KeyWriter, secret: &SecretKey)
    where
        T: KeySecret;
}

impl<T: ?Sized> RefusesSecret<T> for SecretProbe<'_, T> {
    fn write_secret(&self, _: &mut KeyWriter, _: &SecretKey)
    where
        T: KeySecret,
    {
    }
}

/// Carries the message for a secret that cannot be a key part. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot enter a cache key as a digest: it does not implement `serde::Serialize`",
    label = "this secret tells calls apart",
    note = "without it in the key one caller would get the answers of another",
    note = "derive `serde::Serialize` for it, or say what of it counts, beside `secret(..)`: `key = token.expose()`, with other \
            arguments `key = (token.expose(), id)`"
)]
pub trait KeySecret {}
