//! A backend that fails on demand.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::backend::dynamic::BoxFuture;
use crate::backend::{
    Backend, Claim, EntryKey, Epoch, Fill, FillRequest, FrameBytes, Grant, Heard, Lease, LeaseRequest,
    LeaseToken, Origin, Prefix, Read, Renewal, ServerTime, Subscription, TagKey, Tags,
};
use crate::{Error, ErrorKind};

/// The calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Backend::read`].
    Read,
    /// [`Backend::lease`].
    Lease,
    /// [`Backend::renew`].
    Renew,
    /// [`Backend::release`].
    Release,
    /// [`Backend::fill`].
    Fill,
    /// [`Backend::invalidate`].
    Invalidate,
    /// [`Backend::expire`].
    Expire,
    /// [`Backend::epochs`].
    Epochs,
    /// [`Backend::invalidate_tags`].
    InvalidateTags,
    /// [`Backend::heartbeat`].
    Heartbeat,
    /// [`Backend::subscribe`].
    Subscribe,
    /// [`Backend::health`].
    Health,
}

/// Wraps a backend and lets its calls fail, wait, lose their answer or run late, as [`Faults`] say.
///
/// Nothing sleeps: what waits, waits for the test.
///
/// ```
/// use cache_core::backend::{Backend, EntryKey};
/// use cache_core::testing::{Faulty, MemoryStage, Operation};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let (backend, faults) = Faulty::new(MemoryStage::new().memory().clone());
/// let key = EntryKey::from("menu_of:42");
///
/// faults.fail(Operation::Invalidate);
/// assert!(backend.invalidate(&key).await.is_err());
/// assert!(backend.invalidate(&key).await.is_ok());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Faulty<B> {
    inner: Arc<B>,
    faults: Faults,
}

/// What is to go wrong in a [`Faulty`] backend and all its views. Each plan is for the next call of its
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

enum Plan {
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
        let shelf = Arc::new(Shelf {
            call: Mutex::default(),
            arrivals: Semaphore::new(0),
        });
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

    fn plan(&self, operation: Operation, plan: Plan) {
        self.state().plans.entry(operation).or_default().push_back(plan);
    }

