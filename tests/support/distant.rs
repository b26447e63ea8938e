//! A store that is some way off: questions, answers and messages are under way for a while, and overtake each other.

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

/// A store at some distance.
#[derive(Debug)]
pub struct Distant<B> {
    store: B,
    chance: Arc<Chance>,
}

impl<B: Backend> Distant<B> {
    pub fn new(store: B, seed: u64) -> Self {
        Self { store, chance: Arc::new(Chance::new(seed)) }
    }

    /// What is asked takes its time, and so does the answer.
    async fn ask<T>(&self, call: impl Future<Output = T>) -> T {
        way(&self.chance, 8).await;
        let answer = call.await;
        way(&self.chance, 8).await;
        answer
    }
}

/// One way. Much shorter than a timer could tell, as in a fast network; a long one now and then.
#[allow(clippy::disallowed_methods, reason = "a way takes its time")]
async fn way(chance: &Chance, at_most: u64) {
    if chance.percent(1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..chance.below(at_most) {
        tokio::task::yield_now().await;
    }
}

impl<B: Backend> Backend for Distant<B> {
    fn view(&self, prefix: &Prefix) -> Self {
        Self { store: self.store.view(prefix), chance: self.chance.clone() }
    }

    fn origin(&self) -> Origin {
        self.store.origin()
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        self.ask(self.store.read(key, tags)).await
    }

    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        self.ask(self.store.read_many(keys, tags)).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        self.ask(self.store.lease(request)).await
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        self.ask(self.store.renew(key, grant, life)).await
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        self.ask(self.store.release(key, token)).await
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        self.ask(self.store.fill(request)).await
    }

    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        self.ask(self.store.refill(request)).await
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        self.ask(self.store.epochs(tags)).await
    }

    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        self.ask(self.store.invalidate_many(request)).await
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.ask(self.store.heartbeat(nonce)).await
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let mut near = self.ask(self.store.subscribe()).await?;
        let (feed, far) = subscription(QUEUE);
        let chance = self.chance.clone();
        tokio::spawn(async move {
            while let Some(heard) = near.hear().await {
                // Messages keep their order.
                way(&chance, 30).await;
                if feed.send(heard) == Listening::No {
                    break;
                }
            }
        });
        Ok(far)
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        self.ask(self.store.health()).await
    }
}
