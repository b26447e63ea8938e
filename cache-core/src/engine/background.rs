//! Computing in the background: with arguments of its own, as often as is needed, and never longer than the cache lives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinHandle;

use super::Cache;
use super::body::{Beside, Body};
use super::current::Scope;
use super::fetch::Plan;
use super::holders::Holder;
use super::means::Recomputed;
use super::recompute::{self, Finished};
use crate::answer::Answer;
use crate::key::Key;
use crate::storage::Storage;

/// How a function is computed in the background: a closure that makes a future of its own each time.
pub trait Background<A: Answer, S> {
    /// What recomputes the entry of `plan`, again and again.
    fn refresher(self: Box<Self>, cache: &Cache, plan: Plan<A, S>) -> Refresher;

    /// Begins to compute the entry of `plan` now, as a task. `None` where there is no runtime.
    fn begin(self: Box<Self>, cache: &Cache, plan: &Plan<A, S>) -> Option<Task<A>>;
}

/// A computation in the background.
pub(super) type Task<A> = JoinHandle<Option<Finished<<A as Answer>::Output>>>;

/// One of a function that has options that ask for it.
pub(super) type AnyBackground<A, S> = Box<dyn Background<A, S> + Send>;

impl<A, S, M, F> Background<A, S> for M
where
    A: Answer + 'static,
    A::Output: Send + 'static,
    A::Value: Clone + Send + Sync + 'static,
    A::Error: 'static,
    S: Storage<A::Value>,
    M: FnMut() -> F + Send + 'static,
    F: Future<Output = Recomputed<A::Output>> + Send + 'static,
{
    fn refresher(self: Box<Self>, cache: &Cache, plan: Plan<A, S>) -> Refresher {
        refresher_in(Scope::here(cache), self, plan)
    }

    fn begin(mut self: Box<Self>, cache: &Cache, plan: &Plan<A, S>) -> Option<Task<A>> {
        let (scope, plan, body) = (Scope::here(cache), plan.clone(), self());
        let is_kept_warm = plan.remember.refresh.is_some_and(|refresh| refresh.idle.is_some());
        let again = is_kept_warm.then_some(self);
        cache.run_apart(|cache| async move {
            let holder = Holder::new(cache);
            let computing = beside(body, |body| recompute::compute(&holder, &plan, body));
            let finished = within(&holder, scope.run(&holder, computing)).await;
            // The call that began this may have its answer, and does nothing more.
            if let Some(again) = again.filter(|_| finished.is_some()) {
                holder.keep_warm(refresher_in(scope, again, plan));
            }
            finished
        })
    }
}

/// What recomputes the entry of `plan` in `scope`.
fn refresher_in<A, S, M, F>(scope: Scope, mut background: Box<M>, plan: Plan<A, S>) -> Refresher
where
    A: Answer + 'static,
    A::Output: Send + 'static,
    A::Value: Clone + Send + Sync + 'static,
    A::Error: 'static,
    S: Storage<A::Value>,
    M: FnMut() -> F + Send + 'static,
    F: Future<Output = Recomputed<A::Output>> + Send + 'static,
{
    let (key, plan) = (plan.key.clone(), Arc::new(plan));
    let begin = move |cache: Cache, version| -> Attempt {
        let (plan, scope, body) = (plan.clone(), scope.clone(), background());
        Box::pin(async move {
            let holder = Holder::new(cache);
            let refreshing = beside(body, |body| recompute::refresh(&holder, &plan, version, body));
            within(&holder, scope.run(&holder, refreshing)).await;
        })
    };
    Refresher { key, begin: Box::new(begin) }
}

/// The engine with a body that can be anywhere, and so need not be known for what surrounds them.
fn beside<'e, E, F, O>(
    body: F,
    engine: impl FnOnce(Body<F::Output>) -> E,
) -> Pin<Box<dyn Future<Output = O> + Send + 'e>>
where
    E: Future<Output = O> + Send + 'e,
    F: Future<Output: Send> + Send + 'e,
{
    Box::pin(Beside::new(engine, || body, |output| output))
}

type Attempt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Recomputes one entry in the background, again and again.
pub struct Refresher {
    pub(super) key: Key,
    begin: Box<dyn FnMut(Cache, Option<u64>) -> Attempt + Send>,
}

impl Refresher {
    /// One that does nothing.
    #[cfg(test)]
    pub(super) fn idle(key: Key) -> Self {
        Self { key, begin: Box::new(|_, _| Box::pin(async {})) }
    }

    /// Recomputes the value of `version` once, unless there is a newer one.
    pub(super) fn begin(&mut self, cache: Cache, version: Option<u64>) -> Attempt {
        (self.begin)(cache, version)
    }
}

impl std::fmt::Debug for Refresher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresher").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Runs `task` as long as anybody but tasks like it holds the cache; `None` when it ended for that. A computation wakes about once
/// a second, to show that it lives, and sees then.
async fn within<T>(holder: &Holder, task: impl Future<Output = T>) -> Option<T> {
    let mut task = Box::pin(task);
    poll_fn(|context| match task.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if holder.is_alone() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}
