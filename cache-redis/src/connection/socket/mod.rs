//! A socket that the client drives, and that reads use themselves.
//!
//! The client carries each command to the task that drives the connection, and each answer back: four polls of two
//! tasks for one answer. Reads that find nothing of the client's under way write their commands to the socket
//! themselves. Answers come in the order of the commands, so those to reads come first, each in its turn, and what comes
//! behind them is the client's.
//!
//! A read that is alone waits for the socket itself: two polls of its own task. As soon as anything else is to be read, the
//! client does all the reading, and hands the answers over. So a read that goes away, or is kept and not polled, holds
//! nobody up.

mod answer;
mod side;
mod stream;
#[cfg(test)]
mod tests;
mod turn;
mod turns;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use redis::{RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) use self::side::ClientSide;
pub(super) use self::stream::Stream;
use self::turns::Turns;

/// What is read at once.
const BUFFER: usize = 8 << 10;
/// A buffer that a large value has made longer is let go.
const LARGEST_KEPT: usize = 64 << 10;

/// A socket, seen from both sides.
pub(crate) struct Socket(Mutex<State>);

struct State {
    stream: Stream,
    turns: Turns,
    /// What was read and not yet used: the answers to the reads that have their turns, then what is the client's.
    read: Bytes,
    /// The rest of a read that the kernel had no room for. Nothing is written before it.
    unsent: Vec<u8>,
    /// Who drives the client.
    driver: Option<Waker>,
    carried: Carried,
    /// Nothing more goes over it.
    failure: Option<io::ErrorKind>,
}

/// The calls that the client carries.
#[derive(Default)]
struct Carried {
    count: usize,
    begun: u64,
    /// A call went away without its answer, when so many had begun. One that began later and was answered tells that
    /// the answer has come: they come in order.
    left_at: Option<u64>,
}

/// Bytes in the order in which they came.
struct Bytes {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// A call that the client carries, until it is dropped.
pub(super) struct Call<'s> {
    socket: &'s Socket,
    number: u64,
    is_answered: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            stream,
            turns: Turns::default(),
            read: Bytes { buffer: vec![0; BUFFER], start: 0, end: 0 },
            unsent: Vec::new(),
            driver: None,
            carried: Carried::default(),
            failure: None,
        })))
    }

    /// Notes that the client is given a call.
    pub(super) fn carry(&self) -> Call<'_> {
        let carried = &mut self.lock().carried;
        carried.count += 1;
        carried.begun += 1;
        Call { socket: self, number: carried.begun, is_answered: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let carried = &mut self.socket.lock().carried;
        carried.count -= 1;
        if !self.is_answered {
            carried.left_at = Some(carried.begun);
        } else if carried.left_at.is_some_and(|left_at| self.number > left_at) {
            carried.left_at = None;
        }
    }
}

impl Carried {
    fn is_none(&self) -> bool {
        self.count == 0 && self.left_at.is_none()
    }
}

impl State {
    /// Waits for all answers to reads, and gives them to whom they are for. Tells whom to wake.
    fn poll_turns(&mut self, context: &mut Context<'_>, woken: &mut Vec<Waker>) -> Poll<()> {
        while !self.turns.are_answered() {
            match ready!(self.poll_answer(context)) {
                Ok(answer) => woken.extend(self.turns.give(answer)),
                Err(error) => woken.extend(self.turns.fail(&error)),
            }
        }
        Poll::Ready(())
    }

    /// Waits for the next answer.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Value, RedisError>> {
        loop {
            match answer::take(self.read.unused()) {
                Ok(Some((value, length))) => {
                    self.read.take(length);
                    return Poll::Ready(Ok(value));
                }
                Ok(None) => {}
                Err(error) => {
                    self.failure = Some(io::ErrorKind::InvalidData);
                    return Poll::Ready(Err(error));
                }
            }
            let mut free = ReadBuf::new(self.read.free());
            let read = match Pin::new(&mut self.stream).poll_read(context, &mut free) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(read) => read.map(|()| free.filled().len()),
            };
            match read {
                Ok(0) => return Poll::Ready(Err(self.fail(io::ErrorKind::UnexpectedEof.into()))),
                Ok(count) => self.read.end += count,
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
    }

    /// Writes the rest of a read.
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.unsent.is_empty() && self.failure.is_none() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent)) {
                Ok(0) => self.failure = Some(io::ErrorKind::WriteZero),
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) => self.failure = Some(error.kind()),
            }
        }
        Poll::Ready(())
    }

    fn fail(&mut self, error: io::Error) -> RedisError {
        self.failure = Some(error.kind());
        error.into()
    }
}

impl Bytes {
    fn unused(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn take(&mut self, count: usize) {
        self.start += count;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > LARGEST_KEPT {
                self.buffer = vec![0; BUFFER];
            }
        }
    }

    /// Where more can be read to.
    fn free(&mut self) -> &mut [u8] {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize(2 * self.end, 0);
            }
        }
        &mut self.buffer[self.end..]
    }
}
