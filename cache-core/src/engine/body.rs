//! The body of a function, which runs beside the engine and not inside of it.
//!
//! Each body is a future of a type of its own. Were it a part of the engine's futures, all of the engine would be compiled
//! anew for each function. So the engine [asks](Body::begin) for it and waits, and who polls the engine runs the body: [`Beside`]
//! alone is compiled for each. (A trait object would not do: whether a future is `Send` is found out by looking into it,
//! and into a trait object nobody looks.)

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::boxed::{Pending, boxed};
use super::computing::{Run, Running};
use super::means::Recomputed;
use crate::answer::Answer;

/// The right to have the body run, once.
pub(super) struct Body<O>(Arc<Handover<O>>);

/// That of a function whose answer is `A`.
pub(super) type BodyOf<A> = Body<Recomputed<<A as Answer>::Output>>;

/// The body runs. Resolves to what it came to; dropped before that, it ends the body.
pub(super) struct Runs<O>(Arc<Handover<O>>);

/// Ends the body before its time.
pub(super) struct Stop<O>(Arc<Handover<O>>);

/// Where the engine and the body meet.
struct Handover<O>(Mutex<State<O>>);

enum State<O> {
    /// Nothing is asked for.
    Idle,
    /// The body is to begin, as this computation.
    Wanted(Arc<Running>),
    Runs,
    Ended(O),
    /// The body is to go.
    Unwanted,
}

enum Asked {
    Nothing,
    ToBegin(Arc<Running>),
    ToStop,
}

impl<O> Handover<O> {
    fn state(&self) -> MutexGuard<'_, State<O>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the engine asks for.
    fn asked(&self) -> Asked {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Idle) {
            State::Wanted(running) => {
                *state = State::Runs;
                Asked::ToBegin(running)
            }
            State::Unwanted => Asked::ToStop,
            other => {
                *state = other;
                Asked::Nothing
            }
        }
    }

    /// The body has ended.
    fn end(&self, output: O) {
        let mut state = self.state();
        if matches!(*state, State::Runs) {
            *state = State::Ended(output);
        }
    }

    /// Ends the body, unless it has ended.
    fn stop(&self) {
        let mut state = self.state();
        if matches!(*state, State::Wanted(_) | State::Runs) {
            *state = State::Unwanted;
        }
    }
}

impl<O> Body<O> {
    /// Has it run as the computation `running`.
    pub(super) fn begin(self, running: &Arc<Running>) -> Runs<O> {
        *self.0.state() = State::Wanted(running.clone());
        Runs(self.0)
    }

    /// For who may have to end it.
    pub(super) fn stop(&self) -> Stop<O> {
        Stop(self.0.clone())
    }
}

impl<O> Runs<O> {
    /// What it came to, if it was ready when it was first polled: then there is nothing to wait for, and no timer to set.
    pub(super) async fn at_once(&mut self) -> Option<O> {
        turn().await;
        self.take()
    }

    fn take(&mut self) -> Option<O> {
        let mut state = self.0.state();
        match std::mem::replace(&mut *state, State::Idle) {
            State::Ended(output) => Some(output),
            other => {
                *state = other;
                None
            }
        }
    }
}

impl<O> Future for Runs<O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<O> {
        // Whoever runs the body polls the engine each time that it has polled the body.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<O> Drop for Runs<O> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<O> Stop<O> {
    /// Ends the body, and returns when it is gone: what else belongs to the call can go then.
    pub(super) async fn stop(self) {
        self.0.stop();
        turn().await;
    }
}

/// Lets whoever polls the engine do what is asked for. It polls the engine again at once.
async fn turn() {
    let mut is_over = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut is_over, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// The engine and the body that it asks for, as one future.
pub(super) struct Beside<E, B, F, J, O> {
    // In this order: who waits for the engine's flight takes over when the body is gone.
    run: Option<Run<F>>,
    engine: Pending<E>,
    /// What makes the body.
    make: Option<B>,
    /// What makes of the body's output what the engine is handed.
    judge: Option<J>,
    handover: Arc<Handover<O>>,
}

// What is pinned has a box of its own.
impl<E, B, F, J, O> Unpin for Beside<E, B, F, J, O> {}

impl<E, B, F, J, O> Beside<E, B, F, J, O>
where
    E: Future,
    B: FnOnce() -> F,
    F: Future,
    J: FnOnce(F::Output) -> O,
{
    /// Puts them together. Neither has begun.
    pub(super) fn new(engine: impl FnOnce(Body<O>) -> E, make: B, judge: J) -> Self {
        let handover = Arc::new(Handover(Mutex::new(State::Idle)));
        let body = Body(handover.clone());
        let engine = boxed(|| engine(body));
        Self { run: None, engine, make: Some(make), judge: Some(judge), handover }
    }
}

impl<E, B, F, J, O> Future for Beside<E, B, F, J, O>
where
    E: Future,
    B: FnOnce() -> F,
    F: Future,
    J: FnOnce(F::Output) -> O,
{
    type Output = E::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<E::Output> {
        let Self { run, engine, make, judge, handover } = &mut *self;
        loop {
            // First: what has ended in time is in time.
            if let Some(running) = run
                && let Poll::Ready(output) = Pin::new(running).poll(context)
            {
                *run = None;
                if let Some(judge) = judge.take() {
                    handover.end(judge(output));
                }
            }
            if let Poll::Ready(output) = Pin::new(&mut *engine).poll(context) {
                return Poll::Ready(output);
            }
            match handover.asked() {
                Asked::Nothing => return Poll::Pending,
                Asked::ToBegin(running) => *run = make.take().map(|make| Run::new(running, make)),
                Asked::ToStop => *run = None,
            }
        }
    }
}
