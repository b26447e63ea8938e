//! How a `strict` writer answers with our error, as a function that gives up does.

use super::CanFail;
use crate::answer::Answer;
use crate::error::Error;

/// Carries the division of a return type to the traits that tell whether it has a place for our error.
#[derive(Debug)]
pub struct StrictProbe<A>(pub A);

/// First choice: the error can be made of ours.
pub trait IsStrict<A: Answer> {
    /// The answer that the error is.
    fn answer(&self, error: Error) -> A::Output;
}

impl<A> IsStrict<A> for &&StrictProbe<A>
where
    A: CanFail,
    A::Error: From<Error>,
{
    fn answer(&self, error: Error) -> A::Output {
        A::failed(error.into())
    }
}

/// Second choice: there is an error, but not one that can be made of ours; the bound says what to do.
pub trait IsStrictWithoutError<E> {
    /// Never callable: `E` never implements `StrictError`.
    fn answer(&self, error: Error) -> E::Answer
    where
        E: StrictError;
}

impl<A: CanFail> IsStrictWithoutError<A::Error> for &StrictProbe<A> {
    fn answer(&self, error: Error) -> <A::Error as StrictError>::Answer
    where
        A::Error: StrictError,
    {
        A::Error::answer(error)
    }
}

/// Carries the message for an error that cannot be made of ours. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "with `strict` an invalidation that failed is the error of the function, and `{Self}` cannot be made of a `larder::Error`",
    label = "the error of this function is not `From<larder::Error>`",
    note = "either implement `From<larder::Error>` for it",
    note = "or remove `strict`: then it is logged, counted and repeated"
)]
pub trait StrictError {
    /// What the function would answer.
    type Answer;
    /// That.
    fn answer(error: Error) -> Self::Answer;
}

/// Last choice: the function returns no error at all; the bound says what to do.
pub trait IsStrictWithNoError<A> {
    /// Never callable: `A` does not return a `Result`.
    fn answer(&self, error: Error) -> A::Answer
    where
        A: StrictResult;
}

impl<A> IsStrictWithNoError<A> for StrictProbe<A> {
    fn answer(&self, error: Error) -> A::Answer
    where
        A: StrictResult,
    {
        A::answer(error)
    }
}

/// Carries the message for a function that returns no error. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "with `strict` an invalidation that failed is the error of the function, and this function never returns one",
    label = "this function does not return a `Result`",
    note = "either return a `Result<_, E>` with `E: From<larder::Error>`",
    note = "or remove `strict`: then it is logged, counted and repeated"
)]
pub trait StrictResult {
    /// What the function would answer.
    type Answer;
    /// That.
    fn answer(error: Error) -> Self::Answer;
}
