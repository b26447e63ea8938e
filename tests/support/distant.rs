//! A store that is some way off: questions, answers and messages are under way for a while, and overtake each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder::Error;
use larder::backend::{
    Backend, EntryKey, Epoch, Fill, FillRequest, Grant, InvalidateRequest, Lease, LeaseRequest, LeaseToken,
    Listening, Origin, Prefix, Read, ReadMany, Refill, RefillRequest, Renewal, ServerTime, Subscription,
    TagKey, Tags, subscription,
};

use super::chance::Chance;

/// How many messages wait to be heard.
const QUEUE: usize = 4096;

/// What lies between a process and the store.
pub trait Way: fmt::Debug + Clone + Send + Sync + 'static {
    /// Comes back when what is under way has arrived.
    fn passed(&self, what: Leg) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Question(&'static str),
    Answer(&'static str),
    /// Of the bus. These keep their order.
    Message,
}

/// A store at some distance.
#[derive(Debug)]
pub struct Distant<B, W> {
    store: B,
    way: W,
}

impl<B: Backend, W: Way> Distant<B, W> {
    pub fn new(store: B, way: W) -> Self {
        Self { store, way }
    }

    /// What is asked takes its time, and so does the answer.
    async fn ask<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.way.passed(Leg::Question(what)).await?;
        let answer = call.await;
        self.way.passed(Leg::Answer(what)).await?;
        answer
    }
}

/// Ways much shorter than a timer could tell, as in a fast network; a long one now and then.
#[derive(Debug, Clone)]
pub struct Short(Arc<Chance>);

impl Short {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Chance::new(seed)))
    }
}

impl Way for Short {
    #[allow(clippy::disallowed_methods, reason = "a way takes its time")]
    async fn passed(&self, what: Leg) -> Result<(), Error> {
        if self.0.percent(1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..self.0.below(if what == Leg::Message { 30 } else { 8 }) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl<B: Backend, W: Way> Backend for Distant<B, W> {
    fn view(&self, prefix: &Prefix) -> Self {
        Self { store: self.store.view(prefix), way: self.way.clone() }
    }

    fn origin(&self) -> Origin {
        self.store.origin()
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        self.ask("read", self.store.read(key, tags)).await
    }

    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        self.ask("read_many", self.store.read_many(keys, tags)).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        self.ask("lease", self.store.lease(request)).await
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        self.ask("renew", self.store.renew(key, grant, life)).await
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        self.ask("release", self.store.release(key, token)).await
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        self.ask("fill", self.store.fill(request)).await
    }

    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        self.ask("refill", self.store.refill(request)).await
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        self.ask("epochs", self.store.epochs(tags)).await
    }

    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        self.ask("invalidate_many", self.store.invalidate_many(request)).await
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.ask("heartbeat", self.store.heartbeat(nonce)).await
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let mut near = self.ask("subscribe", self.store.subscribe()).await?;
        let (feed, far) = subscription(QUEUE);
        let way = self.way.clone();
        tokio::spawn(async move {
            while let Some(heard) = near.hear().await {
                if way.passed(Leg::Message).await.is_err() || feed.send(heard) == Listening::No {
                    break;
                }
            }
        });
        Ok(far)
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        self.ask("health", self.store.health()).await
    }
}
