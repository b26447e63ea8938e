//! What the client and the server call errors, as the contract's errors.
//!
//! A server may repeat what it was sent (`unknown command 'AUTH', with args beginning with: ..`), so texts of
//! servers are cut before that, and of a failed authentication nothing is repeated at all.

use std::fmt;

use cache_core::{Error, ErrorKind};
use redis::RedisError;

use crate::command::reply::Failure;

/// What a user of the server must be allowed, as an ACL rule; `PREFIX` stands for the prefix of the cache.
pub(crate) const ACL_RULE: &str = "~PREFIX:* &PREFIX:* +get +mget +set +del +getrange +setrange +strlen +pttl +pexpire \
    +time +publish +subscribe +unsubscribe +ping +eval +evalsha +select +client|setname +info +wait \
    +cluster|slots +asking";

/// What an error of the client means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did not answer. It may later.
    Unreachable,
    /// It cannot now. It may later.
    Busy,
    /// It did so because it is not the one that takes writes (any more): ask the name again, connect again.
    Elsewhere,
    /// It never will: this user may not.
    Forbidden,
    /// It never will: it does not know the command.
    Unknown,
    /// The password or the user is wrong, or missing.
    Credentials,
    /// It refuses this client by its settings.
    Denied,
}

impl Verdict {
    /// Judges an error by its code, and by its text where the code is `ERR`.
    pub(crate) fn of(error: &RedisError) -> Self {
        if error.kind() == redis::ErrorKind::AuthenticationFailed {
            return Self::Credentials;
        }
        let Some(code) = error.code() else { return Self::Unreachable };
        let detail = error.detail().unwrap_or_default();
        match code {
            "ERR" => match code_in_script(detail) {
                Some(inner) => Self::of_code(inner),
                None if detail.contains("unknown command") || detail.contains("unknown subcommand") => {
                    Self::Unknown
                }
                // Redis 7.0 and before, of a command, key or channel inside a script; they do not say which.
                None if detail.contains("The user executing the script can't") => Self::Forbidden,
                // Valkey, likewise.
                None if detail.starts_with("ACL failure in script") => Self::Forbidden,
                None => Self::Busy,
            },
            code => Self::of_code(code),
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "NOPERM" => Self::Forbidden,
            "NOAUTH" | "WRONGPASS" => Self::Credentials,
            "DENIED" => Self::Denied,
            "READONLY" | "MOVED" => Self::Elsewhere,
            // LOADING, OOM, BUSY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN, MISCONF, NOREPLICAS, and what is new.
            _ => Self::Busy,
        }
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::Unreachable => ErrorKind::Unreachable,
            Self::Busy | Self::Elsewhere => ErrorKind::Refused,
            Self::Forbidden | Self::Unknown => ErrorKind::Unsupported,
            Self::Credentials | Self::Denied => ErrorKind::Configuration,
        }
    }
}

