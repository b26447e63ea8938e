//! How the background comes to own the arguments of the call that left it behind.
//!
//! The method lookup of [`storage`](crate::storage) picks here, too: what can be owned is, and for what cannot one
//! bound, implemented for nothing, says what to do.

use std::borrow::Borrow;
use std::fmt;

/// Carries an argument to the traits that tell whether it can be owned.
#[expect(missing_debug_implementations, reason = "it lives for one expression, and arguments may be secret")]
pub struct OwnProbe<'a, T: ?Sized>(pub &'a T);

/// What `&T` points at, owned.
pub struct OwnedRef<T: ?Sized + ToOwned>(T::Owned);

/// What `Option<&T>` points at, owned.
pub struct OwnedOption<T: ?Sized + ToOwned>(Option<T::Owned>);

/// A value.
pub struct OwnedValue<T>(T);

impl<T: ?Sized + ToOwned> OwnedRef<T> {
    /// Another one, for one more computation.
    pub fn again(&self) -> Self {
        Self(self.lend().to_owned())
    }

    /// The argument as the function takes it.
    pub fn lend(&self) -> &T {
        self.0.borrow()
    }
}

impl<T: ?Sized + ToOwned> OwnedOption<T> {
    /// Another one, for one more computation.
    pub fn again(&self) -> Self {
        Self(self.lend().map(T::to_owned))
    }

    /// The argument as the function takes it.
    pub fn lend(&self) -> Option<&T> {
        self.0.as_ref().map(T::Owned::borrow)
    }
}

impl<T: Clone> OwnedValue<T> {
    /// Another one, for one more computation.
    pub fn again(&self) -> Self {
        Self(self.0.clone())
    }

    /// The argument as the function takes it.
    pub fn into_value(self) -> T {
        self.0
    }
}

// Derived ones would ask for `T: Debug`, and could show what is secret.
impl<T: ?Sized + ToOwned> fmt::Debug for OwnedRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedRef").finish_non_exhaustive()
    }
}

impl<T: ?Sized + ToOwned> fmt::Debug for OwnedOption<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedOption").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for OwnedValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedValue").finish_non_exhaustive()
    }
}

/// First choice for `&T`: what it points at can be owned.
pub trait OwnsReference<T: ?Sized + ToOwned> {
    /// Owns it.
    fn own_ref(&self) -> OwnedRef<T>;
}

impl<T> OwnsReference<T> for &OwnProbe<'_, T>
where
    T: ?Sized + ToOwned + Sync,
    T::Owned: Send + 'static,
{
    fn own_ref(&self) -> OwnedRef<T> {
        OwnedRef(self.0.to_owned())
    }
}

/// Last choice for `&T`: something is missing; the bound says what to do.
pub trait RefusesReference<T: ?Sized> {
    /// Never callable: `T` never implements `OwnableBehindReference`.
    fn own_ref(&self) -> T::Owned
    where
        T: OwnableBehindReference;
}

impl<T: ?Sized> RefusesReference<T> for OwnProbe<'_, T> {
    fn own_ref(&self) -> T::Owned
    where
        T: OwnableBehindReference,
    {
        T::OWNED
    }
}

/// First choice for `Option<&T>`: what it points at can be owned.
pub trait OwnsOption<T: ?Sized + ToOwned> {
    /// Owns it.
    fn own_option(&self) -> OwnedOption<T>;
}

impl<T> OwnsOption<T> for &OwnProbe<'_, Option<&T>>
where
    T: ?Sized + ToOwned + Sync,
    T::Owned: Send + 'static,
{
    fn own_option(&self) -> OwnedOption<T> {
        OwnedOption(self.0.map(T::to_owned))
    }
}

/// Last choice for `Option<&T>`: something is missing; the bound says what to do.
pub trait RefusesOption<T: ?Sized> {
    /// Never callable: `T` never implements `OwnableBehindReference`.
    fn own_option(&self) -> T::Owned
    where
        T: OwnableBehindReference;
}

