//! The body of a function, which runs beside the engine and not inside of it.
//!
//! Each body is a future of a type of its own, and brings a value of some type. Were they a part of the engine's futures, all
//! of the engine would be compiled anew for each function. So the engine [asks](Body::begin) for the body and waits; who polls the
//! engine runs the body and tells the engine, in words that are the same for all, what it [brought](Brought): [`Beside`] alone is
//! compiled for each. (A trait object would not do: whether a future is `Send` is found out by looking into it, and into a
//! trait object nobody looks.)

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use super::computing::{Run, Running};
use super::value::AnyValue;
use crate::answer::Outcome;
use crate::key::Tag;
use crate::storage::Packed;

/// What a body came to, as far as the engine has to know it.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) outcome: Outcome,
    /// What of the answer would be stored.
    pub(super) value: Option<AnyValue>,
    /// The error, for followers that can have it.
    pub(super) error: Option<Packed>,
    /// What `store_if` says.
    pub(super) is_stored: bool,
    /// The ttl that the value asks for.
    pub(super) ttl: Option<Duration>,
    /// The tags that only the value knows.
    pub(super) tags: Vec<Tag>,
}

impl Brought {
    /// Of what nothing is kept.
    pub(super) fn nothing(outcome: Outcome) -> Self {
        Self { outcome, value: None, error: None, is_stored: false, ttl: None, tags: Vec::new() }
    }
}

/// The right to have the body run, once.
pub(super) struct Body(Arc<Handover>);

/// The body runs. Resolves to what it came to; dropped before that, it ends the body.
pub(super) struct Runs(Arc<Handover>);

/// Ends the body before its time.
pub(super) struct Stop(Arc<Handover>);

/// Where the engine and the body meet.
struct Handover(Mutex<State>);

enum State {
    /// Nothing is asked for.
    Idle,
    /// The body is to begin, as this computation.
    Wanted(Arc<Running>),
    Runs,
    Ended(Brought),
    /// The body is to go.
    Unwanted,
}

enum Asked {
    Nothing,
    ToBegin(Arc<Running>),
    ToStop,
}

impl Handover {
    fn state(&self) -> MutexGuard<'_, State> {
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
    fn end(&self, brought: Brought) {
        let mut state = self.state();
        if matches!(*state, State::Runs) {
            *state = State::Ended(brought);
        }
    }

    /// Ends the body, unless it has ended. Whether it has yet to go.
    fn stop(&self) -> bool {
        let mut state = self.state();
        if matches!(*state, State::Wanted(_) | State::Runs) {
            *state = State::Unwanted;
        }
        matches!(*state, State::Unwanted)
    }
}

impl Body {
    /// Has it run as the computation `running`.
    pub(super) fn begin(self, running: &Arc<Running>) -> Runs {
        *self.0.state() = State::Wanted(running.clone());
        Runs(self.0)
    }

    /// For who may have to end it.
    pub(super) fn stop(&self) -> Stop {
        Stop(self.0.clone())
    }
}

impl Runs {
    /// What it came to, if it was ready when it was first polled: then there is nothing to wait for, and no timer to set.
    pub(super) async fn at_once(&mut self) -> Option<Brought> {
        turn().await;
        self.take()
    }

    fn take(&mut self) -> Option<Brought> {
        let mut state = self.0.state();
        match std::mem::replace(&mut *state, State::Idle) {
            State::Ended(brought) => Some(brought),
            other => {
                *state = other;
                None
            }
        }
    }
}

impl Future for Runs {
    type Output = Brought;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Brought> {
        // Whoever runs the body polls the engine each time that it has polled the body.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Stop {
    /// Ends the body, and returns when it is gone: what else belongs to the call can go then.
    pub(super) async fn stop(self) {
        // Where there is none, nobody polls the engine at once.
        if self.0.stop() {
            turn().await;
        }
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

/// The engine at work on one call, on the heap.
pub(super) type Engine<'e, W> = Pin<Box<dyn Future<Output = W> + Send + 'e>>;

/// Where the engine's words, of type `W` in the end, and the types of a function with bodies of type `F` meet.
// Parameters and no associated types: whether a call is `Send` is asked with all lifetimes forgotten, and then the compiler does not
// find out what an associated type is.
pub(super) trait Edge<F: Future, W> {
    /// What the engine's word is to the caller.
    type Answer;

    /// Makes the body: once, since the engine asks for no more.
    fn make(&mut self) -> Option<F>;

    /// Takes what the body came to as the computation `running`, and tells the engine.
    fn end(&mut self, output: F::Output, running: &Running) -> Brought;

    /// The answer.
    fn answer(&mut self, word: W) -> Self::Answer;
}

/// The engine and the body that it asks for, as one future.
pub(super) struct Beside<'e, E, F, W> {
    // In this order: who waits for the engine's flight takes over when the body is gone.
    run: Option<Run<F>>,
    engine: Engine<'e, W>,
    edge: E,
    handover: Arc<Handover>,
}

// What is pinned has a box of its own.
impl<E, F, W> Unpin for Beside<'_, E, F, W> {}

impl<'e, E: Edge<F, W>, F: Future, W> Beside<'e, E, F, W> {
    /// Puts them together. Neither has begun.
    pub(super) fn new(edge: E, engine: impl FnOnce(Body) -> Engine<'e, W>) -> Self {
        let handover = Arc::new(Handover(Mutex::new(State::Idle)));
        let engine = engine(Body(handover.clone()));
        Self { run: None, engine, edge, handover }
    }
}

impl<E: Edge<F, W>, F: Future, W> Future for Beside<'_, E, F, W> {
    type Output = E::Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<E::Answer> {
        let Self { run, engine, edge, handover } = &mut *self;
        loop {
            // First: what has ended in time is in time.
            if let Some(running) = run
                && let Poll::Ready(output) = Pin::new(&mut *running).poll(context)
            {
                let running = running.running().clone();
                *run = None;
                handover.end(edge.end(output, &running));
            }
            if let Poll::Ready(word) = engine.as_mut().poll(context) {
                return Poll::Ready(edge.answer(word));
            }
            match handover.asked() {
                Asked::Nothing => return Poll::Pending,
                Asked::ToBegin(running) => *run = Some(Run::new(running, || edge.make())),
                Asked::ToStop => *run = None,
            }
        }
    }
}
