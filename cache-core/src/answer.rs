//! How the return type of a cached function divides into what is stored and what is not.
//!
//! `Result` and `Option` are told by type, not by spelling: `QueryResult<T>` is a `Result` too. The
//! macro cannot see through an alias, so it asks the compiler by "autoref specialisation" (method
//! lookup prefers the receiver with fewer dereferences; D. Tolnay, "case studies", 2019): the expression
//! `(&&&&Probe::<R>::new()).answer()` resolves to the first of the four traits below that fits `R`.

use std::marker::PhantomData;

/// What one computation came to, seen with the policy's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A value: stored for `ttl`.
    Value,
    /// `None` or `Ok(None)`: stored for `none_ttl`, if given.
    Absent,
    /// `Err`: stored for `err_ttl`, if given.
    Error,
}

/// A return type, divided into the stored value and the rest.
///
/// Implementations carry no data; they exist to hold the types.
pub trait Answer: Copy + Send + Sync {
    /// What the function returns.
    type Output;
    /// What is stored.
    type Value;
    /// The error of a `Result`; `Infallible` otherwise.
    type Error;
    /// The division itself, for places that know its type alone.
    const SELF: Self;

    /// Tells what `output` is.
    fn outcome(self, output: &Self::Output) -> Outcome;
    /// The part of `output` that would be stored; `None` for an error that is not kept.
    fn stored(self, output: &Self::Output) -> Option<&Self::Value>;
    /// The answer that a stored value stands for.
    fn restore(self, value: Self::Value) -> Self::Output;
    /// The error inside `output`, if it is one.
    fn error(self, output: &Self::Output) -> Option<&Self::Error>;
    /// The answer that an error of another caller stands for.
    fn fail(self, error: Self::Error) -> Option<Self::Output>;
    /// The answer that there is nothing, where that is one.
    fn absent(self) -> Option<Self::Output> {
        None
    }

    /// Entry point for the storage probe: names the value type in a place the macro can reach.
    fn value_probe(self) -> StorageProbe<Self::Value> {
        StorageProbe(PhantomData)
    }
    /// Entry point for the sharing probe: names the error type.
    fn error_probe(self) -> SharingProbe<Self::Error> {
        SharingProbe(PhantomData)
    }
}

/// Carries a return type to the four traits that tell what it is.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// Makes the probe.
    #[expect(clippy::new_without_default, reason = "made by generated code alone")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Makes the probe for what a function has returned: its type may have no name.
    pub const fn of(_: &R) -> Self {
        Self(PhantomData)
    }
}

/// Carries a value type to the traits that tell whether it can be stored.
#[derive(Debug)]
pub struct StorageProbe<V>(pub(crate) PhantomData<fn() -> V>);

/// Carries an error type to the traits that tell whether followers can share it.
#[derive(Debug)]
pub struct SharingProbe<E>(pub(crate) PhantomData<fn() -> E>);