/// Before 7.0 an error inside a script came as
/// `Error running script (call to f_..): @user_script:1: @user_script: 1: -OOM command not allowed ..`.
fn code_in_script(detail: &str) -> Option<&str> {
    detail.strip_prefix("Error running script")?;
    let (_, inner) = detail.split_once(": -")?;
    let code = inner.split(' ').next()?;
    (!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

/// Whether the connection is no more, so that the same can be tried on another one.
pub(crate) fn is_dropped(error: &RedisError) -> bool {
    // Not `is_unrecoverable_error`: that includes a wrong password.
    error.is_connection_dropped() || error.kind() == redis::ErrorKind::Parse
}

/// An error of a call; `doing` says what was attempted, `server` with which server.
pub(crate) fn of_call(doing: &str, server: impl fmt::Display, failure: Failure) -> Error {
    match failure {
        Failure::Refused(error) => of(&format!("{doing} at {server}"), error),
        Failure::Misfit => Error::new(
            ErrorKind::Unreachable,
            format!("{doing} at {server}: the answer does not fit the question; is a proxy between?"),
        ),
    }
}

/// No answer came in time.
pub(crate) fn timed_out(doing: &str, server: impl fmt::Display, limit: std::time::Duration) -> Error {
    Error::new(ErrorKind::Unreachable, format!("{doing} at {server}: no answer within {limit:?}"))
}

/// An error of the client, as one of ours.
pub(crate) fn of(attempted: &str, error: RedisError) -> Error {
    let verdict = Verdict::of(&error);
    let said = Said::of(&error);
    let text = match verdict {
        Verdict::Unreachable | Verdict::Busy | Verdict::Elsewhere => format!("{attempted}: {said}"),
        Verdict::Forbidden => format!("{attempted}: {said}; allow it with `ACL SETUSER name {ACL_RULE}`"),
        Verdict::Unknown => {
            format!("{attempted}: {said}; use Redis 6.2 or later, or Valkey, without renamed commands")
        }
        Verdict::Credentials => format!(
            "{attempted}: the user or the password is wrong or missing; write `redis://user:password@host:6379`"
        ),
        Verdict::Denied => format!("{attempted}: {said}; set a password, or bind the server to this network"),
    };
    Error::new(verdict.kind(), text)
}

/// What a server or a socket said, without what it repeats of what it was sent.
struct Said(String);

impl Said {
    fn of(error: &RedisError) -> Self {
        let text = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            (Some(code), None) => code.to_owned(),
            (None, _) if error.kind() == redis::ErrorKind::Parse => "what answers is no Redis".to_owned(),
            (None, _) => error.to_string(),
        };
        // Valkey says `ACL failure in script: ` before what it is about.
        let from = text.find("failure in script: ").map_or(0, |at| at + "failure in script: ".len());
        let end = text.find(", with args").or_else(|| Some(from + text[from..].find(" script: ")?));
        let end = end.unwrap_or(text.len());
        Self(text[..end].chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    /// What a server's line becomes in the client.
    fn answered(line: &str) -> RedisError {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a line of the protocol");
        Value::extract_error(value).expect_err("it is an error")
    }

    #[test]
    fn each_answer_has_its_kind() {
        use ErrorKind::{Configuration, Refused, Unsupported};

        let in_script = "ERR Error running script (call to f_ab): @user_script:3: @user_script: 3: -";
        for (line, kind) in [
            ("LOADING Redis is loading the dataset in memory", Refused),
            ("READONLY You can't write against a read only replica.", Refused),
            ("MASTERDOWN Link with MASTER is down", Refused),
            (
                "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:1.",
                Refused,
            ),
            ("BUSY Redis is busy running a script.", Refused),
            ("CLUSTERDOWN The cluster is down", Refused),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Refused),
            ("MOVED 3999 127.0.0.1:6381", Refused),
            ("MISCONF Redis is configured to save RDB snapshots", Refused),
            ("NOREPLICAS Not enough good replicas to write.", Refused),
            ("ERR max number of clients reached", Refused),
            ("SOMETHING new", Refused),
            ("NOPERM User app has no permissions to run the 'evalsha' command", Unsupported),
            ("ERR The user executing the script can't run this command or subcommand", Unsupported),
            ("ERR unknown command 'HELLO', with args beginning with: '3' ", Unsupported),
            ("ERR unknown subcommand 'SETNAME'. Try CLIENT HELP.", Unsupported),
            ("NOAUTH Authentication required.", Configuration),
            ("WRONGPASS invalid username-password pair or user is disabled.", Configuration),
            ("DENIED Redis is running in protected mode", Configuration),
            (&format!("{in_script}OOM command not allowed"), Refused),
            ("ERR ACL failure in script: No permissions to access a key", Unsupported),
            (&format!("{in_script}NOPERM User has no permissions"), Unsupported),
        ] {
            let error = of("reading an entry from Redis", answered(line));

            assert_eq!(error.kind(), kind, "{line}");
            assert!(error.to_string().starts_with("reading an entry from Redis: "), "{error}");
        }
    }

    #[test]
    fn a_server_that_moved_is_elsewhere() {
        let in_script =
            "ERR Error running script (call to f_ab): @user_script:3: @user_script: 3: -READONLY no";
        for line in ["READONLY no", "MOVED 1 a:1", in_script] {
            assert_eq!(Verdict::of(&answered(line)), Verdict::Elsewhere, "{line}");
        }
        for line in ["LOADING yes", "ERR Error running script", "ERR Error running script: -", "ERR"] {
            assert_eq!(Verdict::of(&answered(line)), Verdict::Busy, "{line}");
        }
    }

    #[test]
    fn sockets_are_unreachable() {
        use std::io;

        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut, io::ErrorKind::UnexpectedEof]
        {
            let said = io::Error::from(kind);
            let text = format!("reading: {}", RedisError::from(io::Error::from(kind)));
            let error = of("reading", said.into());

            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unreachable, text));
        }
    }

    #[test]
    fn what_a_server_repeats_is_not_told() {
        let lines = [
            "ERR unknown command 'AUTH', with args beginning with: 'hunter2' ",
            "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hunter2`, ",
        ];
        for line in lines {
            let error = of("connecting to Redis", answered(line));

            let told = format!("{error} {error:?}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
