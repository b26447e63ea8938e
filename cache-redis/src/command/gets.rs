//! Reads of values by their names.

use redis::{Pipeline, RedisError, Value};

use super::reply::Failure;
use crate::connection::{Answer, Answers, split};

/// How values are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gets {
    /// All in one command. What is no value counts as absent in the answer to an `MGET`, and is an error in that to a
    /// `GET`.
    AtOnce,
    /// In a command each: a node of a cluster takes no command for keys of several slots.
    OneByOne,
}

/// The answers to reads.
pub(crate) enum Got {
    /// To one command for all.
    AtOnce(Answer),
    /// To a command for each, or made so.
    OneByOne(Answers),
}

impl Gets {
    /// How many answers come for so many names.
    pub(crate) fn answers(self, names: usize) -> usize {
        match self {
            Self::AtOnce => 1,
            Self::OneByOne => names,
        }
    }

    /// The commands for names, as they are sent.
    pub(crate) fn packed<'n>(self, names: impl ExactSizeIterator<Item = &'n str> + Clone) -> Vec<u8> {
        let count = names.len();
        let length: usize = names.clone().map(|name| name.len() + 32).sum();
        let mut bytes = Vec::with_capacity(32 + length);
        if self == Self::AtOnce && count > 1 {
            put_number(&mut bytes, b'*', 1 + count);
            put_word(&mut bytes, "MGET");
            names.for_each(|name| put_word(&mut bytes, name));
        } else {
            for name in names {
                bytes.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                put_word(&mut bytes, name);
            }
        }
        bytes
    }

    /// The commands for names, for the client to send.
    pub(crate) fn pipeline<'n>(self, names: impl ExactSizeIterator<Item = &'n str>) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(self.answers(names.len()));
        if self == Self::AtOnce && names.len() > 1 {
            let mget = pipeline.cmd("MGET");
            for name in names {
                mget.arg(name);
            }
        } else {
            for name in names {
                pipeline.cmd("GET").arg(name);
            }
        }
        pipeline
    }

    /// What was got for so many names, of the answers that came.
    pub(crate) fn got(self, names: usize, mut answers: Answers) -> Got {
        match answers.len() {
            1 if self.answers(names) == 1 => Got::AtOnce(answers.remove(0)),
            _ => Got::OneByOne(answers),
        }
    }

    /// What was got for so many names, where several answers came as one array.
    pub(crate) fn got_at_once(self, names: usize, answer: Answer) -> Got {
        match answer {
            Ok(Value::Array(answers)) if self.answers(names) > 1 => {
                Got::OneByOne(answers.into_iter().map(split).collect())
            }
            answer => Got::AtOnce(answer),
        }
    }
}

impl Got {
    /// The answer for each of so many names.
    pub(crate) fn each(self, names: usize) -> Result<Answers, Failure> {
        match self {
            Self::AtOnce(one) if names == 1 => Ok(vec![one]),
            Self::AtOnce(Ok(Value::Array(values))) if values.len() == names => {
                Ok(values.into_iter().map(split).collect())
            }
            Self::AtOnce(Ok(_)) => Err(Failure::Misfit),
            Self::AtOnce(Err(error)) => Err(error.into()),
            Self::OneByOne(answers) if answers.len() == names => Ok(answers),
            Self::OneByOne(_) => Err(Failure::Misfit),
        }
    }

    /// Each asker's part: so many names are of each.
    pub(crate) fn dealt(self, names: usize, parts: impl ExactSizeIterator<Item = usize>) -> Vec<Got> {
        let failed: RedisError = match self.each(names) {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                let part = |count| match count {
                    1 => Self::AtOnce(answers.next().unwrap_or(Ok(Value::Nil))),
                    _ => Self::OneByOne(answers.by_ref().take(count).collect()),
                };
                return parts.map(part).collect();
            }
            Err(Failure::Refused(error)) => error,
            Err(Failure::Misfit) => {
                (redis::ErrorKind::Parse, "the server answered something else than was asked for").into()
            }
        };
        parts.map(|_| Self::AtOnce(Err(failed.clone()))).collect()
    }
}

fn put_word(bytes: &mut Vec<u8>, word: &str) {
    put_number(bytes, b'$', word.len());
    bytes.extend_from_slice(word.as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

fn put_number(bytes: &mut Vec<u8>, kind: u8, number: usize) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    bytes.push(kind);
    bytes.extend_from_slice(&digits[at..]);
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sent_is_what_the_client_would_send(names in prop::collection::vec("\\PC{0,120}", 1..12)) {
            for gets in [Gets::AtOnce, Gets::OneByOne] {
                let names = names.iter().map(String::as_str);
                let pipeline = gets.pipeline(names.clone());

                prop_assert_eq!(gets.packed(names.clone()), pipeline.get_packed_pipeline());
                prop_assert_eq!(gets.answers(names.len()), pipeline.len());
            }
        }

        #[test]
        fn everyone_gets_the_answers_to_what_they_asked(counts in prop::collection::vec(1..5_usize, 1..8)) {
            let all: usize = counts.iter().sum();
            let number = |number: usize| Value::Int(number as i64);
            let at_once = Value::Array((0..all).map(number).collect());
            for gets in [Gets::AtOnce, Gets::OneByOne] {
                let answer = if all == 1 { number(0) } else { at_once.clone() };
                let dealt = gets.got_at_once(all, Ok(answer)).dealt(all, counts.iter().copied());

                let mut next = 0;
                for (got, count) in dealt.into_iter().zip(&counts) {
                    for answer in got.each(*count).map_err(|_| TestCaseError::fail("a misfit"))? {
                        prop_assert_eq!(answer.map_err(|_| TestCaseError::fail("an error"))?, number(next));
                        next += 1;
                    }
                }
                prop_assert_eq!(next, all);
            }
        }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_for_all_is_one_for_each() {
        let each = |answer, count| Got::AtOnce(Ok(answer)).each(count).map(|answers| answers.len());

        assert!(matches!(each(text("a"), 1), Ok(1)));
        assert!(matches!(each(Value::Array(vec![text("a"), Value::Nil]), 2), Ok(2)));
        assert!(each(Value::Array(vec![text("a")]), 2).is_err());
        assert!(each(Value::Nil, 2).is_err());
    }

    #[test]
    fn an_error_in_the_place_of_a_value_is_the_error_of_that_value() {
        let error = redis::parse_redis_value(b"-LOADING not yet\r\n").expect("an answer");
        let answers = Got::AtOnce(Ok(Value::Array(vec![text("a"), error]))).each(2).map_err(|_| "a misfit");

        let answers = answers.expect("two answers");
        assert!(answers[0].is_ok());
        assert_eq!(answers[1].as_ref().expect_err("it is loading").code(), Some("LOADING"));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_an_error_for_everyone() {
        let error: RedisError = (redis::ErrorKind::Io, "lost").into();
        for got in [
            Got::AtOnce(Err(error)),
            Got::AtOnce(Ok(Value::Array(vec![text("a")]))),
            Got::AtOnce(Ok(Value::Nil)),
            Got::OneByOne(vec![Ok(Value::Nil); 2]),
        ] {
            let dealt = got.dealt(3, [1, 2].into_iter());

            assert_eq!(dealt.len(), 2);
            assert!(dealt.iter().all(|got| matches!(got, Got::AtOnce(Err(_)))));
        }
    }
}
