//! Computing in the background: with arguments of its own, as often as is needed, and never longer than the cache lives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::task::JoinHandle;

use super::Cache;
use super::body::{Beside, Body};
use super::current::Scope;
use super::fetch::Plan;
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
    fn refresher(mut self: Box<Self>, cache: &Cache, plan: Plan<A, S>) -> Refresher {
        let (key, scope) = (plan.key.clone(), Scope::here(cache));
        let plan = Arc::new(plan);
        let begin = move |cache: Cache, version| -> Attempt {
            let (plan, scope, body) = (plan.clone(), scope.clone(), self());
            Box::pin(async move {
                let refreshing = beside(body, |body| recompute::refresh(&cache, &plan, version, body));
                within(&cache, 1 + scope.holders(), scope.run(&cache, refreshing)).await;
            })
        };
        Refresher { key, begin: Box::new(begin) }
    }

    fn begin(mut self: Box<Self>, cache: &Cache, plan: &Plan<A, S>) -> Option<Task<A>> {
        let (scope, plan, body) = (Scope::here(cache), plan.clone(), self());
        cache.run_apart(|cache| async move {
            let computing = beside(body, |body| recompute::compute(&cache, &plan, body));
            within(&cache, 1 + scope.holders(), scope.run(&cache, computing)).await
        })
    }
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

/// The computations in the background that hold their cache.
#[derive(Debug, Default)]
pub(super) struct Holders(AtomicUsize);

/// Runs `task`, which has so many `handles` to the cache, as long as anybody but tasks like it holds the cache; `None` when it
/// ended for that. A computation wakes about once a second, to show that it lives, and sees then.
async fn within<T>(cache: &Cache, handles: usize, task: impl Future<Output = T>) -> Option<T> {
    struct Held<'c>(&'c Cache, usize);
    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.0.holders.0.fetch_sub(self.1, Ordering::AcqRel);
        }
    }
    cache.0.holders.0.fetch_add(handles, Ordering::AcqRel);
    let held = Held(cache, handles);
    let mut task = Box::pin(task);
    poll_fn(|context| {
        if let Poll::Ready(output) = task.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let holders = held.0.0.holders.0.load(Ordering::Acquire);
        if Arc::strong_count(&held.0.0) <= holders { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}
