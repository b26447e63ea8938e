//! Time limits on waiting, by the cache's clock.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::body::Stop;
use crate::clock::Clock;

/// Waits for `future`, for `limit` at most.
pub(super) async fn within<F: Future>(clock: &Clock, limit: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut sleep) = (pin!(future), Box::pin(clock.sleep(limit)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The same for what has a body run: when the time is over, that is the first to go.
pub(super) async fn within_or_stop<F: Future>(
    clock: &Clock,
    limit: Duration,
    future: F,
    body: Stop,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let output = within(clock, limit, future.as_mut()).await;
    if output.is_none() {
        body.stop().await;
    }
    output
}
