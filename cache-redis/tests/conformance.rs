//! `Redis` keeps the contract of a backend.
#![cfg(feature = "testing")]

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cache_redis::testing::{RedisStage, Server};

/// One server for all tests that run at the same time; the last one ends it.
fn server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

cache_core::conformance_suite!(async { RedisStage::new(server()) });
