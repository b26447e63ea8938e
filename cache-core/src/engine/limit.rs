//! Time limits on waiting, by the cache's clock.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::Cache;
use crate::clock::Clock;

/// Waits for `future`, for `limit` at most, if there is one; `None` when that was not enough. It is dropped then.
pub(super) async fn within_limit<F: Future>(
    cache: &Cache,
    limit: Option<Duration>,
    future: F,
) -> Option<F::Output> {
    match limit {
        Some(limit) => within(&cache.0.clock, limit, future).await,
        None => Some(future.await),
    }
}

/// Waits for `future`, for `limit` at most.
pub(super) async fn within<F: Future>(clock: &Clock, limit: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut sleep) = (pin!(future), Box::pin(clock.sleep(limit)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
    })
    .await
}
