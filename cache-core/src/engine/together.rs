//! Waiting for several futures in one task.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// So many run at the same time: what they ask of a server shall not keep others from it.
pub(super) const AT_ONCE: usize = 256;

/// Runs them at the same time, 256 at most, in the task of the caller, and answers in their order.
///
/// # Cancel safety
///
/// That of all of them.
pub(super) async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    let mut waiting = waiting.into_iter().enumerate();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    poll_fn(|context| {
        loop {
            while running.len() < AT_ONCE
                && let Some(next) = waiting.next()
            {
                running.push(next);
            }
            let before = running.len();
            running.retain_mut(|(at, future)| match future.as_mut().poll(context) {
                Poll::Ready(output) => {
                    done[*at] = Some(output);
                    false
                }
                Poll::Pending => true,
            });
            match running.len() {
                0 if before == 0 => return Poll::Ready(()),
                // Each of them will wake this.
                left if left == before => return Poll::Pending,
                _ => {}
            }
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
