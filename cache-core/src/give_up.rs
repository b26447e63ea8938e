//! How a function gives up after its hard timeout: with an error that its return type has a place for.

mod strict;

pub use strict::{IsStrict, IsStrictWithNoError, IsStrictWithoutError, StrictProbe};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[derive(Debug, PartialEq)]
    struct Refused(ErrorKind);

    impl From<Error> for Refused {
        fn from(error: Error) -> Self {
            Self(error.kind())
        }
    }

    fn given_up<A: Answer>(give_up: fn(Error) -> A::Output, _: A) -> A::Output {
        give_up(Error::new(ErrorKind::Unreachable, "compute in time"))
    }

    #[test]
    fn every_kind_of_result_has_a_place_for_the_error() {
        let refused = Refused(ErrorKind::Unreachable);

        let plain = Fallible::<u64, Refused>::SELF;
        assert_eq!(given_up((&&&GiveUpProbe(plain)).give_up(), plain).as_ref(), Err(&refused));
        let optional = FallibleOptional::<u64, Refused>::SELF;
        assert_eq!(given_up((&&&GiveUpProbe(optional)).give_up(), optional).as_ref(), Err(&refused));
        let remembering = Remembering::<u64, Refused>::SELF;
        assert_eq!(given_up((&&&GiveUpProbe(remembering)).give_up(), remembering).as_ref(), Err(&refused));
        let both = RememberingOptional::<u64, Refused>::SELF;
        assert_eq!(given_up((&&&GiveUpProbe(both)).give_up(), both).as_ref(), Err(&refused));
    }
}
