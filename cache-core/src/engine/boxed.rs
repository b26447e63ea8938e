//! Futures on the heap.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A future on the heap and out of line, so that the future of who awaits it is no larger, and its code no longer, than it
/// must be.
#[derive(Debug)]
pub struct Pending<F>(Pin<Box<F>>);

impl<F> Pending<F> {
    pub(super) fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Pending<F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

/// Makes a future on the heap, out of sight of who awaits it.
///
/// On its way there a future lies on the stack, as large as it is; in the frame of who polls it that room would be
/// taken for as long as it runs. And it may run deep: a body asks for others, whose bodies ask for more.
#[inline(never)]
pub(super) fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pending<F> {
    Pending::new(make())
}
