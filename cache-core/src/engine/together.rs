//! Waiting for several futures in one task.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Runs all of them at the same time, in the task of the caller, and answers in their order.
///
/// # Cancel safety
///
/// That of all of them.
pub(super) async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut done: Vec<Option<F::Output>> = Vec::new();
    for (at, future) in futures.into_iter().enumerate() {
        running.push((at, Box::pin(future)));
        done.push(None);
    }
    poll_fn(|context| {
        running.retain_mut(|(at, future)| match future.as_mut().poll(context) {
            Poll::Ready(output) => {
                done[*at] = Some(output);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
