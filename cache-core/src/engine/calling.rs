//! A call between its types and the engine, which knows none: what the engine is told of them, what it replies, and what is made
//! of that.

use std::any::TypeId;
use std::sync::Arc;

use super::body::{Brought, Edge};
use super::computing::Running;
use super::means::{Means, Recomputed};
use super::value::{AnyValue, Kind};
use crate::answer::{Answer, Outcome};
use crate::error::Error;
use crate::local::StoredEntry;
use crate::storage::{Packed, Storage};

/// What the engine has to know of the types of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) kind: Kind,
    /// The type of an error that followers can have, too.
    shared_error: Option<TypeId>,
    /// Whether that there is nothing is an answer.
    pub(super) has_absent: bool,
    /// Whether there is an answer for what takes too long.
    pub(super) gives_up: bool,
}

impl Terms {
    /// Whether an error of another computation is one that this call can have.
    pub(super) fn takes(&self, error: &Packed) -> bool {
        self.shared_error == Some((**error).type_id())
    }
}

/// What the engine answers a call with.
#[derive(Debug)]
pub(super) enum Reply {
    /// What the body of this very call came to.
    Computed,
    /// The value of an entry, of the type that was asked for.
    Entry(Arc<StoredEntry>),
    /// A value that is in no entry, likewise.
    Value(AnyValue),
    /// That there is nothing.
    Absent,
    /// The error of another computation, of the type that followers can have.
    Error(Packed),
    /// It took too long.
    GaveUp(Error),
}

impl<A, S> Means<A, S, ()>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
{
    /// What the engine has to know of the types.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            kind: Kind::of::<A::Value, S>(),
            shared_error: self.sharing.as_ref().map(|sharing| sharing.of),
            has_absent: self.answer.absent().is_some(),
            gives_up: self.give_up.is_some(),
        }
    }

    /// Tells the engine what a body came to. Where it `has_ttl` already, the value is not asked for one.
    pub(super) fn brought(&self, output: &A::Output, is_stored: bool, has_ttl: bool) -> Brought {
        let (answer, decides) = (self.answer, self.decides);
        let (outcome, value) = (answer.outcome(output), answer.stored(output));
        let error = answer.error(output).zip(self.sharing.as_ref());
        Brought {
            outcome,
            error: error.map(|(error, sharing)| (sharing.pack)(error)),
            is_stored,
            // `None` and errors have ttls of their own, and are not asked.
            ttl: value.filter(|_| outcome == Outcome::Value && !has_ttl).and_then(|value| decides.ttl(value)),
            tags: value.map_or_else(Vec::new, |value| decides.tags(value)),
            value: value.map(|value| AnyValue::new(value.clone(), self.storage)),
        }
    }

    /// The answer that the engine's reply is, beside what the `own` body came to.
    pub(super) fn answer(&self, reply: Reply, own: Option<A::Output>) -> A::Output {
        let answer = self.answer;
        let output = match reply {
            Reply::Computed => own,
            Reply::Entry(entry) => entry.value().cloned().map(|value| answer.restore(value)),
            Reply::Value(value) => value.take::<A::Value, S>().map(|value| answer.restore(value)),
            Reply::Absent => answer.absent(),
            Reply::Error(packed) => self.unpacked(&packed).and_then(|error| answer.fail(error)),
            Reply::GaveUp(error) => self.give_up.map(|give_up| give_up(error)),
        };
        // Cannot fail: the engine was told the terms, and says `Computed` only when the body has ended.
        #[expect(clippy::expect_used)]
        output.expect("the engine keeps to the terms of the call")
    }

    fn unpacked(&self, packed: &Packed) -> Option<A::Error> {
        self.sharing.as_ref().and_then(|sharing| (sharing.unpack)(packed))
    }
}

impl<O> Recomputed<O> {
    /// Tells the engine what it is.
    pub(super) fn brought<A, S>(self, means: &Means<A, S, ()>, has_ttl: bool) -> Brought
    where
        A: Answer<Output = O>,
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        means.brought(&self.output, self.is_stored, has_ttl)
    }
}

/// A call of a function, beside the engine.
pub(super) struct Calling<A: Answer, S, P, B> {
    means: Means<A, S, ()>,
    store_if: Option<P>,
    make: Option<B>,
    /// What its body came to.
    own: Option<A::Output>,
}

impl<A: Answer, S, P, B> Calling<A, S, P, B> {
    /// Of the body that `make` makes.
    pub(super) fn new(means: Means<A, S, ()>, store_if: P, make: B) -> Self {
        Self { means, store_if: Some(store_if), make: Some(make), own: None }
    }
}

impl<A, S, P, B, F> Edge<F, Reply> for Calling<A, S, P, B>
where
    A: Answer,
    A::Value: Clone + Send + Sync + 'static,
    S: Storage<A::Value>,
    P: FnOnce(&A::Value) -> bool,
    B: FnOnce() -> F,
    F: Future<Output = A::Output>,
{
    type Answer = A::Output;

    fn make(&mut self) -> Option<F> {
        self.make.take().map(|make| make())
    }

    fn end(&mut self, output: A::Output, running: &Running) -> Brought {
        let answer = self.means.answer;
        let brought = if running.is_kept() {
            let asked = answer.stored(&output).zip(self.store_if.take());
            let is_stored = asked.is_none_or(|(value, store_if)| store_if(value));
            self.means.brought(&output, is_stored, running.has_ttl())
        } else {
            Brought::nothing(answer.outcome(&output))
        };
        self.own = Some(output);
        brought
    }

    fn answer(&mut self, reply: Reply) -> A::Output {
        self.means.answer(reply, self.own.take())
    }
}
