//! Placeholders for what the attribute calls.
#![allow(missing_docs, missing_debug_implementations, dead_code)]

use std::time::Duration;

use super::call::{Call, Pending};
use super::handle::Entry;
use crate::answer::Answer;
use crate::call_site::Policy;
use crate::error::Error;
use crate::key::Tag;
use crate::storage::{Sharing, Storage};

pub struct Means<A: Answer, S, P = fn(&<A as Answer>::Value) -> bool> {
    answer: A,
    storage: S,
    sharing: Sharing<A::Error>,
    store_if: P,
}

impl<A: Answer, S> Means<A, S> {
    pub fn new(answer: A, storage: S) -> Self {
        Self { answer, storage, sharing: None, store_if: |_| true }
    }
    pub fn store_if<P: FnOnce(&A::Value) -> bool>(self, store_if: P) -> Means<A, S, P> {
        Means { answer: self.answer, storage: self.storage, sharing: self.sharing, store_if }
    }
    pub fn sharing(self, sharing: Sharing<A::Error>) -> Self {
        Self { sharing, ..self }
    }
    pub fn ttl_by(self, _: fn(&A::Value) -> Duration) -> Self {
        self
    }
    pub fn tags_by(self, _: fn(&A::Value) -> Vec<Tag>) -> Self {
        self
    }
}

impl<A: Answer, S, P> Means<A, S, P> {
    pub fn give_up(self, _: fn(Error) -> A::Output) -> Self {
        self
    }
}

pub struct Recomputed<R>(R);

impl<R> Recomputed<R> {
    pub fn new(output: R) -> Self {
        Self(output)
    }
    pub fn judged<A: Answer<Output = R>>(_: A, output: R, _: impl FnOnce(&A::Value) -> bool) -> Self {
        Self(output)
    }
}

impl<A: Answer> Call<A> {
    pub fn is_due(&self) -> bool {
        false
    }
    pub fn run<S, P, B, F>(self, means: Means<A, S, P>, body: B) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.run_if(means.storage, means.sharing, means.store_if, body)
    }
    pub fn run_with<S, P, G, R, B, F>(
        self,
        means: Means<A, S, P>,
        background: G,
        _body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        G: FnMut() -> R + Send + 'static,
        R: Future<Output = Recomputed<A::Output>> + Send + 'static,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        // So that what the background computes is seen.
        let mut background = background;
        self.run_if(means.storage, means.sharing, means.store_if, move || {
            let computation = background();
            async move { computation.await.0 }
        })
    }
    pub fn refresh_later<S, P, G, R>(self, _: Means<A, S, P>, _: G)
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        G: FnMut() -> R + Send + 'static,
        R: Future<Output = Recomputed<A::Output>> + Send + 'static,
    {
    }
    pub fn refresh<S, P, B, F>(
        self,
        means: Means<A, S, P>,
        body: B,
    ) -> Pending<impl Future<Output = A::Output>>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
        P: FnOnce(&A::Value) -> bool,
        B: FnOnce() -> F,
        F: Future<Output = A::Output>,
    {
        self.refresh_if(means.storage, means.sharing, means.store_if, body)
    }
    pub fn entry<S>(self, means: Means<A, S>) -> Entry<A::Output>
    where
        A::Value: Clone + Send + Sync + 'static,
        S: Storage<A::Value>,
    {
        self.entry_of(means.storage)
    }
}

impl Policy {
    pub const fn grace(self, _: Duration) -> Self {
        self
    }
    pub const fn refreshing(self) -> Self {
        self
    }
    pub const fn refresh_after(self, _: f64) -> Self {
        self
    }
    pub const fn refresh_priority(self, _: i8) -> Self {
        self
    }
    pub const fn refresh_idle(self, _: Duration) -> Self {
        self
    }
    pub const fn soft_timeout(self, _: Duration) -> Self {
        self
    }
    pub const fn hard_timeout(self, _: Duration) -> Self {
        self
    }
    pub const fn checked(self, is_ttl_dynamic: bool, _: bool) -> Self {
        assert!(self.ttl.is_some() || is_ttl_dynamic);
        self
    }
}
