//! What an answer of a node says about where to ask.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What to do after an error of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The slot has moved for good: ask there from now on.
    Another { slot: u16, address: String },
    /// The key is on its way there: ask there, this once.
    AskAt { address: String },
    /// Some keys of the command are on their way: ask again.
    Later,
    /// The cluster, or the node, is not in order: the slots may be elsewhere soon.
    Unsettled,
    /// It is about the command.
    Failed,
}

impl Then {
    pub(super) fn of(error: &RedisError) -> Self {
        match (error.kind(), error.redirect_node()) {
            (ErrorKind::Server(ServerErrorKind::Moved), Some((address, slot))) => {
                Self::Another { slot, address: address.to_owned() }
            }
            (ErrorKind::Server(ServerErrorKind::Ask), Some((address, _))) => {
                Self::AskAt { address: address.to_owned() }
            }
            (ErrorKind::Server(ServerErrorKind::TryAgain), _) => Self::Later,
            _ => match error.code() {
                Some("CLUSTERDOWN" | "MASTERDOWN" | "LOADING" | "READONLY") => Self::Unsettled,
                _ => Self::Failed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    #[test]
    fn each_redirection_is_read() {
        let another = |slot, address: &str| Then::Another { slot, address: address.to_owned() };
        for (line, then) in [
            ("MOVED 3999 127.0.0.1:6381", another(3999, "127.0.0.1:6381")),
            ("ASK 3999 127.0.0.1:6381", Then::AskAt { address: "127.0.0.1:6381".to_owned() }),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Then::Later),
            ("CLUSTERDOWN The cluster is down", Then::Unsettled),
            ("OOM command not allowed", Then::Failed),
            ("MOVED", Then::Failed),
        ] {
            let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a line of the protocol");
            let error = Value::extract_error(value).expect_err("it is an error");

            assert_eq!(Then::of(&error), then, "{line}");
        }
    }
}
