//! What the server answered, as the contract tells it.

use cache_core::backend::{Epoch, Found, FrameBytes, ServerTime};
use redis::{RedisError, Value};

/// The mark of an entry as it was filled.
pub(crate) const FRESH: u8 = 0;
/// The mark of an entry that was made stale since.
const EXPIRED: u8 = 1;
/// Scripts count in doubles. A greater time was not written by one.
const MAX_MICROS: u64 = 1 << 53;

/// The answer to a `GET` of a name of ours; what is of another type is absent.
pub(crate) fn stored(answer: Result<Value, RedisError>) -> Result<Option<Vec<u8>>, Failure> {
    match answer {
        Ok(Value::BulkString(bytes)) => Ok(Some(bytes)),
        Ok(Value::Nil) => Ok(None),
        Ok(_) => Err(Failure::Misfit),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why an answer cannot be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no, or did not say anything.
    Refused(RedisError),
    /// What came back does not fit what was asked: no Redis, or a proxy that changes answers.
    Misfit,
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Refused(error)
    }
}

/// An entry from its stored form; `None` if it is not one of ours.
pub(crate) fn entry(bytes: Vec<u8>) -> Option<Found> {
    let is_expired = match *bytes.first()? {
        FRESH => false,
        EXPIRED => true,
        _ => return None,
    };
    Some(Found { frame: FrameBytes::from(bytes).skip(1), is_expired })
}

/// An epoch from its stored form; `None` if it is not one of ours.
pub(crate) fn epoch(bytes: &[u8]) -> Option<Epoch> {
    let epoch = Epoch::from_bytes(bytes.try_into().ok()?);
    (epoch.micros < MAX_MICROS).then_some(epoch)
}

/// The epoch that a script answered.
pub(crate) fn scripted_epoch(answer: Result<Value, RedisError>) -> Result<Epoch, Failure> {
    let Value::BulkString(bytes) = answer? else { return Err(Failure::Misfit) };
    epoch(&bytes).ok_or(Failure::Misfit)
}

/// What the script for leases answered.
pub(crate) enum LeaseReply {
    Granted(ServerTime),
    Held { remaining_ms: u64 },
    Filled(Found),
}

/// Reads the answer to a request for a lease.
pub(crate) fn lease(answer: Result<Value, RedisError>) -> Result<LeaseReply, Failure> {
    let Value::Array(parts) = answer? else { return Err(Failure::Misfit) };
    let Ok([Value::Int(kind), what]) = <[Value; 2]>::try_from(parts) else { return Err(Failure::Misfit) };
    let reply = match (kind, what) {
        (0, Value::Int(remaining)) => {
            LeaseReply::Held { remaining_ms: u64::try_from(remaining).unwrap_or(0) }
        }
        (1, Value::BulkString(bytes)) => {
            let micros = bytes.try_into().map_err(|_| Failure::Misfit)?;
            LeaseReply::Granted(ServerTime::from_micros(u64::from_be_bytes(micros)))
        }
        (2, Value::BulkString(bytes)) => LeaseReply::Filled(entry(bytes).ok_or(Failure::Misfit)?),
        _ => return Err(Failure::Misfit),
    };
    Ok(reply)
}

/// Reads the 1 or 0 of a script.
pub(crate) fn is_done(answer: Result<Value, RedisError>) -> Result<bool, Failure> {
    Ok(count(answer)? == 1)
}

/// Reads a number.
pub(crate) fn count(answer: Result<Value, RedisError>) -> Result<i64, Failure> {
    match answer? {
        Value::Int(count) => Ok(count),
        _ => Err(Failure::Misfit),
    }
}

/// Reads the answer to `TIME`: seconds and µs, in text.
pub(crate) fn time(answer: Result<Value, RedisError>) -> Result<ServerTime, Failure> {
    let Value::Array(parts) = answer? else { return Err(Failure::Misfit) };
    let number = |value: &Value| match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    let [seconds, micros] = &parts[..] else { return Err(Failure::Misfit) };
    let (seconds, micros) = (number(seconds).ok_or(Failure::Misfit)?, number(micros).ok_or(Failure::Misfit)?);
    let micros = seconds.checked_mul(1_000_000).and_then(|whole| whole.checked_add(micros));
    Ok(ServerTime::from_micros(micros.ok_or(Failure::Misfit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_absent() {
        assert_eq!(entry(vec![]), None);
        assert_eq!(entry(b"foreign".to_vec()), None);
        assert_eq!(epoch(b"fifteen bytes.."), None);
        assert_eq!(epoch(&[0xff; 16]), None);
        assert_eq!(entry(vec![1]), Some(Found { frame: FrameBytes::from(vec![]), is_expired: true }));
    }

    #[test]
    fn a_time_is_seconds_and_micros() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());

        let good = time(Ok(Value::Array(vec![text("2"), text("3")])));
        let large = time(Ok(Value::Array(vec![text("18446744073709551615"), text("3")])));

        assert_eq!(good.expect("a time").micros(), 2_000_003);
        assert!(matches!(large, Err(Failure::Misfit)));
    }
}