macro_rules! marker_type {
    ($(#[$doc:meta])* $name:ident<$($p:ident),+>) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($p),+>(PhantomData<fn() -> ($($p,)+)>);
        impl<$($p),+> Clone for $name<$($p),+> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<$($p),+> Copy for $name<$($p),+> {}
        impl<$($p),+> $name<$($p),+> {
            pub(crate) const fn new() -> Self {
                Self(PhantomData)
            }
        }
    };
}

pub(crate) use marker_type;

marker_type!(
    /// Neither `Result` nor `Option`.
    Plain<T>
);
marker_type!(
    /// `Option<T>`.
    Optional<T>
);
marker_type!(
    /// `Result<T, E>`: the `Ok` value is stored, errors pass through.
    Fallible<T, E>
);
marker_type!(
    /// `Result<Option<T>, E>`.
    FallibleOptional<T, E>
);
marker_type!(
    /// `Result<T, E>` with `err_ttl`: the whole result is stored.
    Remembering<T, E>
);
marker_type!(
    /// `Result<Option<T>, E>` with `err_ttl`.
    RememberingOptional<T, E>
);

impl<T> Answer for Plain<T> {
    type Output = T;
    type Value = T;
    type Error = std::convert::Infallible;
    const SELF: Self = Self::new();

    fn outcome(self, _: &T) -> Outcome {
        Outcome::Value
    }
    fn stored(self, output: &T) -> Option<&T> {
        Some(output)
    }
    fn restore(self, value: T) -> T {
        value
    }
    fn error(self, _: &T) -> Option<&Self::Error> {
        None
    }
    fn fail(self, error: Self::Error) -> Option<T> {
        match error {}
    }
}

impl<T> Answer for Optional<T> {
    type Output = Option<T>;
    type Value = Option<T>;
    type Error = std::convert::Infallible;
    const SELF: Self = Self::new();

    fn outcome(self, output: &Option<T>) -> Outcome {
        if output.is_some() { Outcome::Value } else { Outcome::Absent }
    }
    fn absent(self) -> Option<Option<T>> {
        Some(None)
    }
    fn stored(self, output: &Option<T>) -> Option<&Option<T>> {
        Some(output)
    }
    fn restore(self, value: Option<T>) -> Option<T> {
        value
    }
    fn error(self, _: &Option<T>) -> Option<&Self::Error> {
        None
    }
    fn fail(self, error: Self::Error) -> Option<Option<T>> {
        match error {}
    }
}

impl<T, E> Answer for Fallible<T, E> {
    type Output = Result<T, E>;
    type Value = T;
    type Error = E;
    const SELF: Self = Self::new();

    fn outcome(self, output: &Result<T, E>) -> Outcome {
        if output.is_ok() { Outcome::Value } else { Outcome::Error }
    }
    fn stored(self, output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }
    fn restore(self, value: T) -> Result<T, E> {
        Ok(value)
    }
    fn error(self, output: &Result<T, E>) -> Option<&E> {
        output.as_ref().err()
    }
    fn fail(self, error: E) -> Option<Result<T, E>> {
        Some(Err(error))
    }
}

impl<T, E> Answer for FallibleOptional<T, E> {
    type Output = Result<Option<T>, E>;
    type Value = Option<T>;
    type Error = E;
    const SELF: Self = Self::new();

    fn outcome(self, output: &Self::Output) -> Outcome {
        match output {
            Ok(Some(_)) => Outcome::Value,
            Ok(None) => Outcome::Absent,
            Err(_) => Outcome::Error,
        }
    }
    fn absent(self) -> Option<Self::Output> {
        Some(Ok(None))
    }
    fn stored(self, output: &Self::Output) -> Option<&Option<T>> {
        output.as_ref().ok()
    }
    fn restore(self, value: Option<T>) -> Self::Output {
        Ok(value)
    }
    fn error(self, output: &Self::Output) -> Option<&E> {
        output.as_ref().err()
    }
    fn fail(self, error: E) -> Option<Self::Output> {
        Some(Err(error))
    }
}

macro_rules! remembering {
    ($name:ident, $inner:ident, $ok:ty) => {
        impl<T, E> Answer for $name<T, E> {
            type Output = Result<$ok, E>;
            type Value = Result<$ok, E>;
            type Error = E;
            const SELF: Self = Self::new();

            fn outcome(self, output: &Self::Output) -> Outcome {
                $inner::<T, E>::new().outcome(output)
            }
            fn stored(self, output: &Self::Output) -> Option<&Self::Value> {
                Some(output)
            }
            fn restore(self, value: Self::Value) -> Self::Output {
                value
            }
            fn error(self, output: &Self::Output) -> Option<&E> {
                output.as_ref().err()
            }
            fn fail(self, error: E) -> Option<Self::Output> {
                Some(Err(error))
            }
        }
    };
}
remembering!(Remembering, Fallible, T);
remembering!(RememberingOptional, FallibleOptional, Option<T>);

/// First choice: `Result<Option<T>, E>`.
pub trait AnswersFallibleOptional {
    /// The division of the return type.
    type Answer;
    /// Names the division.
    fn answer(&self) -> Self::Answer;
}

impl<T, E> AnswersFallibleOptional for &&&Probe<Result<Option<T>, E>> {
    type Answer = FallibleOptional<T, E>;
    fn answer(&self) -> Self::Answer {
        FallibleOptional::new()
    }
}

/// Second choice: `Result<T, E>`.
pub trait AnswersFallible {
    /// The division of the return type.
    type Answer;
    /// Names the division.
    fn answer(&self) -> Self::Answer;
}

impl<T, E> AnswersFallible for &&Probe<Result<T, E>> {
    type Answer = Fallible<T, E>;
    fn answer(&self) -> Self::Answer {
        Fallible::new()
    }
}

/// Third choice: `Option<T>`.
pub trait AnswersOptional {
    /// The division of the return type.
    type Answer;
    /// Names the division.
    fn answer(&self) -> Self::Answer;
}

impl<T> AnswersOptional for &Probe<Option<T>> {
    type Answer = Optional<T>;
    fn answer(&self) -> Self::Answer {
        Optional::new()
    }
}

/// Last choice: anything else.
pub trait AnswersPlain {
    /// The division of the return type.
    type Answer;
    /// Names the division.
    fn answer(&self) -> Self::Answer;
}

impl<T> AnswersPlain for Probe<T> {
    type Answer = Plain<T>;
    fn answer(&self) -> Self::Answer {
        Plain::new()
    }
}

/// An answer that can be `None`: what `none_ttl` asks for.
#[diagnostic::on_unimplemented(
    message = "`none_ttl` remembers `None`, and this function never returns it",
    label = "this function returns neither `Option<_>` nor `Result<Option<_>, _>`",
    note = "remove `none_ttl`, or return an `Option`"
)]
pub trait KnowsNone: Sized {}

impl<T> KnowsNone for Optional<T> {}
impl<T, E> KnowsNone for FallibleOptional<T, E> {}
impl<T, E> KnowsNone for RememberingOptional<T, E> {}

/// Checks that `none_ttl` has a `None` to remember.
pub fn keep_none<A: KnowsNone>(answer: A) -> A {
    answer
}

/// An answer that can be `Err`: what `err_ttl` asks for.
#[diagnostic::on_unimplemented(
    message = "`err_ttl` remembers `Err`, and this function never returns it",
    label = "this function does not return a `Result`",
    note = "remove `err_ttl`, or return a `Result`"
)]
pub trait KnowsErrors {
    /// The same return type, its errors stored too.
    type Remembering;
    /// Names that division.
    fn remembering(self) -> Self::Remembering;
}

impl<T, E> KnowsErrors for Fallible<T, E> {
    type Remembering = Remembering<T, E>;
    fn remembering(self) -> Self::Remembering {
        Remembering::new()
    }
}

impl<T, E> KnowsErrors for FallibleOptional<T, E> {
    type Remembering = RememberingOptional<T, E>;
    fn remembering(self) -> Self::Remembering {
        RememberingOptional::new()
    }
}

/// Turns an answer into one whose errors are stored too.
pub fn keep_errors<A: KnowsErrors>(answer: A) -> A::Remembering {
    answer.remembering()
}