impl<T: ?Sized> RefusesOption<T> for OwnProbe<'_, Option<&T>> {
    fn own_option(&self) -> T::Owned
    where
        T: OwnableBehindReference,
    {
        T::OWNED
    }
}

/// First choice for a value: it can be cloned and sent.
pub trait OwnsValue<T> {
    /// Owns it.
    fn own_value(&self) -> OwnedValue<T>;
}

impl<T: Clone + Send + 'static> OwnsValue<T> for &OwnProbe<'_, T> {
    fn own_value(&self) -> OwnedValue<T> {
        OwnedValue(self.0.clone())
    }
}

/// Last choice for a value: something is missing; the bound says what to do.
pub trait RefusesValue<T> {
    /// Never callable: `T` never implements `Ownable`.
    fn own_value(&self) -> T::Owned
    where
        T: Ownable;
}

impl<T> RefusesValue<T> for OwnProbe<'_, T> {
    fn own_value(&self) -> T::Owned
    where
        T: Ownable,
    {
        T::OWNED
    }
}

/// Carries the message for a reference to what cannot be owned. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "the background computes without its caller, and cannot have a `{Self}` of its own",
    label = "what this refers to is not `Clone + Send + Sync + 'static`",
    note = "either derive `Clone` for it, or take it in an `Arc`",
    note = "or skip it, and say where the background gets its own: `refresh(with(name = EXPR))`",
    note = "a type parameter needs the bounds written: `T: Clone + Send + Sync + 'static`"
)]
pub trait OwnableBehindReference {
    /// How it would be owned.
    type Owned;
    /// That, as a value.
    const OWNED: Self::Owned;
}

/// Carries the message for a value that cannot be owned. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "the background computes without its caller, and cannot have a `{Self}` of its own",
    label = "this is not `Clone + Send + 'static`",
    note = "either derive `Clone` for it, or take it in an `Arc`",
    note = "or skip it, and say where the background gets its own: `refresh(with(name = EXPR))`",
    note = "a type parameter or an `impl Trait` needs the bounds written: `Clone + Send + 'static`"
)]
pub trait Ownable {
    /// How it would be owned.
    type Owned;
    /// That, as a value.
    const OWNED: Self::Owned;
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;

    use super::*;

    fn is_static<T: Send + 'static>(value: T) -> T {
        value
    }

    #[test]
    fn each_computation_is_lent_one_of_its_own() {
        let owned = {
            let name = "menu".to_owned();
            is_static((&&OwnProbe(name.as_str())).own_ref())
        };

        let (first, second) = (owned.again(), owned.again());

        assert_eq!((first.lend(), second.lend()), ("menu", "menu"));
        assert_ne!(first.lend().as_ptr(), second.lend().as_ptr());
    }

    #[test]
    fn an_option_is_owned_with_what_it_refers_to() {
        let ids = vec![1_u64, 2];
        let some = is_static((&&OwnProbe(&Some(ids.as_slice()))).own_option());
        let none = (&&OwnProbe(&None::<&str>)).own_option();
        drop(ids);

        assert_eq!((some.again().lend(), none.again().lend()), (Some(&[1, 2][..]), None));
    }

    #[test]
    fn a_value_is_cloned_and_handed_over() {
        let shared = Arc::new(1);
        let owned = is_static((&&OwnProbe(&shared)).own_value());

        let value = owned.again().into_value();

        assert!(Arc::ptr_eq(&value, &shared));
        assert_eq!(Arc::strong_count(&shared), 3);
    }

    #[test]
    fn what_shows_in_logs_is_no_argument() {
        let text: Cow<'static, str> = "secret".into();
        let shown = format!(
            "{:?}{:?}{:?}",
            (&&OwnProbe("secret")).own_ref(),
            (&&OwnProbe(&Some("secret"))).own_option(),
            (&&OwnProbe(&text)).own_value()
        );

        assert!(!shown.contains("secret"), "{shown}");
    }
}
