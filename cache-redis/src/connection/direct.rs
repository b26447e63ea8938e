//! The short way to an answer: by the socket itself.

use std::pin::pin;
use std::time::Duration;

use redis::{RedisError, Value};

use super::deadline::Term;
use super::{Answer, Link, Waiting, split};

/// What came of a read by the socket.
pub(super) enum Direct {
    Answered(Answer),
    /// Something of the client's was under way, or there was no connection: send it by the client.
    NotSent,
    /// The connection broke, and so much time is left.
    Broken(Duration),
    TooLate,
}

impl Link {
    /// Sends commands that only read by the socket itself, if nothing of the client's is under way there.
    pub(super) async fn read_directly(&self, packed: &[u8], answers: usize, limit: Duration) -> Direct {
        let Some(live) = self.current() else { return Direct::NotSent };
        let Some(socket) = &live.opened.socket else { return Direct::NotSent };
        let Some(turn) = socket.begin(packed, answers) else { return Direct::NotSent };
        let term = Term::of(limit);
        let mut waiting = Waiting { link: self, live: &live, began: term.began, limit, is_answered: false };
        match term.keep(pin!(turn)).await {
            Some(Ok(answer)) => {
                waiting.is_answered = true;
                live.silence.ends();
                if self.leads_elsewhere(&answer) {
                    self.leave(&live);
                }
                Direct::Answered(split(answer))
            }
            Some(Err(_)) => {
                waiting.is_answered = true;
                self.discard(&live);
                match limit.saturating_sub(term.began.elapsed()) {
                    Duration::ZERO => Direct::TooLate,
                    left => Direct::Broken(left),
                }
            }
            None => Direct::TooLate,
        }
    }

    /// Whether an answer, or one of several, says that another connection may lead to another server.
    fn leads_elsewhere(&self, answer: &Value) -> bool {
        let leads = |answer: &Value| match answer {
            Value::ServerError(error) => self.is_elsewhere(&RedisError::from(error.clone())),
            _ => false,
        };
        match answer {
            Value::Array(answers) => answers.iter().any(leads),
            one => leads(one),
        }
    }
}
