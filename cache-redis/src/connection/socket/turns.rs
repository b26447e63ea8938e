//! The reads of a socket, in the order in which they were written.

use std::collections::VecDeque;
use std::task::Waker;

use redis::{RedisError, Value};

#[derive(Default)]
pub(super) struct Turns {
    /// The number of the first in the queue.
    first: u64,
    queue: VecDeque<Turn>,
    /// So many of them wait for answers: the last ones.
    unanswered: usize,
    /// The client reads for all of them.
    pub(super) are_carried: bool,
}

struct Turn {
    /// How many answers are still to come, and those that came.
    wanted: usize,
    answers: Vec<Value>,
    whose: Whose,
}

enum Whose {
    /// It waits, and is woken when it has all.
    Waits(Waker),
    /// It has gone away, and its answers are thrown away when they come.
    Left,
    Answered(Result<Value, RedisError>),
    /// It has taken its answer.
    Over,
}

impl Turns {
    /// Whether no answer is to come.
    pub(super) fn are_answered(&self) -> bool {
        self.unanswered == 0
    }

    /// Whether the read waits for the next answer, and for itself.
    pub(super) fn is_alone(&self, number: u64) -> bool {
        !self.are_carried && number - self.first + self.unanswered as u64 == self.queue.len() as u64
    }

    /// Adds a read for so many answers.
    pub(super) fn add(&mut self, wanted: usize) -> u64 {
        let waits = Whose::Waits(Waker::noop().clone());
        self.queue.push_back(Turn { wanted, answers: Vec::new(), whose: waits });
        self.unanswered += 1;
        self.first + self.queue.len() as u64 - 1
    }

    /// Gives the next answer to whom it is for. Tells whom to wake.
    pub(super) fn give(&mut self, answer: Value) -> Option<Waker> {
        let at = self.queue.len() - self.unanswered;
        let turn = &mut self.queue[at];
        turn.wanted -= 1;
        let is_last = turn.wanted == 0;
        if matches!(turn.whose, Whose::Left) {
            return if is_last { self.answered(Ok(Value::Nil)) } else { None };
        }
        if is_last && turn.answers.is_empty() {
            return self.answered(Ok(answer));
        }
        turn.answers.push(answer);
        let answers = Value::Array(if is_last { std::mem::take(&mut turn.answers) } else { return None });
        self.answered(Ok(answers))
    }

    /// No more answers come. Tells whom to wake.
    pub(super) fn fail(&mut self, error: &RedisError) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.unanswered > 0 {
            woken.extend(self.answered(Err(error.clone())));
        }
        woken
    }

    fn answered(&mut self, answer: Result<Value, RedisError>) -> Option<Waker> {
        let at = self.queue.len() - self.unanswered;
        self.unanswered -= 1;
        self.are_carried &= self.unanswered > 0;
        let turn = &mut self.queue[at];
        match std::mem::replace(&mut turn.whose, Whose::Over) {
            Whose::Waits(waker) => {
                turn.whose = Whose::Answered(answer);
                Some(waker)
            }
            Whose::Left | Whose::Answered(_) | Whose::Over => {
                self.clear();
                None
            }
        }
    }

    /// What the read got; otherwise `waker` is woken when it has it. Gives back what was to be woken.
    pub(super) fn take(
        &mut self,
        number: u64,
        waker: &Waker,
    ) -> Result<Result<Value, RedisError>, Option<Waker>> {
        let turn = &mut self.queue[(number - self.first) as usize];
        match std::mem::replace(&mut turn.whose, Whose::Over) {
            Whose::Answered(answer) => {
                self.clear();
                Ok(answer)
            }
            Whose::Waits(kept) if kept.will_wake(waker) => {
                turn.whose = Whose::Waits(kept);
                Err(None)
            }
            Whose::Waits(kept) => {
                turn.whose = Whose::Waits(waker.clone());
                Err(Some(kept))
            }
            other => {
                turn.whose = other;
                Err(None)
            }
        }
    }

    /// The read goes away. Gives back what was to be woken, and tells whether its answers are still to come.
    pub(super) fn leave(&mut self, number: u64) -> (bool, Option<Waker>) {
        let turn = &mut self.queue[(number - self.first) as usize];
        match std::mem::replace(&mut turn.whose, Whose::Left) {
            Whose::Waits(waker) => {
                turn.answers.clear();
                (true, Some(waker))
            }
            Whose::Left | Whose::Answered(_) | Whose::Over => {
                turn.whose = Whose::Over;
                self.clear();
                (false, None)
            }
        }
    }

    /// Forgets the first ones if they are over.
    fn clear(&mut self) {
        while let Some(Turn { whose: Whose::Over, .. }) = self.queue.front() {
            self.queue.pop_front();
            self.first += 1;
        }
    }

    #[cfg(test)]
    pub(super) fn to_come(&self) -> usize {
        self.queue.iter().map(|turn| turn.wanted).sum()
    }

    #[cfg(test)]
    pub(super) fn are_forgotten(&self) -> bool {
        self.queue.is_empty()
    }
}
