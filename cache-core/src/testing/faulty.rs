//! A backend that fails on demand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::faults::{Faults, Operation, Plan};
use crate::backend::dynamic::BoxFuture;
use crate::backend::{
    Backend, Claim, EntryKey, Epoch, Fill, FillRequest, FrameBytes, Grant, Heard, InvalidateRequest, Lease,
    LeaseRequest, LeaseToken, Origin, Prefix, Read, ReadMany, Refill, RefillRequest, Renewal, ServerTime,
    Subscription, TagKey, Tags,
};
use crate::{Error, ErrorKind};

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

fn failure(kind: ErrorKind, operation: Operation) -> Error {
    Error::new(kind, format!("{operation:?} fails, as the test planned"))
}

impl<B: Backend> Faulty<B> {
    /// Wraps `inner`; the faults are planned through the second half.
    pub fn new(inner: B) -> (Self, Faults) {
        let faults = Faults::default();
        (Self { inner: Arc::new(inner), faults: faults.clone() }, faults)
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
                shelf.put(late);
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
        Self { keys: tags.keys.to_vec(), life: tags.life }
    }
}

impl OwnTags {
    fn lend(&self) -> Tags<'_> {
        Tags { keys: &self.keys, life: self.life }
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
        Self { inner: Arc::new(self.inner.view(prefix)), faults: self.faults.clone() }
    }

    fn origin(&self) -> Origin {
        self.inner.origin()
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        let (key, tags) = (key.clone(), tags.to_vec());
        self.call(Operation::Read, |inner| async move { inner.read(&key, &tags).await }).await
    }

    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        let (keys, tags) = (keys.to_vec(), tags.to_vec());
        self.call(Operation::ReadMany, |inner| async move { inner.read_many(&keys, &tags).await }).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        let (key, token, life) = (request.key.clone(), request.token, request.life);
        let (tags, claim) = (OwnTags::from(request.tags), OwnClaim::from(request.claim));
        self.call(Operation::Lease, |inner| async move {
            let (tags, claim) = (tags.lend(), claim.lend());
            inner.lease(LeaseRequest { key: &key, token, life, tags, claim }).await
        })
        .await
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        let (key, grant) = (key.clone(), *grant);
        self.call(Operation::Renew, |inner| async move { inner.renew(&key, &grant, life).await }).await
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        let key = key.clone();
        self.call(Operation::Release, |inner| async move { inner.release(&key, token).await }).await
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        let (key, grant, frame) = (request.key.clone(), *request.grant, request.frame.clone());
        let (life, tags) = (request.life, OwnTags::from(request.tags));
        self.call(Operation::Fill, |inner| async move {
            let tags = tags.lend();
            inner.fill(FillRequest { key: &key, grant: &grant, frame: &frame, life, tags }).await
        })
        .await
    }

    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        let RefillRequest { size, life, .. } = request;
        let (key, grant, seen) = (request.key.clone(), *request.grant, request.seen.clone());
        let (head, tags) = (request.head.to_vec(), OwnTags::from(request.tags));
        self.call(Operation::Refill, |inner| async move {
            let (key, grant, seen, head) = (&key, &grant, &seen, &*head);
            inner.refill(RefillRequest { key, grant, seen, head, size, life, tags: tags.lend() }).await
        })
        .await
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        let tags = OwnTags::from(tags);
        self.call(Operation::Epochs, |inner| async move { inner.epochs(tags.lend()).await }).await
    }

    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        let (keys, expired) = (request.keys.to_vec(), request.expired.to_vec());
        let tags = OwnTags::from(request.tags);
        self.call(Operation::of(&request), |inner| async move {
            let (keys, expired, tags) = (&*keys, &*expired, tags.lend());
            inner.invalidate_many(InvalidateRequest { keys, expired, tags }).await
        })
        .await
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.call(Operation::Heartbeat, |inner| async move { inner.heartbeat(nonce).await }).await
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let heard = self.call(Operation::Subscribe, |inner| async move { inner.subscribe().await }).await?;
        let faults = self.faults.clone();
        Ok(heard.filtered(move |heard: Heard| (!faults.is_deaf()).then_some(heard)))
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        self.call(Operation::Health, |inner| async move { inner.health().await }).await
    }
}
