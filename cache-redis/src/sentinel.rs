//! Sentinels: who tells where the primary is.

use std::fmt;
use std::sync::Arc;

use cache_core::{Error, ErrorKind};
use redis::Value;
use tokio::task::JoinSet;

use crate::address::Address;
use crate::config::Config;
use crate::connection::open;
use crate::error;

/// Sentinels, and the primary that they are asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    primary: String,
}

/// What a sentinel answers.
enum Told {
    Primary(Address),
    Unknown,
}

/// The sentinels under way, from which addresses come as they answer.
pub(crate) struct Asking {
    told: JoinSet<Result<Told, Error>>,
    known: Vec<Address>,
    failure: Option<Error>,
    unknown: bool,
    sentinels: Arc<Sentinels>,
}

impl Sentinels {
    pub(crate) fn new(addresses: Vec<Address>, primary: String) -> Self {
        Self { addresses, primary }
    }

    /// Asks all of them at once.
    pub(crate) fn ask(self: &Arc<Self>, config: &Arc<Config>) -> Asking {
        let mut told = JoinSet::new();
        for address in &self.addresses {
            told.spawn(ask(Arc::clone(config), address.clone(), self.primary.clone()));
        }
        Asking { told, known: Vec::new(), failure: None, unknown: false, sentinels: Arc::clone(self) }
    }
}

impl Asking {
    /// The next address that a sentinel tells and none before it has: one that is cut off may tell an old one.
    pub(crate) async fn next(&mut self) -> Result<Address, Error> {
        while let Some(told) = self.told.join_next().await {
            match told {
                Ok(Ok(Told::Primary(address))) if !self.known.contains(&address) => {
                    self.known.push(address.clone());
                    return Ok(address);
                }
                Ok(Ok(Told::Primary(_))) | Err(_) => {}
                Ok(Ok(Told::Unknown)) => self.unknown = true,
                Ok(Err(error)) => self.failure = Some(error),
            }
        }
        let primary = &self.sentinels.primary;
        if self.unknown && self.known.is_empty() {
            let what = format!(
                "asking the sentinels for `{primary}`: they know no such primary; write \
                 `redis+sentinel://host:26379/primary` with the name after `sentinel monitor`"
            );
            return Err(Error::new(ErrorKind::Configuration, what));
        }
        let none =
            || Error::new(ErrorKind::Unreachable, format!("asking the sentinels for `{primary}`: no answer"));
        Err(self.failure.take().unwrap_or_else(none))
    }

    /// A server that was told is not the primary, or cannot be reached.
    pub(crate) fn is_not(&mut self, error: Error) {
        self.failure = Some(error);
    }
}

async fn ask(config: Arc<Config>, address: Address, primary: String) -> Result<Told, Error> {
    let doing = format!("asking the sentinel at {address} for `{primary}`");
    let mut connection = open::to_sentinel(&config, &address).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(&primary);
    let answer = connection.send_packed_command(&command).await;
    let answer = answer.and_then(Value::extract_error).map_err(|error| error::of(&doing, error))?;
    match &answer {
        Value::Nil => Ok(Told::Unknown),
        Value::Array(parts) => {
            let [Value::BulkString(host), Value::BulkString(port)] = &parts[..] else {
                return Err(misfit(&doing));
            };
            let text =
                |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| misfit(&doing));
            let port = text(port)?.parse().map_err(|_| misfit(&doing))?;
            Ok(Told::Primary(Address::host(text(host)?, port)))
        }
        _ => Err(misfit(&doing)),
    }
}

fn misfit(doing: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("{doing}: the answer does not fit the question"))
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the primary `{}`", self.primary)
    }
}
