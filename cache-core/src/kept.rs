//! How an argument is kept while the body of a writer runs, for what is said of it together with the result.
//!
//! The method lookup of [`storage`](crate::storage) picks here, too: what is `Clone` is kept, and for what is not one
//! bound, implemented for nothing, says what to do.

/// Carries an argument to the traits that tell whether it can be kept.
#[expect(missing_debug_implementations, reason = "it lives for one expression, and arguments may be secret")]
pub struct KeepProbe<'a, T>(pub &'a T);

/// First choice: it can be cloned.
pub trait Keeps<T> {
    /// Keeps it.
    fn keep(&self) -> T;
}

impl<T: Clone> Keeps<T> for &KeepProbe<'_, T> {
    fn keep(&self) -> T {
        self.0.clone()
    }
}

/// Last choice: it cannot; the bound says what to do.
pub trait RefusesToKeep<T> {
    /// Never callable: `T` never implements `Keepable`.
    fn keep(&self) -> T::Kept
    where
        T: Keepable;
}

impl<T> RefusesToKeep<T> for KeepProbe<'_, T> {
    fn keep(&self) -> T::Kept
    where
        T: Keepable,
    {
        T::KEPT
    }
}

/// Carries the message for an argument that cannot be kept. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "an argument that is used together with `result` is kept while the body runs, and a `{Self}` cannot be: it is not `Clone`",
    label = "not `Clone`, and the body may move it",
    note = "either derive `Clone` for it, or take it in an `Arc`",
    note = "or take what is needed from the result: `result.id`",
    note = "or use it in an expression without `result`, which is evaluated before the body"
)]
pub trait Keepable {
    /// How it would be kept.
    type Kept;
    /// That, as a value.
    const KEPT: Self::Kept;
}
