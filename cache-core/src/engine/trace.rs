//! What the cached calls inside of a future did.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Cache;
use crate::entry::MissReason;
use crate::event::stats::Happening;
use crate::event::watch::Watching;
pub(super) use crate::event::watch::is_watched;
use crate::key::Key;

/// What one cached call did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TracedCall {
    /// The name of the function, as in the statistics.
    pub function: String,
    /// The text of its key; secret arguments are digests in it. Empty where the arguments could not be made a key.
    pub key: String,
    /// What answered it.
    pub answered: Answered,
    /// How old the value is, as far as this process has it.
    pub age: Option<Duration>,
}

/// What answered a cached call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// The local tier.
    LocalHit,
    /// The shared tier.
    SharedHit,
    /// A stale value, since a new one could not be had, or not in time.
    Stale,
    /// A computation of its own, for that reason.
    Computed(MissReason),
    /// A computation that another call, or another process, had begun.
    Joined,
    /// The function itself, past the cache.
    Bypassed,
    /// Nothing: [`Cache::get`] does not compute.
    Nothing,
}

/// What the cached calls inside of a future did, in the order in which they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// Each call.
    pub calls: Vec<TracedCall>,
}

type Calls = Arc<Mutex<Vec<TracedCall>>>;

tokio::task_local! {
    static TRACED: Calls;
}

/// Runs `future`, and tells what each cached call inside of it did: for a header of a response, a log line, or a test.
///
/// Tasks that the future spawns are not traced: wrap them, too. Traces nest; the innermost hears of a call.
///
/// ```
/// # async fn example() {
/// let (answer, trace) = cache_core::trace(async { /* cached calls */ }).await;
/// for call in &trace.calls {
///     println!("{} {:?} {:?}", call.function, call.answered, call.age);
/// }
/// # }
/// ```
///
/// # Cancel safety
///
/// That of `future`.
pub async fn trace<F: Future>(future: F) -> (F::Output, Trace) {
    let _watching = Watching::begin();
    let calls = Calls::default();
    let output = TRACED.scope(calls.clone(), future).await;
    let calls = std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner));
    (output, Trace { calls })
}

/// Whether anybody wants to know what answers the calls of `cache` in this task.
#[cold]
pub(super) fn is_wanted(cache: &Cache) -> bool {
    cache.0.subscribers.is_any() || TRACED.try_with(|_| ()).is_ok()
}

/// Notes what answered a call, if it is traced. A hit in the local tier was counted where it was found, and is told here.
#[cold]
pub(super) fn note(cache: &Cache, key: Option<&Key>, name: &str, answered: Answered) {
    if answered == Answered::LocalHit
        && let Some(key) = key
    {
        cache.tell_hit(name, key);
    }
    let _ = TRACED.try_with(|calls| {
        let entry = key.and_then(|key| cache.0.tier.find(&key.view(), Arc::clone));
        let age =
            entry.filter(|_| answered != Answered::Bypassed).map(|entry| entry.age(cache.0.clock.now()));
        let key = key.map(Key::to_string).unwrap_or_default();
        let call = TracedCall { function: name.to_owned(), key, answered, age };
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    });
}

impl Answered {
    /// What a call was counted as.
    pub(super) fn of(counted: Option<Happening>) -> Self {
        match counted {
            Some(Happening::SharedHit) => Self::SharedHit,
            Some(Happening::Stale) => Self::Stale,
            Some(Happening::Joined) => Self::Joined,
            Some(Happening::Miss(reason)) => Self::Computed(reason),
            // It landed between two looks.
            _ => Self::LocalHit,
        }
    }
}
