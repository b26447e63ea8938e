//! What is to go wrong, planned by a test.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::ErrorKind;
#[cfg(doc)]
use crate::backend::Backend;
use crate::backend::InvalidateRequest;
use crate::backend::dynamic::BoxFuture;

/// The calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Backend::read`].
    Read,
    /// [`Backend::read_many`].
    ReadMany,
    /// [`Backend::lease`].
    Lease,
    /// [`Backend::renew`].
    Renew,
    /// [`Backend::release`].
    Release,
    /// [`Backend::fill`].
    Fill,
    /// [`Backend::refill`].
    Refill,
    /// [`Backend::invalidate`]: whatever removes entries and does nothing else.
    Invalidate,
    /// [`Backend::expire`]: whatever makes entries stale and does nothing else.
    Expire,
    /// [`Backend::epochs`].
    Epochs,
    /// [`Backend::invalidate_tags`]: whatever moves tags and does nothing else.
    InvalidateTags,
    /// [`Backend::invalidate_many`] of more than one kind.
    InvalidateMany,
    /// [`Backend::heartbeat`].
    Heartbeat,
    /// [`Backend::subscribe`].
    Subscribe,
    /// [`Backend::health`].
    Health,
}

impl Operation {
    /// What a request of this kind counts as.
    pub(super) fn of(request: &InvalidateRequest<'_>) -> Self {
        let InvalidateRequest { keys, expired, tags } = request;
        match (keys.is_empty(), expired.is_empty(), tags.keys.is_empty()) {
            (false, true, true) => Self::Invalidate,
            (true, false, true) => Self::Expire,
            (true, true, _) => Self::InvalidateTags,
            _ => Self::InvalidateMany,
        }
    }
}

/// What is to go wrong in a [`Faulty`](super::Faulty) backend and all its views. Each plan is for the next call of its
/// operation that has none yet.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    plans: HashMap<Operation, VecDeque<Plan>>,
    calls: HashMap<Operation, usize>,
    is_down: bool,
    is_deaf: bool,
}

pub(super) enum Plan {
    Fail(ErrorKind),
    LoseAnswer,
    Hold(Arc<Door>),
    HoldAnswer(Arc<Door>),
    RunLate(Arc<Shelf>),
}

impl Faults {
    /// The call does not reach the store: an error of kind `Unreachable`.
    pub fn fail(&self, operation: Operation) {
        self.fail_as(operation, ErrorKind::Unreachable);
    }

    /// The call does not reach the store: an error of this kind.
    pub fn fail_as(&self, operation: Operation, kind: ErrorKind) {
        self.plan(operation, Plan::Fail(kind));
    }

    /// The call runs, and its answer is lost: an error of kind `Unreachable`.
    pub fn lose_answer(&self, operation: Operation) {
        self.plan(operation, Plan::LoseAnswer);
    }

    /// The call waits at a gate before it runs.
    pub fn hold(&self, operation: Operation) -> Gate {
        let door = Arc::new(Door::new());
        self.plan(operation, Plan::Hold(Arc::clone(&door)));
        Gate(door)
    }

    /// The call runs, and its answer waits at a gate.
    pub fn hold_answer(&self, operation: Operation) -> Gate {
        let door = Arc::new(Door::new());
        self.plan(operation, Plan::HoldAnswer(Arc::clone(&door)));
        Gate(door)
    }

    /// The call answers an error of kind `Unreachable`, as a timeout would, and runs when the test says so.
    pub fn run_late(&self, operation: Operation) -> Late {
        let shelf = Arc::new(Shelf { call: Mutex::default(), arrivals: Semaphore::new(0) });
        self.plan(operation, Plan::RunLate(Arc::clone(&shelf)));
        Late(shelf)
    }

    /// While down, every call without a plan answers an error of kind `Unreachable` and does not run.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// While deaf, subscriptions lose what they would hear, silently, gaps and heartbeats included.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.state().is_deaf = is_deaf;
    }

    /// How many calls of this kind were made, failed ones included.
    pub fn calls(&self, operation: Operation) -> usize {
        self.state().calls.get(&operation).copied().unwrap_or(0)
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.state().is_deaf
    }

    fn plan(&self, operation: Operation, plan: Plan) {
        self.state().plans.entry(operation).or_default().push_back(plan);
    }

    /// Counts a call and answers what is to become of it.
    pub(super) fn next(&self, operation: Operation) -> Option<Plan> {
        let mut state = self.state();
        *state.calls.entry(operation).or_default() += 1;
        let planned = state.plans.get_mut(&operation).and_then(VecDeque::pop_front);
        planned.or_else(|| state.is_down.then_some(Plan::Fail(ErrorKind::Unreachable)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Faults")
            .field("calls", &state.calls)
            .field("is_down", &state.is_down)
            .field("is_deaf", &state.is_deaf)
            .finish_non_exhaustive()
    }
}

pub(super) struct Door {
    arrivals: Semaphore,
    opening: Semaphore,
}

impl Door {
    fn new() -> Self {
        Self { arrivals: Semaphore::new(0), opening: Semaphore::new(0) }
    }

    pub(super) async fn pass(&self) {
        self.arrivals.add_permits(1);
        wait_for(&self.opening).await;
    }
}

/// Waits until a permit is there, and leaves it there. The semaphores here are never closed.
async fn wait_for(semaphore: &Semaphore) {
    drop(semaphore.acquire().await);
}

/// Where a call waits. Dropping it opens it.
pub struct Gate(Arc<Door>);

impl Gate {
    /// Waits until the call stands at the gate.
    pub async fn arrived(&self) {
        wait_for(&self.0.arrivals).await;
    }

    /// Lets the call go on, now or when it comes.
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.opening.add_permits(1);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

pub(super) struct Shelf {
    call: Mutex<Option<BoxFuture<'static, ()>>>,
    arrivals: Semaphore,
}

impl Shelf {
    pub(super) fn put(&self, call: BoxFuture<'static, ()>) {
        *self.call.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
        self.arrivals.add_permits(1);
    }
}

/// A call that will run late.
pub struct Late(Arc<Shelf>);

impl Late {
    /// Waits until the call was made, and runs it.
    pub async fn run(self) {
        wait_for(&self.0.arrivals).await;
        let call = self.0.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(call) = call {
            call.await;
        }
    }
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}
