//! How a function gives up after its hard timeout: with an error that its return type has a place for.

use crate::answer::{Answer, Fallible, FallibleOptional, Remembering, RememberingOptional};
use crate::error::Error;

/// Carries the division of a return type to the traits that tell whether it has a place for our error.
#[derive(Debug)]
pub struct GiveUpProbe<A>(pub A);

/// A return type that can be an error.
pub trait CanFail: Answer {
    /// The answer that an error is.
    fn failed(error: Self::Error) -> Self::Output;
}

macro_rules! can_fail {
    ($($answer:ident),+) => {$(
        impl<T, E> CanFail for $answer<T, E> {
            fn failed(error: E) -> Self::Output {
                Err(error)
            }
        }
    )+};
}
can_fail!(Fallible, FallibleOptional, Remembering, RememberingOptional);

/// First choice: the error can be made of ours.
pub trait GivesUp<A: Answer> {
    /// The answer of a function that gave up.
    fn give_up(&self) -> fn(Error) -> A::Output;
}

impl<A> GivesUp<A> for &&GiveUpProbe<A>
where
    A: CanFail,
    A::Error: From<Error>,
{
    fn give_up(&self) -> fn(Error) -> A::Output {
        |error| A::failed(error.into())
    }
}

/// Second choice: there is an error, but not one that can be made of ours; the bound says what to do.
pub trait GivesUpWithoutError<E> {
    /// Never callable: `E` never implements `MadeOfOurs`.
    fn give_up(&self) -> E::GivesUp
    where
        E: MadeOfOurs;
}

impl<A: CanFail> GivesUpWithoutError<A::Error> for &GiveUpProbe<A> {
    fn give_up(&self) -> <A::Error as MadeOfOurs>::GivesUp
    where
        A::Error: MadeOfOurs,
    {
        A::Error::GIVES_UP
    }
}

/// Carries the message for an error that cannot be made of ours. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`timeout(hard = ..)` gives up with a `larder::Error`, and `{Self}` cannot be made of one",
    label = "the error of this function is not `From<larder::Error>`",
    note = "either implement `From<larder::Error>` for it",
    note = "or keep `timeout(soft = ..)` alone, and put the limit into the function"
)]
pub trait MadeOfOurs {
    /// How it would give up.
    type GivesUp;
    /// That, as a value.
    const GIVES_UP: Self::GivesUp;
}

/// Last choice: the function returns no error at all; the bound says what to do.
pub trait GivesUpWithNoError<A> {
    /// Never callable: `A` does not return a `Result`.
    fn give_up(&self) -> A::GivesUp
    where
        A: ReturnsResult;
}

impl<A> GivesUpWithNoError<A> for GiveUpProbe<A> {
    fn give_up(&self) -> A::GivesUp
    where
        A: ReturnsResult,
    {
        A::GIVES_UP
    }
}

/// Carries the message for a function that returns no error. Implemented for nothing.
#[diagnostic::on_unimplemented(
    message = "`timeout(hard = ..)` gives up with an error, and this function never returns one",
    label = "this function does not return a `Result`",
    note = "either return a `Result<_, E>` with `E: From<larder::Error>`",
    note = "or keep `timeout(soft = ..)` alone, and put the limit into the function"
)]
pub trait ReturnsResult {
    /// How it would give up.
    type GivesUp;
    /// That, as a value.
    const GIVES_UP: Self::GivesUp;
}
