//! What an answer of a node says about where to ask, and asking there.

use std::time::Duration;

use cache_core::Error;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::{Cluster, Part, Sent, lacking, misfit, nobody, slot, topology};
use crate::clock::Moment;
use crate::command::Command;
use crate::connection::replicated::Answered;
use crate::connection::traffic::Lane;
use crate::join;

/// How often one command is sent on to another node.
const REDIRECTIONS: u32 = 5;
/// The pause before a command is sent again whose keys are on the move between two nodes.
const ON_THE_MOVE: Duration = Duration::from_millis(10);

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

impl Cluster {
    /// Follows redirections, as long as there is time.
    pub(super) async fn redirected(
        &self,
        lane: Lane,
        began: Moment,
        sent: Sent<'_>,
        mut parts: Vec<Part>,
        doing: &str,
    ) -> Vec<Part> {
        for attempt in 1..=REDIRECTIONS {
            let mut again = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let Ok(Err(error)) = &part.outcome else { continue };
                let then = Then::of(error);
                if matches!(then, Then::Another { .. } | Then::Unsettled) {
                    self.attend();
                }
                if !matches!(then, Then::Failed | Then::Unsettled) {
                    again.push((at, then));
                }
            }
            if again.is_empty() {
                return parts;
            }
            let limit = lane.limit.saturating_sub(began.elapsed());
            if limit < ON_THE_MOVE {
                return parts;
            }
            let lane = Lane { limit, ..lane };
            let repeated = again.into_iter().map(|(at, then)| async move {
                let one = Sent { commands: &sent.commands[at..=at], behind: sent.behind };
                (at, self.once_more(lane, one, then, attempt, doing).await)
            });
            for (at, part) in Box::pin(join::all(repeated)).await {
                parts[at] = part.unwrap_or_else(|error| Part::failed(&error));
            }
        }
        parts
    }

    /// Sends one command again.
    async fn once_more(
        &self,
        lane: Lane,
        sent: Sent<'_>,
        then: Then,
        attempt: u32,
        doing: &str,
    ) -> Result<Part, Error> {
        let map = self.map(doing, lane.limit).await?;
        let command = &sent.commands[0];
        let owner = command.key().and_then(|key| map.owner(slot::of(key)));
        // A node that does not know its own host has that of the one that was asked.
        let asked = owner.map_or(&self.inner.seeds[0], |node| &node.address);
        let at = |address: &str| topology::redirection(address, asked).map(|address| self.node(&address));
        let mut commands = Vec::with_capacity(2);
        let node = match then {
            Then::Another { slot, address } => {
                let node = at(&address).ok_or_else(|| nobody(doing))?;
                self.moved(slot, &node);
                if !command.is_change() && self.inner.kept.concerns(slot) {
                    return Err(self.softened(&map, lacking(doing)));
                }
                commands.push(command.clone());
                node
            }
            Then::AskAt { address } => {
                commands.push(Command::plain("ASKING"));
                // With its text: a repetition, because the server forgot it, would come without the `ASKING`.
                commands.push(command.with_text().unwrap_or_else(|| command.clone()));
                at(&address).ok_or_else(|| nobody(doing))?
            }
            Then::Later | Then::Failed | Then::Unsettled => {
                pause(ON_THE_MOVE * attempt).await;
                commands.push(command.clone());
                owner.cloned().ok_or_else(|| nobody(doing))?
            }
        };
        node.is_there(doing).map_err(|error| self.softened(&map, error))?;
        let Answered { mut answers, behind } =
            self.known(node.change(lane, &commands, sent.behind, doing).await)?;
        let answer = answers.pop().ok_or_else(|| misfit(doing, &node))?;
        Ok(Part { outcome: Ok(answer), behind })
    }
}

#[expect(clippy::disallowed_methods, reason = "a node asked for it")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
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
