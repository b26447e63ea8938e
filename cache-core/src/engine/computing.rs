//! What this task is computing, so that a computation that asks for itself is noticed.

use std::sync::Arc;

use super::Cache;
use crate::key::Key;

struct Computation {
    /// Which cache, by its address: it lives at least as long as the computation.
    cache: usize,
    key: Key,
    outer: Option<Arc<Computation>>,
}

tokio::task_local! {
    static INNERMOST: Arc<Computation>;
}

/// Runs `body` as the computation of `key`.
pub(super) async fn scope<F: Future>(cache: &Cache, key: &Key, body: F) -> F::Output {
    let outer = INNERMOST.try_with(Arc::clone).ok();
    let computation = Computation { cache: address(cache), key: key.clone(), outer };
    INNERMOST.scope(Arc::new(computation), body).await
}

/// Whether `key` is being computed by this very task, at any depth.
pub(super) fn is_within(cache: &Cache, key: &Key) -> bool {
    let search = |innermost: &Arc<Computation>| {
        let mut next = Some(innermost);
        while let Some(computation) = next {
            if computation.cache == address(cache) && computation.key == *key {
                return true;
            }
            next = computation.outer.as_ref();
        }
        false
    };
    INNERMOST.try_with(search).unwrap_or(false)
}

fn address(cache: &Cache) -> usize {
    Arc::as_ptr(&cache.0) as usize
}
