//! The only door for generated code. Not part of the public interface: it changes with any release.

pub use crate::answer::{
    Answer, AnswersFallible, AnswersFallibleOptional, AnswersOptional, AnswersPlain, Probe, keep_errors,
    keep_none,
};
pub use crate::batched::{EntryOf, EntryOfList, Natural, by, each, or_none};
pub use crate::call_site::CallSite;
pub use crate::decide::{IntoTag, tags_of, ttl_of};
use crate::engine::Entry;
pub use crate::engine::{
    Asked, CacheRef, Call, Change, Due, Found, Means, Next, Recomputed, Rest, Updating, Writing, current,
    given, holds,
};
pub use crate::give_up::{
    GiveUpProbe, GivesUp, GivesUpWithNoError, GivesUpWithoutError, IsStrict, IsStrictWithNoError,
    IsStrictWithoutError, StrictProbe,
};
pub use crate::kept::{KeepProbe, Keeps, RefusesToKeep};
pub use crate::key::{
    KeyWriter, PartProbe, ReceiverProbe, RefusesPart, RefusesReceiver, RefusesSecret, SecretKey, SecretProbe,
    Tag, WritesPart, WritesSecret,
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

/// What `entry = ..` takes.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` does not name the entry that is to be updated",
    label = "not a handle",
    note = "write the handle of a cached function, `menu_of_entry(id)`"
)]
pub trait Handle<R> {
    /// The handle itself.
    fn into_entry(self) -> Entry<R>;
}

impl<R> Handle<R> for Entry<R> {
    fn into_entry(self) -> Self {
        self
    }
}

/// Asks what `entry = ..` gives whether it is a handle, so that a refusal is shown there.
// The answer is a parameter: named through the trait it would be refused a second time.
pub fn handle<R, H: Handle<R>>(handle: H) -> Entry<R> {
    handle.into_entry()
}
