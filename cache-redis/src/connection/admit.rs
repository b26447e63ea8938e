//! Admits a connection to its siblings: asks which server it leads to, and gives that one what it may lack.

use std::time::Duration;

use cache_core::Error;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::open::text;
use super::place::Place;
use super::siblings::Siblings;
use crate::command::Command;
use crate::command::script::Script;
use crate::error;

/// So many changes are repeated at once.
const AT_ONCE: usize = 500;

/// The run of the server that a connection leads to; empty where that is not told.
pub(super) async fn run(connection: &mut MultiplexedConnection, place: &Place) -> Result<String, Error> {
    let doing = format!("asking Redis at {place} whether it is another server");
    let answer = connection.send_packed_command(redis::cmd("INFO").arg("server")).await;
    let answer = answer.map_err(|error| error::of(&doing, error))?;
    // Who may not ask cannot tell one server from another.
    Ok(text(&answer).and_then(run_of).unwrap_or_default().to_owned())
}

/// Admits a connection to the server of this run, and answers the era that it is of. Nobody may use it before.
///
/// Each round trip may take `limit`, and not all of them together: with many changes to repeat that would never be enough, and each
/// attempt begins anew.
pub(super) async fn admit(
    connection: &mut MultiplexedConnection,
    run: &str,
    siblings: &Siblings,
    place: &Place,
    limit: Duration,
) -> Result<u64, Error> {
    let mut given = 0;
    if siblings.are_elsewhere(run) {
        // First without a word to the others: a server that does not take this takes nobody's place.
        given = repeat(connection, siblings, given, place, limit).await?;
    }
    let joined = siblings.join(run);
    if joined.lacks {
        // What the others have changed meanwhile, where they were. They find out, and change no more there.
        repeat(connection, siblings, given, place, limit).await?;
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
    limit: Duration,
) -> Result<u64, Error> {
    let (changes, next) = siblings.recent().since(number);
    let doing = format!("repeating invalidations at Redis at {place}");
    let timed_out = |_| error::timed_out("repeating invalidations at another server", place, limit);
    for some in changes.chunks(AT_ONCE) {
        let sending = async {
            let forgotten = send(connection, &with_first_texts(some), &doing).await?;
            if !forgotten.is_empty() {
                send(connection, &forgotten, &doing).await?;
            }
            Ok(())
        };
        timeout(limit, sending).await.map_err(timed_out)??;
    }
    Ok(next)
}

/// The first of each kind brings the script's text along.
fn with_first_texts(changes: &[Command]) -> Vec<Command> {
    let mut brought: Vec<&str> = Vec::new();
    let with_text = changes.iter().map(|change| {
        let script = change.script_of().map_or("", Script::hash);
        let is_first = !brought.contains(&script);
        brought.extend(is_first.then_some(script));
        change.with_text().filter(|_| is_first).unwrap_or_else(|| change.clone())
    });
    with_text.collect()
}

/// Sends changes; answers those whose script the server does not have, with its text.
async fn send(
    connection: &mut MultiplexedConnection,
    changes: &[Command],
    doing: &str,
) -> Result<Vec<Command>, Error> {
    let mut pipeline = redis::pipe();
    for change in changes {
        pipeline.add_command(change.cmd().clone());
    }
    let answers = connection.send_packed_commands(&pipeline, 0, changes.len()).await;
    let answers = answers.map_err(|error| error::of(doing, error))?;
    let mut forgotten = Vec::new();
    for (change, answer) in changes.iter().zip(answers) {
        match Value::extract_error(answer) {
            Ok(_) => {}
            // A slot that this node of a cluster does not have: it is made up for when its node is known.
            Err(error) if error.redirect_node().is_some() => {}
            // The one with the text was for such a slot.
            Err(error) if error.code() == Some("NOSCRIPT") => forgotten.extend(change.with_text()),
            Err(error) => return Err(error::of(doing, error)),
        }
    }
    Ok(forgotten)
}

/// What a server calls its run: another one after a restart, and on another server.
fn run_of(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim)
}
