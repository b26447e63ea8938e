//! The reads of a socket, in the order in which they were written.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use redis::{RedisError, Value};

#[derive(Default)]
pub(super) struct Turns {
    /// The number of the first in the queue.
    first: u64,
    /// Those that wait for answers.
    queue: VecDeque<Turn>,
    /// What came for those that have not taken it yet. Not in the queue: one that is kept and not polled would keep
    /// all that come after it there.
    answered: HashMap<u64, Result<Value, RedisError>>,
    /// The client reads for all of them.
    pub(super) are_carried: bool,
}

struct Turn {
    /// How many answers are still to come, and those that came.
    wanted: usize,
    answers: Vec<Value>,
    /// Woken when it has all. `None` when it has gone away: then its answers are thrown away.
    waker: Option<Waker>,
}

impl Turns {
    /// Whether no answer is to come.
    pub(super) fn are_answered(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the read waits for the next answer, and for itself.
    pub(super) fn is_alone(&self, number: u64) -> bool {
        !self.are_carried && number == self.first && !self.queue.is_empty()
    }

    /// Adds a read for so many answers.
    pub(super) fn add(&mut self, wanted: usize) -> u64 {
        self.queue.push_back(Turn { wanted, answers: Vec::new(), waker: Some(Waker::noop().clone()) });
        self.first + self.queue.len() as u64 - 1
    }

    /// Gives the next answer to whom it is for. Tells whom to wake.
    pub(super) fn give(&mut self, answer: Value) -> Option<Waker> {
        let turn = self.queue.front_mut()?;
        turn.wanted -= 1;
        if turn.wanted == 0 && turn.answers.is_empty() {
            return self.end(Ok(answer));
        }
        turn.answers.push(answer);
        if turn.wanted > 0 {
            return None;
        }
        let answers = std::mem::take(&mut turn.answers);
        self.end(Ok(Value::Array(answers)))
    }

    /// No more answers come. Tells whom to wake.
    pub(super) fn fail(&mut self, error: &RedisError) -> Vec<Waker> {
        let mut woken = Vec::new();
        while !self.queue.is_empty() {
            woken.extend(self.end(Err(error.clone())));
        }
        woken
    }

    /// Ends the first one.
    fn end(&mut self, answer: Result<Value, RedisError>) -> Option<Waker> {
        let waker = self.queue.pop_front()?.waker;
        if waker.is_some() {
            self.answered.insert(self.first, answer);
        }
        self.first += 1;
        self.are_carried &= !self.queue.is_empty();
        waker
    }

    /// What the read got; otherwise `waker` is woken when it has it. Gives back what was to be woken.
    pub(super) fn take(
        &mut self,
        number: u64,
        waker: &Waker,
    ) -> Result<Result<Value, RedisError>, Option<Waker>> {
        if let Some(answer) = self.answered.remove(&number) {
            return Ok(answer);
        }
        match self.waiting(number) {
            Some(turn) if turn.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) => Err(None),
            Some(turn) => Err(turn.waker.replace(waker.clone())),
            None => Err(None),
        }
    }

    /// The read goes away. Gives back what was to be woken, and tells whether its answers are still to come.
    pub(super) fn leave(&mut self, number: u64) -> (bool, Option<Waker>) {
        self.answered.remove(&number);
        match self.waiting(number) {
            Some(turn) => (true, turn.waker.take()),
            None => (false, None),
        }
    }

    fn waiting(&mut self, number: u64) -> Option<&mut Turn> {
        let at = number.checked_sub(self.first)?;
        self.queue.get_mut(usize::try_from(at).ok()?)
    }

    #[cfg(test)]
    pub(super) fn to_come(&self) -> usize {
        self.queue.iter().map(|turn| turn.wanted).sum()
    }

    #[cfg(test)]
    pub(super) fn are_forgotten(&self) -> bool {
        self.queue.is_empty() && self.answered.is_empty()
    }
}
