//! A read on a socket, from writing it to its answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use redis::{RedisError, Value};

use super::{Socket, State};

/// A read that was written to the socket, and waits for its answer: one value, or an array of the answers to several
/// commands.
///
/// Dropped before that, it leaves its answer to the client to be thrown away.
pub(in crate::connection) struct Turn<'s> {
    socket: &'s Socket,
    number: u64,
    is_over: bool,
}

impl Socket {
    /// Writes commands for so many answers, if nothing of the client's is under way. `None` means that nothing was
    /// written.
    pub(in crate::connection) fn begin(&self, commands: &[u8], answers: usize) -> Option<Turn<'_>> {
        let mut state = self.lock();
        if !state.carried.is_none() || !state.unsent.is_empty() || state.failure.is_some() {
            return None;
        }
        let is_alone = state.turns.are_answered();
        if is_alone && !state.read.is_empty() {
            return None;
        }
        let written = match if is_alone { state.nothing_has_come() } else { Ok(()) } {
            Ok(()) => state.stream.try_write(commands),
            Err(error) => Err(error),
        };
        match written {
            Ok(written) if written > 0 => {
                let rest = &commands[written..];
                state.unsent.extend_from_slice(rest);
                let number = state.turns.add(answers);
                let is_client_needed = !rest.is_empty() || (!is_alone && !state.turns.are_carried);
                state.turns.are_carried |= is_client_needed;
                let driver = state.driver.clone().filter(|_| is_client_needed);
                drop(state);
                driver.iter().for_each(Waker::wake_by_ref);
                Some(Turn { socket: self, number, is_over: false })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            written => {
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
        let mut driver = None;
        // Let go of outside the lock: dropping a waker may drop a task.
        let mut old = Vec::new();
        if state.turns.is_alone(self.number) && state.poll_turns(context, &mut old).is_ready() {
            driver = state.give_back();
        }
        let taken = state.turns.take(self.number, context.waker());
        drop(state);
        driver.iter().for_each(Waker::wake_by_ref);
        match taken {
            Ok(answer) => {
                self.is_over = true;
                Poll::Ready(answer)
            }
            Err(kept) => {
                old.extend(kept);
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
        let (is_to_come, own) = state.turns.leave(self.number);
        let driver = state.driver.clone().filter(|_| is_to_come);
        drop(state);
        // Outside the lock: dropping a waker may drop a task.
        drop(own);
        driver.iter().for_each(Waker::wake_by_ref);
    }
}
