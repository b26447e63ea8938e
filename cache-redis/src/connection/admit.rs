//! Admits a connection to its siblings: asks which server it leads to, and gives that one what it may lack.

use cache_core::Error;
use redis::Value;
use redis::aio::MultiplexedConnection;

use super::open::text;
use super::place::Place;
use super::siblings::Siblings;
use crate::command::script::Script;
use crate::error;

/// So many changes are repeated at once.
const AT_ONCE: usize = 500;

/// Admits a connection, and answers the era that it is of. Nobody may use it before.
pub(super) async fn admit(
    connection: &mut MultiplexedConnection,
    siblings: &Siblings,
    place: &Place,
) -> Result<u64, Error> {
    let doing = format!("asking Redis at {place} whether it is another server");
    let answer = connection.send_packed_command(redis::cmd("INFO").arg("server")).await;
    let answer = answer.map_err(|error| error::of(&doing, error))?;
    // Who may not ask cannot tell one server from another.
    let run = text(&answer).and_then(run_of).unwrap_or_default();
    let mut given = 0;
    if siblings.are_elsewhere(run) {
        // First without a word to the others: a server that does not take this takes nobody's place.
        given = repeat(connection, siblings, given, place).await?;
    }
    let joined = siblings.join(run);
    if joined.lacks {
        // What the others have changed meanwhile, where they were. They find out, and change no more there.
        repeat(connection, siblings, given, place).await?;
        siblings.are_made_up_for(joined.era);
    }
    Ok(joined.era)
}

/// Repeats the changes from the one of a number on; answers the number of the next one.
async fn repeat(
    connection: &mut MultiplexedConnection,
    siblings: &Siblings,
    number: u64,
    place: &Place,
) -> Result<u64, Error> {
    let (changes, next) = siblings.recent().since(number);
    let doing = format!("repeating invalidations at Redis at {place}");
    let mut with_text: Vec<&str> = Vec::new();
    for some in changes.chunks(AT_ONCE) {
        let mut pipeline = redis::pipe();
        for change in some {
            // The first of each kind brings the script's text along.
            let script = change.script_of().map_or("", Script::hash);
            let is_first = !with_text.contains(&script);
            with_text.extend(is_first.then_some(script));
            let text = if is_first { change.with_text() } else { None };
            pipeline.add_command(text.unwrap_or_else(|| change.clone()).into_cmd());
        }
        let answers = connection.send_packed_commands(&pipeline, 0, some.len()).await;
        for answer in answers.map_err(|error| error::of(&doing, error))? {
            Value::extract_error(answer).map_err(|error| error::of(&doing, error))?;
        }
    }
    Ok(next)
}

/// What a server calls its run: another one after a restart, and on another server.
fn run_of(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim)
}
