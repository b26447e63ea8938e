//! A read that nothing else is under way beside: the short way to an answer.

use std::pin::pin;
use std::time::Duration;

use redis::{RedisError, Value};

use super::deadline::Term;
use super::{Link, Waiting, lock, split};

/// What came of a read that is alone.
pub(super) enum Alone {
    Answered(Result<Value, RedisError>),
    /// Something else was under way, or there was no connection: send it as others are.
    NotSent,
    /// The connection broke, and so much time is left.
    Broken(Duration),
    TooLate,
}

impl Link {
    /// Sends a command that only reads by the socket itself, if nothing else is under way there.
    pub(super) async fn read_alone(&self, packed: &[u8], limit: Duration) -> Alone {
        let Some(live) = lock(&self.slot).current.clone() else { return Alone::NotSent };
        let Some(socket) = &live.opened.socket else { return Alone::NotSent };
        let Some(turn) = socket.begin(packed) else { return Alone::NotSent };
        let term = Term::of(limit);
        let mut waiting = Waiting { link: self, live: &live, began: term.began, limit, is_answered: false };
        match term.keep(pin!(turn)).await {
            Some(Ok(answer)) => {
                waiting.is_answered = true;
                live.silence.ends();
                let answer = split(answer);
                if answer.as_ref().is_err_and(|error| self.is_elsewhere(error)) {
                    self.replace(&live);
                }
                Alone::Answered(answer)
            }
            Some(Err(_)) => {
                waiting.is_answered = true;
                self.discard(&live);
                Alone::Broken(limit.saturating_sub(term.began.elapsed()))
            }
            None => Alone::TooLate,
        }
    }
}