    /// Counts a call and answers what is to become of it.
    fn next(&self, operation: Operation) -> Option<Plan> {
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

struct Door {
    arrivals: Semaphore,
    opening: Semaphore,
}

impl Door {
    fn new() -> Self {
        Self {
            arrivals: Semaphore::new(0),
            opening: Semaphore::new(0),
        }
    }

    async fn pass(&self) {
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

struct Shelf {
    call: Mutex<Option<BoxFuture<'static, ()>>>,
    arrivals: Semaphore,
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

fn failure(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(kind, format!("{operation:?} fails, as the test planned"))
}

impl<B: Backend> Faulty<B> {
    /// Wraps `inner`; the faults are planned through the second half.
    pub fn new(inner: B) -> (Self, Faults) {
        let faults = Faults::default();
        (
            Self {
                inner: Arc::new(inner),
                faults: faults.clone(),
            },
            faults,
        )
    }

    /// Runs a call as planned. It owns what it needs, so that it can outlive its caller.
    async fn call<T, F>(&self, operation: Operation, run: impl FnOnce(Arc<B>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let run = run(Arc::clone(&self.inner));
        match self.faults.next(operation) {
            None => run.await,
            Some(Plan::Fail(kind)) => Err(failure(kind, operation)),
            Some(Plan::LoseAnswer) => {
                run.await?;
                Err(failure(ErrorKind::Unreachable, operation))
            }
            Some(Plan::Hold(door)) => {
                door.pass().await;
                run.await
            }
            Some(Plan::HoldAnswer(door)) => {
                let answer = run.await;
                door.pass().await;
                answer
            }
            Some(Plan::RunLate(shelf)) => {
                let late: BoxFuture<'static, ()> = Box::pin(async move { drop(run.await) });
                *shelf.call.lock().unwrap_or_else(PoisonError::into_inner) = Some(late);
                shelf.arrivals.add_permits(1);
                Err(failure(ErrorKind::Unreachable, operation))
            }
        }
    }
}

/// [`Tags`] that own themselves.
struct OwnTags {
    keys: Vec<TagKey>,
    life: Duration,
}

impl From<Tags<'_>> for OwnTags {
    fn from(tags: Tags<'_>) -> Self {
        Self {
            keys: tags.keys.to_vec(),
            life: tags.life,
        }
    }
}

impl OwnTags {
    fn lend(&self) -> Tags<'_> {
        Tags {
            keys: &self.keys,
            life: self.life,
        }
    }
}

/// [`Claim`] that owns itself.
enum OwnClaim {
    Absent,
    Replace(FrameBytes),
    Take,
}

impl From<Claim<'_>> for OwnClaim {
    fn from(claim: Claim<'_>) -> Self {
        match claim {
            Claim::Absent => Self::Absent,
            Claim::Replace(seen) => Self::Replace(seen.clone()),
            Claim::Take => Self::Take,
        }
    }
}

impl OwnClaim {
    fn lend(&self) -> Claim<'_> {
        match self {
            Self::Absent => Claim::Absent,
            Self::Replace(seen) => Claim::Replace(seen),
            Self::Take => Claim::Take,
        }
    }
}

impl<B: Backend> Backend for Faulty<B> {
    fn view(&self, prefix: &Prefix) -> Self {
        Self {
            inner: Arc::new(self.inner.view(prefix)),
            faults: self.faults.clone(),
        }
    }

    fn origin(&self) -> Origin {
        self.inner.origin()
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        let (key, tags) = (key.clone(), tags.to_vec());
        self.call(
            Operation::Read,
            |inner| async move { inner.read(&key, &tags).await },
        )
        .await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        let (key, token, life) = (request.key.clone(), request.token, request.life);
        let (tags, claim) = (OwnTags::from(request.tags), OwnClaim::from(request.claim));
        self.call(Operation::Lease, |inner| async move {
            let (tags, claim) = (tags.lend(), claim.lend());
            inner
                .lease(LeaseRequest {
                    key: &key,
                    token,
                    life,
                    tags,
                    claim,
                })
                .await
        })
        .await
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        let (key, grant) = (key.clone(), *grant);
        self.call(Operation::Renew, |inner| async move {
            inner.renew(&key, &grant, life).await
        })
        .await
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        let key = key.clone();
        self.call(Operation::Release, |inner| async move {
            inner.release(&key, token).await
        })
        .await
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        let (key, grant, frame) = (request.key.clone(), *request.grant, request.frame.clone());
        let (life, tags) = (request.life, OwnTags::from(request.tags));
        self.call(Operation::Fill, |inner| async move {
            let tags = tags.lend();
            inner
                .fill(FillRequest {
                    key: &key,
                    grant: &grant,
                    frame: &frame,
                    life,
                    tags,
                })
                .await
        })
        .await
    }

    async fn invalidate(&self, key: &EntryKey) -> Result<(), Error> {
        let key = key.clone();
        self.call(Operation::Invalidate, |inner| async move {
            inner.invalidate(&key).await
        })
        .await
    }

    async fn expire(&self, key: &EntryKey, keep: Duration) -> Result<(), Error> {
        let key = key.clone();
        self.call(Operation::Expire, |inner| async move {
            inner.expire(&key, keep).await
        })
        .await
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        let tags = OwnTags::from(tags);
        self.call(Operation::Epochs, |inner| async move {
            inner.epochs(tags.lend()).await
        })
        .await
    }

    async fn invalidate_tags(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        let tags = OwnTags::from(tags);
        self.call(Operation::InvalidateTags, |inner| async move {
            inner.invalidate_tags(tags.lend()).await
        })
        .await
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.call(Operation::Heartbeat, |inner| async move {
            inner.heartbeat(nonce).await
        })
        .await
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let heard = self
            .call(
                Operation::Subscribe,
                |inner| async move { inner.subscribe().await },
            )
            .await?;
        let faults = self.faults.clone();
        Ok(heard.filtered(move |heard: Heard| (!faults.state().is_deaf).then_some(heard)))
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        self.call(Operation::Health, |inner| async move { inner.health().await })
            .await
    }
}
