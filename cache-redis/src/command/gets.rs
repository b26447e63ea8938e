//! Reads of values by their names.

use redis::{RedisError, Value};

use super::Command;
use super::reply::Failure;

/// The names of values that are read at once: of an entry, and of the epochs it is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Gets<'n> {
    pub(crate) first: &'n str,
    pub(crate) others: &'n [String],
}

impl Gets<'_> {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        1 + self.others.len()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first).chain(self.others.iter().map(String::as_str))
    }

    /// One command for each, for servers that have a part of the names each.
    #[cfg(feature = "cluster")]
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.names().map(|name| Command::on_key("GET", name)).collect()
    }

    /// One command for all. What is no value counts as absent in the answer to an `MGET`, and is an error in that to a
    /// `GET`.
    pub(crate) fn command(&self) -> Command {
        match self.others {
            [] => Command::on_key("GET", self.first),
            others => Command::on_key("MGET", self.first).arg(others),
        }
    }

    /// That one command, as it is sent.
    pub(crate) fn packed(&self) -> Vec<u8> {
        let verb = if self.others.is_empty() { "GET" } else { "MGET" };
        let length: usize = self.names().map(|name| name.len() + 16).sum();
        let mut bytes = Vec::with_capacity(32 + length);
        put_number(&mut bytes, b'*', 1 + self.count());
        for word in std::iter::once(verb).chain(self.names()) {
            put_number(&mut bytes, b'$', word.len());
            bytes.extend_from_slice(word.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }
}

/// The answers to one command for `count` names.
pub(crate) fn spread(answer: Value, count: usize) -> Result<Vec<Result<Value, RedisError>>, Failure> {
    match answer {
        one if count == 1 => Ok(vec![Ok(one)]),
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(Ok).collect()),
        _ => Err(Failure::Misfit),
    }
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
        fn what_is_sent_is_what_the_client_would_send(
            first in "\\PC{0,120}",
            others in prop::collection::vec("\\PC{0,12}", 0..12),
        ) {
            let gets = Gets { first: &first, others: &others };

            prop_assert_eq!(gets.packed(), gets.command().cmd().get_packed_command());
        }
    }

    #[test]
    fn an_answer_for_all_is_one_for_each() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let spread = |answer, count| spread(answer, count).map(|answers| answers.len());

        assert!(matches!(spread(text("a"), 1), Ok(1)));
        assert!(matches!(spread(Value::Array(vec![text("a"), Value::Nil]), 2), Ok(2)));
        assert!(spread(Value::Array(vec![text("a")]), 2).is_err());
        assert!(spread(Value::Nil, 2).is_err());
    }
}
