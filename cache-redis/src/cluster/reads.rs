//! Reads: from one node mostly, and from several at the same time.

use cache_core::Error;
use redis::Value;

use super::{Asked, Cluster, Group, Part, Sent};
use crate::clock::Moment;
use crate::command::Command;
use crate::command::gets::Got;
use crate::connection::traffic::Lane;
use crate::error;
use crate::join;

impl Cluster {
    /// Reads values, together with those of others.
    pub(crate) async fn get(&self, lane: Lane, names: &[&str], doing: &'static str) -> Result<Got, Error> {
        let began = Moment::now();
        let map = self.map(doing, lane.limit).await?;
        let groups = self.grouped(&map, names.iter().map(|name| Asked::to_read(name)), doing);
        let got = match &groups[..] {
            // Mostly there is one: an entry whose tags are followed.
            [Group { node: Ok(node), .. }] => self.known(node.get(lane, names, doing).await)?,
            [Group { node: Err(error), .. }] => return Err(error.clone()),
            _ => Box::pin(self.get_from_all(lane, names, groups, doing)).await?,
        };
        let has_failed = match &got {
            Got::AtOnce(answer) => answer.is_err(),
            Got::OneByOne(answers) => answers.iter().any(Result::is_err),
        };
        if !has_failed {
            return Ok(got);
        }
        Box::pin(async {
            let answers = got.each(names.len()).map_err(|failure| error::of_call(doing, self, failure))?;
            let parts =
                answers.into_iter().map(|answer| Part { outcome: Ok(answer), behind: None }).collect();
            let commands: Vec<_> = names.iter().map(|name| Command::on_key("GET", name)).collect();
            let sent = Sent { commands: &commands, behind: None };
            let parts = self.redirected(lane, began, sent, parts, doing).await;
            parts.into_iter().map(|part| part.outcome).collect::<Result<_, _>>().map(Got::OneByOne)
        })
        .await
    }

    /// Asks each node for its names.
    async fn get_from_all(
        &self,
        lane: Lane,
        names: &[&str],
        groups: Vec<Group>,
        doing: &'static str,
    ) -> Result<Got, Error> {
        let sent = groups.into_iter().map(|group| async move {
            let own: Vec<&str> = group.commands.iter().map(|&at| names[at]).collect();
            let got = self.known(group.node?.get(lane, &own, doing).await)?;
            let answers = got.each(own.len()).map_err(|failure| error::of_call(doing, self, failure))?;
            Ok((group.commands, answers))
        });
        let mut all = vec![Ok(Value::Nil); names.len()];
        for answered in join::all(sent).await {
            let (places, answers) = answered?;
            for (at, answer) in places.into_iter().zip(answers) {
                all[at] = answer;
            }
        }
        Ok(Got::OneByOne(all))
    }
}
