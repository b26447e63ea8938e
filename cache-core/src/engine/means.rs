//! How the answer of a call is kept and decided on, as the attribute says.

use std::time::Duration;

use crate::answer::Answer;
use crate::error::Error;
use crate::key::Tag;
use crate::storage::Sharing;

/// The answer of a call that gives up, where there is one.
pub(super) type GiveUp<O> = Option<fn(Error) -> O>;

/// How the answer of a call is kept and decided on. `P` is what `store_if` says.
pub struct Means<A: Answer, S, P = fn(&<A as Answer>::Value) -> bool> {
    pub(super) answer: A,
    pub(super) storage: S,
    pub(super) sharing: Sharing<A::Error>,
    pub(super) store_if: P,
    pub(super) decides: Decides<A::Value>,
    pub(super) give_up: GiveUp<A::Output>,
}

/// What the value decides about itself. Functions without a state: a handle that puts a value asks them, too.
pub(super) struct Decides<V> {
    ttl: Option<fn(&V) -> Duration>,
    tags: Option<fn(&V) -> Vec<Tag>>,
}

impl<A: Answer, S> Means<A, S> {
    /// Starts from what nothing is said about: all values are stored, and decide nothing.
    pub fn new(answer: A, storage: S) -> Self {
        let decides = Decides::nothing();
        Self { answer, storage, sharing: None, store_if: |_| true, decides, give_up: None }
    }
}

impl<A: Answer, S, P> Means<A, S, P> {
    /// How followers get the leader's error.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing<A::Error>) -> Self {
        self.sharing = sharing;
        self
    }

    /// `store_if = ..`.
    #[must_use]
    pub fn store_if<Q: FnOnce(&A::Value) -> bool>(self, store_if: Q) -> Means<A, S, Q> {
        let Self { answer, storage, sharing, decides, give_up, .. } = self;
        Means { answer, storage, sharing, store_if, decides, give_up }
    }

    /// `store_if = ..` of a batch, which asks for each item. (To a closure that is first handed to something else the compiler
    /// gives the kind that is asked for there.)
    #[must_use]
    pub fn store_each_if<Q: Fn(&A::Value) -> bool>(self, store_if: Q) -> Means<A, S, Q> {
        self.store_if(store_if)
    }

    /// Takes out what `store_if` says.
    pub(super) fn parted(self) -> (Means<A, S, ()>, P) {
        let Self { answer, storage, sharing, store_if, decides, give_up } = self;
        (Means { answer, storage, sharing, store_if: (), decides, give_up }, store_if)
    }

    /// `ttl = |value| ..`.
    #[must_use]
    pub fn ttl_by(mut self, ttl: fn(&A::Value) -> Duration) -> Self {
        self.decides.ttl = Some(ttl);
        self
    }

    /// `tags_from = |value| ..`.
    #[must_use]
    pub fn tags_by(mut self, tags: fn(&A::Value) -> Vec<Tag>) -> Self {
        self.decides.tags = Some(tags);
        self
    }

    /// With what answer a call gives up after `timeout(hard = ..)`.
    #[must_use]
    pub fn give_up(mut self, give_up: fn(Error) -> A::Output) -> Self {
        self.give_up = Some(give_up);
        self
    }
}

// Not derived: that would ask it of the value and of the error.
impl<A: Answer, S: Copy> Clone for Means<A, S, ()> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Answer, S: Copy> Copy for Means<A, S, ()> {}

impl<A: Answer, S, P> std::fmt::Debug for Means<A, S, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("decides", &self.decides).finish_non_exhaustive()
    }
}

impl<V> Decides<V> {
    pub(super) fn nothing() -> Self {
        Self { ttl: None, tags: None }
    }

    /// The ttl that the value asks for.
    pub(super) fn ttl(self, value: &V) -> Option<Duration> {
        self.ttl.map(|ttl| ttl(value))
    }

    /// The tags that only the value knows.
    pub(super) fn tags(self, value: &V) -> Vec<Tag> {
        self.tags.map_or_else(Vec::new, |tags| tags(value))
    }
}

impl<V> Clone for Decides<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Decides<V> {}

impl<V> std::fmt::Debug for Decides<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decides")
            .field("ttl", &self.ttl.is_some())
            .field("tags", &self.tags.is_some())
            .finish()
    }
}

/// What a body came to in the background, and whether it is to be stored.
#[derive(Debug)]
pub struct Recomputed<O> {
    pub(super) output: O,
    pub(super) is_stored: bool,
}

impl<O> Recomputed<O> {
    /// To be stored, as far as the options of its function do.
    pub fn new(output: O) -> Self {
        Self { output, is_stored: true }
    }

    /// To be stored if `store_if` accepts the value.
    pub fn judged<A, P>(answer: A, output: O, store_if: P) -> Self
    where
        A: Answer<Output = O>,
        P: FnOnce(&A::Value) -> bool,
    {
        let is_stored = answer.stored(&output).is_none_or(store_if);
        Self { output, is_stored }
    }
}
