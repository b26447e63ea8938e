//! `Redis` keeps the contract of a backend on a cluster.
#![cfg(all(feature = "cluster", feature = "testing"))]

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cache_redis::testing::{Cluster, ClusterStage};

/// One cluster for all tests that run at the same time; the last one ends it.
fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

cache_core::conformance_suite!(async { ClusterStage::new(cluster()) });
