//! The client's side of a socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Socket, State};

/// What the client takes for its socket.
pub(in crate::connection) struct ClientSide(pub(in crate::connection) Arc<Socket>);

impl State {
    fn poll_own(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.failure.is_some() {
            // However it failed, for the client it is a connection that broke: what was under way on it is sent again.
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !self.read.is_empty() {
            let unused = self.read.unused();
            let count = unused.len().min(into.remaining());
            into.put_slice(&unused[..count]);
            self.read.take(count);
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        match &polled {
            Poll::Ready(Ok(())) if into.filled().len() == before => {
                self.failure = Some(io::ErrorKind::UnexpectedEof);
            }
            Poll::Ready(Err(error)) => self.failure = Some(error.kind()),
            _ => {}
        }
        polled
    }
}

impl AsyncRead for ClientSide {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let mut old = None;
        if !state.driver.as_ref().is_some_and(|driver| driver.will_wake(context.waker())) {
            old = state.driver.replace(context.waker().clone());
        }
        let mut answered = Vec::new();
        // Whatever comes of it: what can be read is read.
        let _ = state.poll_unsent(context);
        let polled = match state.poll_turns(context, &mut answered) {
            Poll::Ready(()) => state.poll_own(context, into),
            Poll::Pending => {
                state.turns.are_carried = true;
                Poll::Pending
            }
        };
        drop(state);
        // Outside the lock: dropping a waker may drop a task.
        drop(old);
        answered.into_iter().for_each(Waker::wake);
        polled
    }
}

impl AsyncWrite for ClientSide {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        ready!(state.poll_unsent(context));
        if state.failure.is_some() {
            // Behind half a command it would be read as a part of that.
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut state.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        ready!(state.poll_unsent(context));
        Pin::new(&mut state.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_shutdown(context)
    }
}

/// The client has given the connection up.
impl Drop for ClientSide {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let kind = *state.failure.get_or_insert(io::ErrorKind::BrokenPipe);
        let waiting = state.turns.fail(&io::Error::from(kind).into());
        let driver = state.driver.take();
        drop(state);
        // Outside the lock: dropping a waker may drop a task.
        drop(driver);
        waiting.into_iter().for_each(Waker::wake);
    }
}
