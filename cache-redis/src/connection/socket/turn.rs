//! A read that is alone on a socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use redis::{RedisError, Value};

use super::{Reading, Socket, State};

/// A read that was written to the socket, and waits for its answer.
///
/// Dropped before that, it leaves its answer to the client to be thrown away.
pub(in crate::connection) struct Turn<'s> {
    socket: &'s Socket,
    is_over: bool,
}

/// What is longer goes the long way: it may find the kernel's buffer too small, and half a command breaks the connection.
const LONGEST_COMMAND: usize = 16 << 10;

impl Socket {
    /// Writes a command, if nothing else is under way. `None` means that nothing was written.
    pub(in crate::connection) fn begin(&self, command: &[u8]) -> Option<Turn<'_>> {
        if command.len() > LONGEST_COMMAND {
            return None;
        }
        let mut state = self.lock();
        let is_idle = matches!(state.reading, Reading::None) && state.read.is_empty();
        if !is_idle || !state.carried.is_none() || state.failure.is_some() {
            return None;
        }
        // Where all was answered, all was received, so the kernel has room for a small command.
        let written = match state.nothing_has_come() {
            Ok(()) => state.stream.try_write(command),
            Err(error) => Err(error),
        };
        match written {
            Ok(written) if written == command.len() => {
                state.reading = Reading::Alone(Waker::noop().clone());
                Some(Turn { socket: self, is_over: false })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            written => {
                // Half a command cannot be taken back: the client finds the connection broken.
                state.failure = Some(written.err().map_or(io::ErrorKind::WriteZero, |error| error.kind()));
                let driver = state.driver.clone();
                drop(state);
                driver.iter().for_each(Waker::wake_by_ref);
                None
            }
        }
    }
}

impl State {
    /// What has come although nobody asked would be taken for the answer to the next read, and its answer for that to the one
    /// after. Costs no call of the system while nothing has come.
    fn nothing_has_come(&mut self) -> io::Result<()> {
        match self.stream.try_read(self.read.free()) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl State {
    /// Has the client woken for what comes next. Tells whom to wake for what has come.
    fn give_back(&self) -> Option<Waker> {
        let driver = self.driver.as_ref()?;
        let has_come = !self.read.is_empty()
            || self.failure.is_some()
            || self.stream.poll_read_ready(&mut Context::from_waker(driver)).is_ready();
        has_come.then(|| driver.clone())
    }
}

impl Future for Turn<'_> {
    type Output = Result<Value, RedisError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.socket.lock();
        let is_alone = match &mut state.reading {
            Reading::Alone(waker) => {
                waker.clone_from(context.waker());
                true
            }
            Reading::Carried(waker) => {
                waker.clone_from(context.waker());
                false
            }
            _ => false,
        };
        if is_alone {
            let Poll::Ready(answer) = state.poll_answer(context) else { return Poll::Pending };
            state.reading = Reading::None;
            let driver = state.give_back();
            drop(state);
            self.is_over = true;
            driver.iter().for_each(Waker::wake_by_ref);
            return Poll::Ready(answer);
        }
        match std::mem::replace(&mut state.reading, Reading::None) {
            Reading::Answered(answer) => {
                drop(state);
                self.is_over = true;
                Poll::Ready(answer)
            }
            reading => {
                state.reading = reading;
                Poll::Pending
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.socket.lock();
        let (next, own) = match std::mem::replace(&mut state.reading, Reading::None) {
            Reading::Alone(waker) | Reading::Carried(waker) => (Reading::Left, Some(waker)),
            _ => (Reading::None, None),
        };
        state.reading = next;
        let driver = state.driver.clone();
        drop(state);
        // Outside the lock: dropping a waker may drop a task.
        drop(own);
        driver.iter().for_each(Waker::wake_by_ref);
    }
}
