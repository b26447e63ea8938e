//! The only door for generated code. Not part of the public interface: it changes with any release.

pub use crate::answer::{
    Answer, AnswersFallible, AnswersFallibleOptional, AnswersOptional, AnswersPlain, Probe, keep_errors,
    keep_none,
};
pub use crate::batched::{EntryOf, EntryOfList, Natural, by, each, or_none};
pub use crate::call_site::CallSite;
pub use crate::decide::{tags_of, ttl_of};
pub use crate::engine::{
    Asked, Background, CacheRef, Call, Found, Means, Next, Recomputed, Rest, Updating, Writing, current,
    given, holds,
};
pub use crate::give_up::{
    GiveUpProbe, GivesUp, GivesUpWithNoError, GivesUpWithoutError, IsStrict, IsStrictWithNoError,
    IsStrictWithoutError, StrictProbe,
};
pub use crate::kept::{KeepProbe, Keeps, RefusesToKeep};
pub use crate::key::{
    KeyWriter, PartProbe, ReceiverProbe, RefusesPart, RefusesReceiver, SecretKey, Tag, WritesPart,
};
pub use crate::owned::{
    OwnProbe, OwnsOption, OwnsReference, OwnsValue, RefusesOption, RefusesReference, RefusesValue,
};
pub use crate::policy::Policy;
pub use crate::storage::{
    OwnsErrors, SharesErrors, Sharing, Storage, StoresEncoded, StoresErrorNowhere, StoresLocally,
    StoresNoError, StoresNothing, StoresNowhere, accepting, accepting_each, accepts, fitting,
};

/// The type name of a value: of a closure, the path of the function it sits in, with all type arguments.
pub fn path_of<T>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}

/// The name of a type argument.
pub fn type_of<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>()
}

/// The name of the type of an `impl Trait` argument.
pub fn type_of_val<T: ?Sized>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}
