//! Answers to reads, as they lie in the bytes of a connection.

use redis::{RedisError, Value};

/// No line is longer: values are told by their lengths, and errors are short.
const LONGEST_LINE: usize = 64 << 10;

/// No read asks for more at once.
const MOST_PARTS: usize = 64 << 10;
/// No server sends a longer value, unless its `proto-max-bulk-len` says so.
const LONGEST_VALUE: usize = 512 << 20;

/// The first answer and its length; `None` as long as not all of it is there. Nothing is copied before that, since what is
/// long comes in many pieces.
pub(super) fn take(bytes: &[u8]) -> Result<Option<(Value, usize)>, RedisError> {
    match measure(bytes)? {
        Some(_) => build(bytes),
        None => Ok(None),
    }
}

/// The length of the first answer, by the lines that tell lengths.
fn measure(bytes: &[u8]) -> Result<Option<usize>, RedisError> {
    let Some((line, behind)) = line(bytes)? else { return Ok(None) };
    let count = match line[0] {
        b'$' => match number(line)? {
            Some(length) if length > LONGEST_VALUE => return Err(misfit()),
            Some(length) => return Ok(Some(behind + length + 2).filter(|end| *end <= bytes.len())),
            None => 0,
        },
        b'*' => number(line)?.unwrap_or(0),
        _ => 0,
    };
    let mut at = behind;
    if count > MOST_PARTS {
        return Err(misfit());
    }
    for _ in 0..count {
        if bytes.get(at) == Some(&b'*') {
            return Err(misfit());
        }
        match measure(&bytes[at..])? {
            Some(length) => at += length,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn build(bytes: &[u8]) -> Result<Option<(Value, usize)>, RedisError> {
    let Some((line, behind)) = line(bytes)? else { return Ok(None) };
    match line[0] {
        b'$' => Ok(take_bulk(bytes, line, behind)?),
        b'*' => take_array(bytes, line, behind),
        // Errors, mostly; what else there may be the client can tell.
        _ => Ok(Some((redis::parse_redis_value(&bytes[..behind])?, behind))),
    }
}

fn take_bulk(bytes: &[u8], line: &[u8], behind: usize) -> Result<Option<(Value, usize)>, RedisError> {
    let Some(length) = number(line)? else { return Ok(Some((Value::Nil, behind))) };
    let end = behind.saturating_add(length);
    match bytes.get(end..end.saturating_add(2)) {
        Some(b"\r\n") => Ok(Some((Value::BulkString(bytes[behind..end].to_vec()), end + 2))),
        Some(_) => Err(misfit()),
        None => Ok(None),
    }
}

/// What answers a read has no arrays inside of arrays.
fn take_array(bytes: &[u8], line: &[u8], behind: usize) -> Result<Option<(Value, usize)>, RedisError> {
    let Some(count) = number(line)? else { return Ok(Some((Value::Nil, behind))) };
    // What is not there yet is not believed.
    let mut parts = Vec::with_capacity(count.min(16));
    let mut at = behind;
    for _ in 0..count {
        if bytes.get(at) == Some(&b'*') {
            return Err(misfit());
        }
        let Some((part, length)) = build(&bytes[at..])? else { return Ok(None) };
        parts.push(part);
        at += length;
    }
    Ok(Some((Value::Array(parts), at)))
}

/// The first line without its end, and where the next one begins.
fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, RedisError> {
    match bytes.iter().take(LONGEST_LINE).position(|&byte| byte == b'\n') {
        // An empty line is no answer, but has a first byte for whoever finds that out.
        Some(end) if end > 1 => Ok(Some((&bytes[..end - 1], end + 1))),
        Some(end) => Ok(Some((&bytes[..=end], end + 1))),
        None if bytes.len() >= LONGEST_LINE => Err(misfit()),
        None => Ok(None),
    }
}

/// The number after the first byte; `None` for that which stands for nothing.
fn number(line: &[u8]) -> Result<Option<usize>, RedisError> {
    match &line[1..] {
        b"-1" => Ok(None),
        digits => match std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(misfit()),
        },
    }
}

#[cold]
fn misfit() -> RedisError {
    (redis::ErrorKind::Parse, "what answers is no Redis").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers() -> impl Strategy<Value = Vec<u8>> {
        let bulk = prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat());
        let one = prop_oneof![
            bulk,
            Just(b"$-1\r\n".to_vec()),
            Just(b":7\r\n".to_vec()),
            Just(b"+OK\r\n".to_vec()),
            Just(b"-WRONGTYPE Operation against a key\r\n".to_vec()),
        ];
        let several = prop::collection::vec(one.clone(), 0..20)
            .prop_map(|parts| [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat());
        prop_oneof![one, several]
    }

    proptest! {
        #[test]
        fn an_answer_is_what_the_client_would_read_and_ends_where_it_ends(
            answer in answers(),
            behind in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let expected = redis::parse_redis_value(&answer).expect("an answer");

            for length in 0..answer.len() {
                prop_assert!(take(&answer[..length]).expect("half an answer").is_none());
            }
            let bytes = [&answer[..], &behind].concat();
            prop_assert_eq!(take(&bytes).expect("an answer"), Some((expected, answer.len())));
        }

        #[test]
        fn whatever_comes_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = take(&bytes);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let foreign: [&[u8]; 8] = [
            b"HTTP/1.1 400 Bad Request\r\n",
            b"$x\r\n",
            b"$-2\r\n",
            b"$1\r\nabc",
            b"\n",
            b"*1\r\n*0\r\n",
            // At once, and not when all of it is there.
            b"*1000000000\r\n",
            b"$1000000000\r\n",
        ];
        for bytes in foreign {
            assert!(take(bytes).is_err(), "{bytes:?}");
        }
        assert!(take(&[b'-'; LONGEST_LINE - 1]).is_ok_and(|taken| taken.is_none()));
        assert!(take(&[b'-'; LONGEST_LINE]).is_err());
    }
}
