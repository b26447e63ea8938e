//! Computing in the background: with arguments of its own, as often as is needed, and never longer than the cache lives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinHandle;

use super::Cache;
use super::body::{Beside, Body, Brought, Edge, Engine};
use super::computing::Running;
use super::current::Scope;
use super::fetch::Plan;
use super::holders::Holder;
use super::means::{Means, Recomputed};
use super::recompute::{self, Finished};
use crate::answer::Answer;
use crate::key::Key;
use crate::storage::Storage;

/// How a function is computed in the background: what makes a body of its own each time.
pub(super) struct Background(Box<dyn FnMut() -> AnyBody + Send>);

/// A body that can be anywhere, and so need not be known for what surrounds it.
type AnyBody = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// What it came to, to be told when it is gone.
type Ended = Box<dyn FnOnce(&Running) -> Brought + Send>;

/// A computation in the background.
pub(super) type Task = JoinHandle<Option<Finished>>;

/// What a computation in the background answers, perhaps on another thread.
#[diagnostic::on_unimplemented(
    message = "`refresh` and `timeout(soft = ..)` compute in the background, on any thread, and a `{Self}` may not go there: it is not \
               `Send`",
    label = "not `Send`",
    note = "return what is `Send`: of an error what it says, perhaps; or remove the option"
)]
pub trait Sendable: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static> Sendable for T {}

impl Background {
    /// Of the closure of a function.
    pub(super) fn new<A, S, M, F>(means: Means<A, S, ()>, mut make: M) -> Self
    where
        A: Answer + 'static,
        A::Output: Sendable,
        A::Value: Clone + Send + Sync + 'static,
        A::Error: 'static,
        S: Storage<A::Value>,
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Recomputed<A::Output>> + Send + 'static,
    {
        Self(Box::new(move || {
            let body = make();
            Box::pin(async move {
                let recomputed = body.await;
                Box::new(move |running: &Running| recomputed.brought(&means, running.has_ttl())) as Ended
            })
        }))
    }

    fn body(&mut self) -> AnyBody {
        (self.0)()
    }

    /// What recomputes the entry of `plan`, again and again.
    pub(super) fn refresher(self, cache: &Cache, plan: Plan) -> Refresher {
        self.refresher_in(Scope::here(cache), plan)
    }

    fn refresher_in(mut self, scope: Scope, plan: Plan) -> Refresher {
        let (key, plan) = (plan.key.clone(), Arc::new(plan));
        let begin = move |cache: Cache, version| -> Attempt {
            let (plan, scope, body) = (plan.clone(), scope.clone(), self.body());
            Box::pin(async move {
                let holder = Holder::new(cache);
                let refreshing =
                    beside(body, |body| Box::pin(recompute::refresh(&holder, &plan, version, body)));
                within(&holder, scope.run(&holder, refreshing)).await;
            })
        };
        Refresher { key, begin: Box::new(begin) }
    }

    /// Begins to compute the entry of `plan` now, as a task. `None` where there is no runtime.
    pub(super) fn begin(mut self, cache: &Cache, plan: &Plan) -> Option<Task> {
        let (scope, plan, body) = (Scope::here(cache), plan.clone(), self.body());
        let is_kept_warm = plan.remember.refresh.is_some_and(|refresh| refresh.idle.is_some());
        let again = is_kept_warm.then_some(self);
        cache.run_apart(|cache| async move {
            let holder = Holder::new(cache);
            let computing = beside(body, |body| Box::pin(recompute::compute(&holder, &plan, body)));
            let finished = within(&holder, scope.run(&holder, computing)).await.flatten();
            // The call that began this may have its answer, and does nothing more.
            if let Some(again) = again.filter(|_| finished.is_some()) {
                holder.keep_warm(again.refresher_in(scope, plan));
            }
            finished
        })
    }
}

/// The engine with a body that nobody has called.
fn beside<'e>(
    body: AnyBody,
    engine: impl FnOnce(Body) -> Engine<'e, Finished>,
) -> Pin<Box<dyn Future<Output = Finished> + Send + 'e>> {
    Box::pin(Beside::new(Uncalled(Some(body)), engine))
}

/// A body that nobody has called.
struct Uncalled(Option<AnyBody>);

impl Edge<AnyBody, Finished> for Uncalled {
    type Answer = Finished;

    fn make(&mut self) -> Option<AnyBody> {
        self.0.take()
    }

    fn end(&mut self, ended: Ended, running: &Running) -> Brought {
        ended(running)
    }

    fn answer(&mut self, finished: Finished) -> Finished {
        finished
    }
}

type Attempt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Recomputes one entry in the background, again and again.
pub(super) struct Refresher {
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
