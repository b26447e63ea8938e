//! What is sent to the server, and what comes back.

pub(crate) mod gets;
pub(crate) mod reply;
pub(crate) mod script;

use redis::{Arg, Cmd, RedisWrite, ToRedisArgs};

use self::script::Script;

/// One command: a plain one, or a script by its hash. All its keys lie in one slot.
#[derive(Clone)]
pub(crate) struct Command {
    cmd: Cmd,
    script: Option<&'static Script>,
    has_text: bool,
    /// Where among its words its first key is.
    keyed: Option<usize>,
}

impl Command {
    /// A plain command without a key.
    pub(crate) fn plain(name: &str) -> Self {
        Self { cmd: redis::cmd(name), script: None, has_text: false, keyed: None }
    }

    /// A plain command on a key.
    #[cfg(any(feature = "cluster", test))]
    pub(crate) fn on_key(name: &str, key: &str) -> Self {
        let mut cmd = redis::cmd(name);
        cmd.arg(key);
        Self { cmd, script: None, has_text: false, keyed: Some(1) }
    }

    /// A script by its hash, with its keys.
    pub(crate) fn script(script: &'static Script, keys: &[&str]) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.hash()).arg(keys.len()).arg(keys);
        Self { cmd, script: Some(script), has_text: false, keyed: Some(3) }
    }

    /// Adds an argument.
    #[must_use]
    pub(crate) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.cmd.arg(argument);
        self
    }

    pub(crate) fn cmd(&self) -> &Cmd {
        &self.cmd
    }

    /// Its first key; all others lie in the same slot.
    #[cfg(feature = "cluster")]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        match self.cmd.args_iter().nth(self.keyed?)? {
            Arg::Simple(key) => Some(key),
            _ => None,
        }
    }

    /// Whether the other one is the same script on the same key, so that one of them makes the other superfluous.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let is_one_script = match (self.script, other.script) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        is_one_script && self.key() == other.key()
    }

    /// Whether it keeps old values from being served.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_change(&self) -> bool {
        let changes = [&script::INVALIDATE, &script::EXPIRE, &script::INVALIDATE_TAG];
        self.script.is_some_and(|script| changes.iter().any(|change| std::ptr::eq(*change, script)))
    }

    /// Whether the other one is the same, to the last byte.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.cmd.args_iter().eq(other.cmd.args_iter())
    }

    /// The script that it runs.
    pub(crate) fn script_of(&self) -> Option<&'static Script> {
        self.script
    }

    /// The same with the script's text, for a server that does not have it (yet, or any more); it has it then.
    /// `None` for a plain command, and for one that has it.
    pub(crate) fn with_text(&self) -> Option<Self> {
        let script = self.script.filter(|_| !self.has_text)?;
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(script.text());
        for argument in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                cmd.arg(bytes);
            }
        }
        Some(Self { cmd, script: Some(script), has_text: true, keyed: self.keyed })
    }
}

/// A frame as it is stored: a mark in front says whether it was made stale.
pub(crate) struct Marked<'a>(pub(crate) &'a [u8]);

impl ToRedisArgs for Marked<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        use std::io::Write;

        let mut writer = out.writer_for_next_arg();
        let written = writer.write_all(&[reply::FRESH]).and_then(|()| writer.write_all(self.0));
        // The writer of the client appends to a buffer in memory.
        debug_assert!(written.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_with_its_text_keeps_its_arguments() {
        let by_hash = Command::script(&script::FILL, &["e", "l"]).arg(Marked(b"\r\n\0")).arg("");

        let with_text = by_hash.with_text().expect("a script");

        let packed = with_text.cmd().get_packed_command();
        let mut expected = redis::cmd("EVAL");
        expected.arg(script::FILL.text()).arg(2).arg("e").arg("l").arg(b"\0\r\n\0").arg("");
        assert_eq!(packed, expected.get_packed_command());
        assert!(with_text.with_text().is_none());
    }
}
